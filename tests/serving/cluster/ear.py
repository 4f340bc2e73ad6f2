"""Who listens to a line in tests, and the call that it would be on a clock here."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from antiphon.runtime.clock import Clock, ClockEvent, EndedEvent
from antiphon.runtime.events import CallEvent
from tests.serving.served import agent_of


class Ear:
    """What a line is told."""

    def __init__(self) -> None:
        self.events: list[ClockEvent] = []
        self.ended = threading.Event()

    def __call__(self, events: Sequence[ClockEvent]) -> None:
        self.events += events
        if any(isinstance(event, EndedEvent) for event in events):
            self.ended.set()

    @property
    def reason(self) -> str:
        (ended,) = (event for event in self.events if isinstance(event, EndedEvent))
        assert self.events[-1] is ended
        return ended.reason

    def calls(self) -> list[CallEvent]:
        return [event for event in self.events if isinstance(event, CallEvent)]


def heard_here(bundle: Path, sound: np.ndarray, seed: int) -> Ear:
    """The same caller on a clock of this process."""
    here, clock = Ear(), Clock(agent_of(bundle), 1, group=1)
    clock.open(here, seed=seed).push(sound)
    for _ in range(len(sound) // 1280):
        clock.beat()
    return here
