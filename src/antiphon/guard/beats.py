"""A session's events beat by beat, as the server's clock tells them, for stages in process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.runtime.clock import ClockEvent, HeardEvent
from antiphon.runtime.events import AudioEvent, Event, Samples
from antiphon.runtime.session import SECONDS, Session


def beats(session: Session, samples: npt.ArrayLike) -> Iterator[list[ClockEvent]]:
    """Push float samples [N] at 16 kHz, N a multiple of 1280, and give each frame's events, the
    caller's side first. Raises AudioError as `Session.push` does."""
    whole = np.asarray(samples, dtype=np.float32)
    for start in range(0, len(whole), FRAME):
        frame = whole[start : start + FRAME]
        told = list(session.push(frame))
        if session.last is not None:
            yield [HeardEvent(time=session.time, samples=frame, out=session.last), *told]


def replayed(agent: Samples, told: Sequence[Event], *, start: float = 0.0) -> list[list[Event]]:
    """A recording's beats: the agent's voice as it was played, float32 [N] at 16 kHz, and what it
    told, by time. `start` (s) is when sample 0 played."""
    rest = sorted(told, key=lambda event: event.time)
    found: list[list[Event]] = []
    for at in range(0, len(agent), FRAME):
        time = start + at / SAMPLE_RATE
        frame = agent[at : at + FRAME]
        frame = np.pad(frame, (0, FRAME - len(frame)))
        here: list[Event] = [AudioEvent(time=time, samples=frame)]
        while rest and rest[0].time < time + SECONDS / 2:
            here.append(rest.pop(0))
        found.append(here)
    return found
