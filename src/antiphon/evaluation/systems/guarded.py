"""A bundle behind its guard, in process: what is heard is what the filter let through, and the
cascade answers where the breaker trusts the network no more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from typing import get_args

import numpy as np

from antiphon.audio import FRAME
from antiphon.corpus.scenario import Scenario
from antiphon.evaluation.protocol import TICK, Heard, Told
from antiphon.guard.answer import answer
from antiphon.guard.beats import beats
from antiphon.guard.checks import Rulebook
from antiphon.guard.config import GuardConfig
from antiphon.guard.opening import open_service
from antiphon.guard.stage import Guard
from antiphon.runtime.agent import Agent, Answer, Audio
from antiphon.runtime.events import AudioEvent, Samples
from antiphon.runtime.session import Session

_TELLING: tuple[type, ...] = get_args(get_args(Told)[0])  # the guard's own events are not told


class GuardedSystem:
    """A bundle and its guard as one system under test.

    Every call has a service of its own: one call's troubles are not another's, whatever the order
    in which trials run.
    """

    live = False

    def __init__(self, agent: Agent, name: str) -> None:
        """Says the guard's phrases once. Raises ScenarioError for a wrong guard's section."""
        self._agent, self._name = agent, name
        self._opened = open_service(agent)

    @property
    def name(self) -> str:
        """How reports call it."""
        return self._name

    @contextmanager
    def call(self, seed: int) -> Generator[GuardedLine]:
        """A guarded session with this seed."""
        service = self._opened.alike()
        with self._agent.session(seed=seed) as session:
            guard = service.guard(f"trial-{seed}", session.say, seed=seed)
            try:
                yield GuardedLine(session, guard)
            finally:
                guard.close()


class GuardedAgent:
    """A bundle and its guard, for whoever asks an agent for answers to recordings."""

    def __init__(self, agent: Agent, config: GuardConfig | None = None) -> None:
        """Says the guard's phrases once. `config`: in place of the guard's section of the agent's
        scenario. Raises ScenarioError for a wrong one."""
        self._agent = agent
        self._opened = open_service(agent, rules=Rulebook(agent.scenario, config=config))

    @property
    def scenario(self) -> Scenario:
        """The agent's."""
        return self._agent.scenario

    def answer(self, audio: Audio, *, seed: int = 0, caller_end: float | None = None) -> Answer:
        """As `Agent.answer`: what was heard, and the calls that went out."""
        service = self._opened.alike()
        return answer(self._agent, service, audio, seed=seed, caller_end=caller_end).answer


class GuardedLine:
    """A guarded session, in ticks: a frame's voice plays in the four ticks after it was full."""

    def __init__(self, session: Session, guard: Guard) -> None:
        self._session, self._guard = session, guard
        self._caller: list[Samples] = []
        self._voice: deque[Samples] = deque()

    def push(self, caller: Samples, /) -> Heard:
        """20 ms of the caller."""
        told: list[Told] = []
        self._caller.append(caller)
        if len(self._caller) == FRAME // TICK:
            frame = np.concatenate(self._caller)
            self._caller.clear()
            for beat in beats(self._session, frame):
                for event in self._guard.review(beat):
                    if isinstance(event, AudioEvent):
                        self._voice.extend(np.split(event.samples, len(event.samples) // TICK))
                    elif isinstance(event, _TELLING):
                        told.append(event)  # pyright: ignore[reportArgumentType]
        voice = self._voice.popleft() if self._voice else np.zeros(TICK, dtype=np.float32)
        return Heard(voice, tuple(told))
