"""A whole recording through an agent and its guard, in process: what `antiphon talk --guard` does.

In: a recording. Out: what was heard and said as `Agent.answer` tells it, with the voice that the
guard let through, and the guard's events.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from antiphon.audio import FRAME
from antiphon.audio.io import frames, read
from antiphon.corpus.order import fold
from antiphon.guard.beats import beats
from antiphon.guard.events import GuardEvent
from antiphon.guard.filter import Reviewed
from antiphon.guard.stage import Service
from antiphon.runtime.agent import LONGEST, PATIENCE, Agent, Answer, Audio
from antiphon.runtime.clock import EndedEvent, HeardEvent
from antiphon.runtime.events import (
    AgentWordEvent,
    AudioEvent,
    CallerWordEvent,
    CallEvent,
    Event,
    Samples,
)
from antiphon.runtime.latency import AUDIBLE, Latency, first_audible, frame_costs, speech_end
from antiphon.runtime.session import SECONDS
from antiphon.runtime.words import Turn

SETTLE = 1.6  # s of the agent's silence after which its answer is over: a cascade thinks longer
_PAUSE = 1.0  # s between words that part two turns


@dataclass(frozen=True)
class Guarded:
    """An answer, and what the guard did."""

    answer: Answer
    events: tuple[GuardEvent, ...] = field(repr=False)
    level: str
    """Who answered at the end."""
    added_ms: list[float] = field(repr=False)
    """By how much each word that was heard was delayed."""


def answer(
    agent: Agent,
    service: Service,
    audio: Audio,
    *,
    seed: int = 0,
    realtime: bool = False,
    style: str | None = None,
    speed: float | None = None,
) -> Guarded:
    """Play a recording to a guarded agent and let it finish. `realtime` feeds at the clock's pace;
    style and speed are as `Agent.session` takes them.

    audio: a file, or float32 [N] at 16 kHz. Raises AudioError when it cannot be used.
    """
    caller = audio if isinstance(audio, np.ndarray) else read(audio)
    end = speech_end(caller)
    heard: list[Samples] = []
    voice: list[Samples] = []
    events: list[Event] = []
    found: list[GuardEvent] = []
    with agent.session(seed, style=style, speed=speed) as session:
        guard = service.guard(f"talk-{seed}", session.say, seed=seed)
        began = time.perf_counter()
        for frame in _with_tail(caller, voice, end or 0.0):
            if realtime:
                due = began + (len(heard) + 1) * SECONDS
                time.sleep(max(0.0, due - time.perf_counter()))
            heard.append(frame)
            for beat in beats(session, frame):
                _sort(guard.review(beat), voice, events, found)
        level, added = guard.level, list(guard.filter.added_ms)
        guard.close()
        costs = frame_costs(session.process_seconds)
    first = first_audible(np.concatenate(voice), end, process=costs[0] / 1e3) if end else None
    calls = tuple(event for event in events if isinstance(event, CallEvent))
    turns = _turns(events)
    said = Answer(
        caller_text=" ".join(e.text for e in events if isinstance(e, CallerWordEvent)),
        agent_text=" ".join(turn.text for turn in turns),
        agent_turns=turns,
        calls=calls,
        order=fold(calls, agent.scenario),
        latency_ms=Latency(
            first_audible=None if first is None else round(first * 1e3, 1),
            frame_p50=round(costs[0], 2),
            frame_p99=round(costs[1], 2),
            real_time_factor=round(costs[2], 4),
            late_frames=costs[3],
        ),
        caller=np.concatenate([*heard, np.zeros(FRAME, dtype=np.float32)]),
        # A frame plays when the caller's frame is full: one frame later on the clock.
        audio=np.concatenate([np.zeros(FRAME, dtype=np.float32), *voice]),
        events=tuple(events),
    )
    return Guarded(said, tuple(found), level, added)


def _sort(
    passed: list[Reviewed], voice: list[Samples], events: list[Event], found: list[GuardEvent]
) -> None:
    for event in passed:
        if isinstance(event, AudioEvent):
            voice.append(event.samples)
        elif isinstance(event, GuardEvent):
            found.append(event)
        elif not isinstance(event, HeardEvent | EndedEvent):
            events.append(event)


def _with_tail(caller: Samples, voice: list[Samples], end: float) -> Iterator[Samples]:
    """The recording's frames, then silence until the answer is over or none has come; `voice` grows
    as they are used."""
    yield from frames(caller)
    silence = np.zeros(FRAME, dtype=np.float32)
    last, seen = 0.0, 0
    while len(voice) * SECONDS < end + LONGEST:
        for index in range(seen, len(voice)):
            if np.abs(voice[index]).max() >= AUDIBLE:
                last = (index + 1) * SECONDS
        seen = len(voice)
        still = seen * SECONDS - max(last, end)
        if still >= (SETTLE if last > end else PATIENCE):
            return
        yield silence


def _turns(events: list[Event]) -> tuple[Turn, ...]:
    """The words that were heard, by turn."""
    turns: list[Turn] = []
    last = -_PAUSE
    for event in events:
        if not isinstance(event, AgentWordEvent):
            continue
        if event.start - last > _PAUSE or not turns:
            turns.append(Turn(event.text, int(event.start / SECONDS)))
        else:
            turns[-1] = Turn(f"{turns[-1].text} {event.text}", turns[-1].frame)
        last = event.start
    return tuple(turns)
