"""Spectrograms side by side: a text in the voice, through the codec, and from the agent.

    python -m antiphon.evaluation.pictures cafe --out docs/images/spectrograms.png

matplotlib is imported when a picture is drawn and not before.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.mel import LogMel
from antiphon.corpus.voices import Voices
from antiphon.errors import AntiphonError
from antiphon.evaluation.codec import open_codec, round_trip
from antiphon.runtime.agent import Agent
from antiphon.runtime.events import Samples
from antiphon.runtime.latency import replies

_MARGIN = 0.1  # s kept around audible speech
_RANGE = 8.0  # nepers from the darkest to the brightest
_WIDTH, _HEIGHT = 10.0, 2.1  # inches of a row
_TICKS = (250, 1000, 4000)  # Hz


def side_by_side(rows: Sequence[tuple[str, Samples]], path: Path) -> Path:
    """Draw named samples (float32 [N], 16 kHz) as log-mel spectrograms below one another.

    All have the same time axis and the same colours. Writes beside `path`, then replaces it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not rows:
        raise AntiphonError("there is nothing to draw")
    mel = LogMel()
    pictures = [mel(samples).T for _, samples in rows]
    longest = max(picture.shape[1] for picture in pictures) * mel.hop / SAMPLE_RATE
    brightest = max(float(np.percentile(picture, 99.8)) for picture in pictures)
    figure: Any = Figure(figsize=(_WIDTH, _HEIGHT * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(len(rows), 1, sharex=True, squeeze=False)
    centres = mel.filterbank().argmax(axis=0) * SAMPLE_RATE / mel.n_fft
    for axis, (name, _), picture in zip(axes[:, 0], rows, pictures, strict=True):
        seconds = picture.shape[1] * mel.hop / SAMPLE_RATE
        axis.imshow(
            picture,
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            cmap="magma",
            vmin=brightest - _RANGE,
            vmax=brightest,
            extent=(0, seconds, 0, picture.shape[0]),
        )
        axis.set_facecolor("black")
        axis.set_xlim(0, longest)
        axis.set_title(name, loc="left", fontsize=10)
        bands = [int(np.abs(centres - hertz).argmin()) + 0.5 for hertz in _TICKS]
        axis.set_yticks(bands, [f"{hertz / 1000:g} kHz" for hertz in _TICKS], fontsize=8)
    axes[-1, 0].set_xlabel("seconds", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    figure.savefig(beside, dpi=110, format=path.suffix.lstrip(".") or "png")
    os.replace(beside, path)
    return path


def spoken_part(samples: Samples) -> Samples:
    """Samples from the first audible one to the last, with a margin; empty where none is."""
    spans = replies(samples)
    if not spans:
        return samples[:0]
    first = max(0, round((spans[0][0] - _MARGIN) * SAMPLE_RATE))
    return samples[first : round((spans[-1][1] + _MARGIN) * SAMPLE_RATE)]


def three_voices(
    bundle: str, *, text: str | None = None, order: Path | None = None, seed: int = 0
) -> tuple[str, list[tuple[str, Samples]]]:
    """One text by the voice, by the codec, by the agent: (the text, named samples to draw).

    The text is what the agent answers to `order`, a recording; or `text`, which it is made to say.
    Raises AntiphonError when the agent gives no audible answer, and what agents and codecs raise.
    """
    agent = Agent.load(bundle)
    if order is not None:
        answer = agent.answer(order, seed=seed)
        text, own, does = answer.agent_text, answer.audio, "the agent answers an order"
    elif text is not None:
        own, does = agent.say(text, seed=seed), "the agent says the text"
    else:
        raise AntiphonError("name a text for the agent to say, or an order for it to answer")
    if not text or not replies(own):
        raise AntiphonError(f"{bundle}: the agent gave no audible answer to draw")
    with Voices() as voices:
        voice = voices.agent.speak(text, random.Random(seed)).samples
        name = voices.agent.name
    codec = open_codec(agent.bundle.folder)
    rows = [
        (f"the voice ({name})", spoken_part(voice)),
        ("the voice through the codec", spoken_part(round_trip(codec, voice))),
        (does, spoken_part(own)),
    ]
    return text, rows


def draw(
    bundle: Annotated[str, typer.Argument(help="The agent: a bundle's name or folder.")] = "cafe",
    out: Annotated[Path, typer.Option(help="The picture.")] = Path("docs/images/spectrograms.png"),
    text: Annotated[str | None, typer.Option(help="What the agent is made to say.")] = None,
    order: Annotated[Path | None, typer.Option(help="A recording that it answers.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the sampling.")] = 0,
) -> None:
    """Draw one text as the voice says it, as the codec gives it back, as the agent says it.

    Examples:

        python -m antiphon.evaluation.pictures cafe --text "okay, a large latte with oat milk."

        python -m antiphon.evaluation.pictures cafe --order order.wav --out docs/images/order.png
    """
    said, rows = three_voices(bundle, text=text, order=order, seed=seed)
    print(f"{side_by_side(rows, out)}: {said}")


if __name__ == "__main__":
    try:
        typer.run(draw)
    except AntiphonError as error:
        raise SystemExit(f"antiphon: {error}") from None
