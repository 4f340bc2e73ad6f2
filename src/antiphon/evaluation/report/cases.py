"""A trial as a page shows it: small sound, the outline of both channels, words and events."""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import soundfile as sf

from antiphon.audio import SAMPLE_RATE
from antiphon.evaluation.figures import Verdict
from antiphon.evaluation.report.model import Case
from antiphon.evaluation.trial import Trial
from antiphon.runtime.events import (
    AgentWordEvent,
    CallerWordEvent,
    CallEvent,
    Samples,
    ToneEvent,
    TurnEvent,
)

OUTLINE = 320  # samples a point of the outline stands for, 20 ms
_SMALL = 0.96  # libsndfile's compression of Opus: about 35 kbit/s in stereo
_LONGEST_WORD = 0.6  # s that a word of the agent's is shown for when nothing follows it


def case(trial: Trial, sound: str, verdicts: Sequence[Verdict] = ()) -> Case:
    """A trial's facts; `sound` is where its recording lies, relative to the report."""
    told = trial.told
    return Case(
        id=trial.stimulus.id,
        seed=trial.seed,
        suite=trial.stimulus.suite,
        kind=trial.stimulus.kind,
        condition=trial.stimulus.condition,
        group=trial.stimulus.group,
        sound=sound,
        seconds=round(trial.conversation.duration, 2),
        verdicts=tuple(verdicts),
        caller=" ".join(word.text for word in trial.conversation.words),
        heard=" ".join(e.text for e in told if isinstance(e, CallerWordEvent)),
        agent=trial.agent_text,
        calls=tuple(_call(event) for event in trial.calls),
        told=dict(Counter(event.type for event in told)),
        costs=trial.costs,
    )


def picture(trial: Trial) -> dict[str, Any]:
    """What is drawn of a trial: `outline` (both channels), `words` and `events` as rows.

    words: [who, text, start, end]; events: [who, kind, start, end, label], times in seconds.
    """
    words: list[list[Any]] = [
        ["caller", word.text, word.start, word.end] for word in trial.conversation.words
    ]
    words += _agent_words(trial)
    events: list[list[Any]] = [
        ["caller", e.kind, e.start, e.end, _label(e.kind, e.data)]
        for e in trial.conversation.events
    ]
    for event in trial.told:
        at = round(event.time, 3)
        if isinstance(event, CallEvent):
            events.append(["agent", "call", at, at, _call(event)])
        elif isinstance(event, ToneEvent):
            events.append(["agent", "tone", at, at, f"hears {event.tone}"])
        elif isinstance(event, TurnEvent):
            events.append(["agent", "state", at, at, event.state])
    outlines = [outline(channel) for channel in (trial.agent, trial.caller)]
    return {"outline": outlines, "words": words, "events": events}


def outline(samples: Samples) -> str:
    """The peak of every 20 ms of float32 [N], as base64 of a byte each: 48 dB on 255 steps."""
    whole = np.pad(np.abs(samples), (0, -len(samples) % OUTLINE)).reshape(-1, OUTLINE)
    peaks = whole.max(axis=1, initial=0.0)
    decibel = 20 * np.log10(np.maximum(peaks, 1e-6))
    steps = np.clip((decibel + 48) / 48, 0, 1) * 255
    return base64.b64encode((steps + 0.5).astype(np.uint8).tobytes()).decode()


def small_sound(trial: Trial) -> str:
    """Both channels as Opus in Ogg, base64: the agent left, the caller right."""
    file = io.BytesIO()
    samples = np.clip(trial.conversation.audio.T, -1, 1)
    sf.write(file, samples, SAMPLE_RATE, format="OGG", subtype="OPUS", compression_level=_SMALL)
    return base64.b64encode(file.getvalue()).decode()


def _agent_words(trial: Trial) -> list[list[Any]]:
    said = [event for event in trial.told if isinstance(event, AgentWordEvent)]
    ends = [min(b.start, a.start + _LONGEST_WORD) for a, b in pairwise(said)]
    ends += [event.start + _LONGEST_WORD for event in said[-1:]]
    return [
        ["agent", event.text, round(event.start, 3), round(max(end, event.start), 3)]
        for event, end in zip(said, ends, strict=True)
    ]


def _label(kind: str, data: dict[str, Any]) -> str:
    if kind == "missed":
        return f"not said: {data.get('kind', '')}"
    tone = data.get("tone", "neutral")
    return kind.replace("_", " ") + (f", {tone}" if tone != "neutral" else "")


def _call(event: CallEvent) -> str:
    return f"{event.name}({json.dumps(event.arguments, ensure_ascii=False)})"
