"""`antiphon transcribe`: what recordings say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from antiphon.cli.options import Bundle, Json, Seed


def transcribe(
    files: Annotated[list[Path], typer.Argument(help="Recordings: WAV, FLAC, Ogg, MP3 ...")],
    bundle: Bundle = "cafe",
    as_json: Json = False,
    seed: Seed = 0,
) -> None:
    """Print what recordings say, as the agent hears them.

    Examples:

        antiphon transcribe order.wav

        antiphon transcribe *.flac --json
    """
    from antiphon.runtime.agent import Agent

    agent = Agent.load(bundle)
    found: list[dict[str, Any]] = []
    for file in files:
        heard = agent.transcribe(file, seed=seed)
        words = [{"text": word.text, "end": round(word.end, 2)} for word in heard.words]
        found.append({"file": str(file), "caller_text": heard.text, "words": words})
        if not as_json:
            print(heard.text if len(files) == 1 else f"{file}: {heard.text}")
    if as_json:
        print(json.dumps(found if len(files) > 1 else found[0], indent=2))
