"""Recorded calls, reviewed again: what this guard would have found, and how risky they were.

In: a call's events as they were told, and the agent's voice if it was kept. Out: the guard's
events, the turns, and a monitor that has seen it all. Nothing is spoken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from antiphon.audio import SAMPLE_RATE
from antiphon.guard.beats import replayed
from antiphon.guard.checks import Rulebook
from antiphon.guard.events import GuardEvent, Judge
from antiphon.guard.filter import Filter
from antiphon.guard.monitor import Monitor
from antiphon.runtime.events import (
    AgentWordEvent,
    CallerWordEvent,
    Event,
    Samples,
    ToneEvent,
)
from antiphon.runtime.session import SECONDS

_PAUSE = 2.0  # s between words that part two turns of one speaker
_TAIL = 2.0  # s that are let pass after the last event


@dataclass(frozen=True)
class Recorded:
    """A call as it was kept."""

    name: str
    told: tuple[Event, ...]
    """The runtime's events, whatever is known of them."""
    agent: Samples | None = None
    """The agent's voice as it was played, float32 [N] at 16 kHz; None: it was not kept."""
    guard: tuple[GuardEvent, ...] = ()
    """What a guard did then."""


@dataclass(frozen=True)
class Turn:
    """What one side said in one go; times in seconds of the call."""

    speaker: str
    text: str
    start: float
    end: float
    tone: str | None = None


@dataclass
class Seen:
    """What was found in a call."""

    name: str
    events: list[GuardEvent] = field(default_factory=list[GuardEvent])
    turns: list[Turn] = field(default_factory=list[Turn])


def review(
    rules: Rulebook, call: Recorded, monitor: Monitor, *, judge: Judge | None = None, at: float = 0
) -> Seen:
    """Review a call, and let the monitor see it; `at` (s) is when it began, on the monitor's
    clock."""
    if call.agent is None:
        rules = rules.without("audio", "speech")
    voice = _voice(call)
    filter_ = Filter(rules, judge=judge)
    seen = Seen(call.name, list(call.guard), turns_of(call.told))
    turns = list(seen.turns)
    monitor.opened(call.name, at)
    for beat in replayed(voice, call.told, start=SECONDS):
        out = filter_.review(beat)
        now = beat[0].time
        found = [event for event in out if isinstance(event, GuardEvent)]
        seen.events += found
        monitor.events(call.name, out, at + now)
        for rate in filter_.divergences():
            monitor.divergence(call.name, rate)
        while turns and turns[0].end + _PAUSE <= now:
            monitor.turn(call.name, turns.pop(0))
    for turn in turns:
        monitor.turn(call.name, turn)
    monitor.events(call.name, list(call.guard), at)
    monitor.closed(call.name, at + len(voice) / SAMPLE_RATE)
    return seen


def turns_of(told: Sequence[Event]) -> list[Turn]:
    """The turns of both sides, by their words, in the order in which they began."""
    words: list[tuple[float, str, str]] = []
    tones: list[ToneEvent] = []
    for event in told:
        if isinstance(event, AgentWordEvent):
            words.append((event.start, "agent", event.text))
        elif isinstance(event, CallerWordEvent):
            words.append((event.end, "caller", event.text))
        elif isinstance(event, ToneEvent):
            tones.append(event)
    found: list[Turn] = []
    for speaker in ("caller", "agent"):
        run: list[tuple[float, str]] = []
        for time, text in sorted((t, x) for t, who, x in words if who == speaker):
            if run and time - run[-1][0] > _PAUSE:
                found.append(_turn(speaker, run, tones))
                run = []
            run.append((time, text))
        if run:
            found.append(_turn(speaker, run, tones))
    return sorted(found, key=lambda turn: turn.start)


def _turn(speaker: str, run: list[tuple[float, str]], tones: list[ToneEvent]) -> Turn:
    end = run[-1][0]
    told = [event.tone for event in tones if event.time <= end + _PAUSE / 2]
    tone = told[-1] if told and speaker == "caller" else None
    return Turn(speaker, " ".join(text for _, text in run), run[0][0], end, tone)


def _voice(call: Recorded) -> Samples:
    if call.agent is not None:
        tail = np.zeros(round(_TAIL * SAMPLE_RATE), dtype=np.float32)
        return np.concatenate((call.agent, tail))
    last = max((event.time for event in call.told), default=0.0)
    return np.zeros(round((last + _TAIL) * SAMPLE_RATE), dtype=np.float32)
