"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Bundle = Annotated[
    str, typer.Option("--bundle", "-b", help="The agent: a bundle's name or its folder.")
]
Seed = Annotated[int, typer.Option(help="Seed of the sampling: the same seed, the same call.")]
Style = Annotated[
    str | None,
    typer.Option(help="How to speak: neutral, calm, warm, brisk, apologetic; else as it fits."),
]
Speed = Annotated[
    float | None,
    typer.Option(help="Tempo, 0.84 to 1.19 times the style's own; else near the caller's."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
