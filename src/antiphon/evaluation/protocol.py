"""What a system under test must do: take 20 ms of a caller on a clock, give what it says.

Both sides move in ticks of 20 ms. In tick t the caller's samples go in; what comes back plays
in tick t + 1, beside the caller's next samples. So the recording of a trial is what a person
on the line would have heard, and every time in it is on the stimulus's own clock.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Annotated, NamedTuple, Protocol

from pydantic import Field

from antiphon.audio import SAMPLE_RATE
from antiphon.runtime.events import (
    AgentWordEvent,
    CallerWordEvent,
    CallEvent,
    Samples,
    ToneEvent,
    TurnEvent,
)

TICK = 320  # samples, 20 ms at 16 kHz
SECONDS = TICK / SAMPLE_RATE

Told = Annotated[
    AgentWordEvent | CallerWordEvent | CallEvent | TurnEvent | ToneEvent,
    Field(discriminator="type"),
]
"""What a system may tell beside its voice; the runtime's events, on the trial's clock."""


class Heard(NamedTuple):
    """What a system gave in one tick: its voice in the next one, float32 [TICK], and events."""

    agent: Samples
    told: tuple[Told, ...] = ()


class Line(Protocol):
    """One call to a system under test."""

    def push(self, caller: Samples, /) -> Heard:
        """20 ms of the caller, float32 [TICK] at 16 kHz; what the system gave meanwhile.

        A live system's line returns when these 20 ms are over on the wall's clock.
        Raises AntiphonError when the system is gone.
        """
        ...


class System(Protocol):
    """Whatever can be streamed audio in real time and answers in audio."""

    @property
    def name(self) -> str:
        """How reports call it."""
        ...

    @property
    def live(self) -> bool:
        """Whether its clock is the wall's; if not, trials run as fast as they can."""
        ...

    def call(self, seed: int) -> AbstractContextManager[Line]:
        """A new call; the same seed gives the same call where the system can."""
        ...


class Effect(Protocol):
    """What a telephone line does, a tick at a time."""

    def __call__(self, caller: Samples, agent: Samples, /) -> Samples:
        """[TICK] of the caller and of the agent beside it to [TICK] that the system hears."""
        ...
