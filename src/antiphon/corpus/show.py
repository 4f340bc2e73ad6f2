"""A picture of a conversation: both channels against time, the words under them, the events.

matplotlib is imported when the picture is drawn and not before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from antiphon.audio import SAMPLE_RATE
from antiphon.corpus.conversation import SPEAKERS, Conversation, Event, Speaker, Word
from antiphon.errors import CorpusError

_ROW = 12.0  # s of conversation in one row of the picture
_WIDTH, _HEIGHT = 15.0, 3.4  # inches of a row
_LONGEST = 40  # rows; what comes after is left out
_COLOURS: dict[Speaker, str] = {"agent": "#1f6f8b", "caller": "#b5523b"}
_LEVELS = 3  # heights at which words stand, so that short ones do not collide
_LETTER = 0.098  # s that a letter is wide at this size, measured on a picture
_CALLS = 3.4  # height at which calls are written, above all words
_POINTS = 4_000  # columns of a waveform in one row


def draw(conversation: Conversation, path: str | os.PathLike[str], title: str = "") -> Path:
    """Write the picture (PNG, or what the suffix says) and return its path.

    Twelve seconds a row; agent above, caller below; turns are shaded, words stand at their time,
    calls are written where they are made. Raises CorpusError when it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = min(_LONGEST, max(1, int(np.ceil(conversation.duration / _ROW - 1e-6))))
    width = min(_ROW, max(conversation.duration, 1.0)) if rows == 1 else _ROW
    figure: Any = Figure(figsize=(_WIDTH, _HEIGHT * rows + 0.3), layout="constrained")
    FigureCanvasAgg(figure)
    peak = max(float(np.abs(conversation.audio).max(initial=0.0)), 0.05)
    axes = figure.subplots(rows, 1, squeeze=False)[:, 0]
    for row in range(rows):
        _draw_row(axes[row], conversation, row * width, width, peak)
    axes[-1].set_xlabel("seconds")
    if title:
        figure.suptitle(title, fontsize=11)
    target = Path(path)
    try:
        figure.savefig(target, dpi=110)
    except (OSError, ValueError) as error:
        raise CorpusError(f"{target}: the picture could not be written: {error}") from error
    return target


def _draw_row(
    axes: Any, conversation: Conversation, start: float, width: float, peak: float
) -> None:
    """One row: agent around +1, caller around -1, words beyond each."""
    end = start + width
    axes.set_xlim(start, end)
    axes.set_ylim(-3.2, 3.7)
    axes.set_yticks([1, -1], list(SPEAKERS))
    axes.grid(axis="x", alpha=0.25, linewidth=0.5)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    for channel, speaker in enumerate(SPEAKERS):
        centre = 1.0 if speaker == "agent" else -1.0
        time, low, high = _envelope(conversation.audio[channel], start, end)
        axes.fill_between(
            time, centre + 0.8 * low / peak, centre + 0.8 * high / peak,
            color=_COLOURS[speaker], linewidth=0.4,
        )  # fmt: skip
        _draw_words(axes, conversation.words, speaker, start, width)
    for event in conversation.events:
        if event.start < end and event.end >= start:
            _draw_event(axes, event, start, width)


def _envelope(
    samples: npt.NDArray[np.float32], start: float, end: float
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Times (s), lowest and highest sample of every column of the picture."""
    first, last = round(start * SAMPLE_RATE), min(round(end * SAMPLE_RATE), len(samples))
    step = max(1, round((end - start) * SAMPLE_RATE / _POINTS))
    count = max(0, last - first) // step
    columns = samples[first : first + count * step].reshape(count, step)
    times = (first + np.arange(count) * step) / SAMPLE_RATE
    return times, columns.min(axis=1, initial=0.0), columns.max(axis=1, initial=0.0)


def _draw_words(
    axes: Any, words: tuple[Word, ...], speaker: Speaker, start: float, width: float
) -> None:
    """Each word at its time, on the lowest level where it does not run into another."""
    sign = 1.0 if speaker == "agent" else -1.0
    free = [start - 1.0] * _LEVELS
    letter = _LETTER * width / _ROW
    for word in words:
        if word.speaker != speaker or not start <= word.start < start + width:
            continue
        level = next((i for i in range(_LEVELS) if free[i] <= word.start), int(np.argmin(free)))
        free[level] = word.start + letter * (len(word.text) + 0.7)
        height = sign * (2.0 + 0.36 * level)
        axes.plot(
            [word.start, word.start], [sign * 1.85, height],
            color=_COLOURS[speaker], alpha=0.35, linewidth=0.7,
        )  # fmt: skip
        axes.plot([word.start, word.end], [sign * 1.85] * 2, color=_COLOURS[speaker], linewidth=1.6)
        axes.text(
            word.start, height, f" {word.text}", fontsize=9, color="#222222",
            ha="left", va="center", clip_on=True,
        )  # fmt: skip


def _draw_event(axes: Any, event: Event, start: float, width: float) -> None:
    """Turns and pauses are shades of their side, gaps a span, all else a line with its text."""
    low, high = (0.12, 1.85) if event.speaker == "agent" else (-1.85, -0.12)
    colour = _COLOURS[event.speaker]
    spans = event.end > event.start and event.kind not in ("pause", "gap", "call")
    if event.kind == "turn" or spans:
        axes.fill_between(
            [event.start, event.end], low, high, color=colour, alpha=0.10, linewidth=0
        )
        label = " ".join(_label_parts(event)) if event.kind == "turn" else _text(event)
        if label and event.start >= start:
            inside = low + 0.12 if event.speaker == "caller" else high - 0.12
            axes.text(event.start, inside, f" {label}", fontsize=7, color=colour, va="center")
    elif event.kind == "pause":
        axes.fill_between(
            [event.start, event.end], low, high, facecolor="none", edgecolor=colour,
            alpha=0.5, hatch="///", linewidth=0,
        )  # fmt: skip
    elif event.kind == "gap":
        axes.annotate(
            "", (event.end, 0.0), (event.start, 0.0),
            arrowprops={"arrowstyle": "<->", "color": "#444444", "linewidth": 0.9},
        )  # fmt: skip
        if event.start >= start:
            middle = (event.start + event.end) / 2
            axes.text(middle, 0.18, _text(event), fontsize=8, color="#444444", ha="center")
    elif event.start >= start:
        axes.axvline(event.start, color="#444444", linewidth=0.9, linestyle=":")
        left = event.start < start + 0.55 * width  # long texts stay inside the picture
        axes.text(
            event.start, _CALLS, f" {_text(event)} ", fontsize=8, color="#444444", va="center",
            ha="left" if left else "right", clip_on=True, family="monospace",
        )  # fmt: skip


def _label_parts(event: Event) -> Iterator[str]:
    intent, tone = event.data.get("intent", ""), event.data.get("tone", "neutral")
    if intent:
        yield str(intent)
    if tone != "neutral":
        yield f"({tone})"
    if event.data.get("voice"):
        yield f"[{event.data['voice']}]"


def _text(event: Event) -> str:
    if event.kind == "gap":
        return f"{1000 * (event.end - event.start):.0f} ms"
    if event.kind != "call":
        return str(event.data.get("label", event.kind.replace("_", " ")))
    arguments = json.dumps(event.data.get("arguments", {}), ensure_ascii=False)
    text = f"{event.data.get('name', 'call')} {arguments}".replace('"', "")
    return text if len(text) <= 110 else text[:107] + "..."
