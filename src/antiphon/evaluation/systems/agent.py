"""A bundle of ours, in process: its clock is simulated, so trials run as fast as it can."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np

from antiphon.audio import FRAME
from antiphon.evaluation.protocol import TICK, Heard, Told
from antiphon.runtime.agent import Agent
from antiphon.runtime.events import AudioEvent, Samples
from antiphon.runtime.session import Session


class AgentSystem:
    """A bundle as a system under test."""

    live = False

    def __init__(self, agent: Agent, name: str) -> None:
        self._agent, self._name = agent, name

    @property
    def name(self) -> str:
        """How reports call it."""
        return self._name

    @contextmanager
    def call(self, seed: int) -> Generator[AgentLine]:
        """A session with this seed."""
        with self._agent.session(seed=seed) as session:
            yield AgentLine(session)


class AgentLine:
    """A session, in ticks: a frame's voice plays in the four ticks after the frame was full."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._voice: deque[Samples] = deque()

    def push(self, caller: Samples, /) -> Heard:
        """20 ms of the caller."""
        told: list[Told] = []
        for event in self._session.push(caller):
            if isinstance(event, AudioEvent):
                self._voice.extend(np.split(event.samples, FRAME // TICK))
            else:
                told.append(event)
        voice = self._voice.popleft() if self._voice else np.zeros(TICK, dtype=np.float32)
        return Heard(voice, tuple(told))
