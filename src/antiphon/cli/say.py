"""`antiphon say`: a text in the agent's voice."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from antiphon.cli.options import Bundle, Seed, Speed, Style


def say(
    text: Annotated[str, typer.Argument(help="What to say.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("say.wav"),
    bundle: Bundle = "cafe",
    seed: Seed = 0,
    style: Style = None,
    speed: Speed = None,
) -> None:
    """Say a text in the agent's own voice and write it to a file.

    Examples:

        antiphon say "your latte is ready"

        antiphon say "see you soon" --out bye.flac

        antiphon say "i'm sorry about that" --style apologetic --speed 0.9
    """
    from antiphon.audio import SAMPLE_RATE
    from antiphon.audio.io import write
    from antiphon.runtime.agent import Agent

    samples = Agent.load(bundle).say(text, seed=seed, style=style, speed=speed)
    write(out, samples)
    print(f"wrote {out} ({len(samples) / SAMPLE_RATE:.1f} s)")
