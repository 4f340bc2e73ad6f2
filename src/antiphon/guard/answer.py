"""A whole recording through an agent and its guard, in process: what `antiphon talk --guard` does.

In: a recording. Out: what was heard and said as `Agent.answer` tells it, with the voice that the
guard let through, and the guard's events.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from antiphon.guard.beats import beats
from antiphon.guard.events import GuardEvent
from antiphon.guard.stage import Service
from antiphon.runtime.agent import Agent, Answer, Audio, Played
from antiphon.runtime.clock import EndedEvent, HeardEvent
from antiphon.runtime.events import AgentWordEvent, CallerWordEvent, Event, Samples
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
    caller_end: float | None = None,
    realtime: bool = False,
    style: str | None = None,
    speed: float | None = None,
) -> Guarded:
    """Play a recording to a guarded agent and let it finish. `realtime` feeds at the clock's pace;
    `caller_end` is as `Agent.answer` takes it, style and speed as `Agent.session` does.

    audio: a file, or float32 [N] at 16 kHz. Raises AudioError when it cannot be used.
    """
    played = Played(audio, caller_end=caller_end)
    found: list[GuardEvent] = []
    with agent.session(seed, style=style, speed=speed) as session:
        guard = service.guard(f"talk-{seed}", session.say, seed=seed)

        def hear(frame: Samples) -> Iterator[Event]:
            for beat in beats(session, frame):
                for event in guard.review(beat):
                    if isinstance(event, GuardEvent):
                        found.append(event)
                    elif not isinstance(event, HeardEvent | EndedEvent):
                        yield event

        played.through(hear, settle=SETTLE, realtime=realtime)
        level, added = guard.level, list(guard.filter.added_ms)
        guard.close()
        # What was heard and passed, and not what the network meant.
        heard = (e.text for e in played.events if isinstance(e, CallerWordEvent))
        turns = _turns(played.events)
        said = played.answer(
            agent.scenario,
            session.process_seconds,
            caller_text=" ".join(heard),
            agent_text=" ".join(turn.text for turn in turns),
            turns=turns,
        )
    return Guarded(said, tuple(found), level, added)


def _turns(events: Sequence[Event]) -> tuple[Turn, ...]:
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
