"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Bundle = Annotated[
    str, typer.Option("--bundle", "-b", help="The agent: a bundle's name or its folder.")
]
Seed = Annotated[int, typer.Option(help="Seed of the sampling: the same seed, the same call.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
