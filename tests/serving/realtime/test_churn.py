"""Nobody hears another: calls on shared slots are what they are alone, bit for bit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.runtime.agent import Agent
from antiphon.runtime.clock import Clock
from antiphon.serving.call import CallInfo, LiveCall
from antiphon.serving.realtime.configuration import first_session
from antiphon.serving.realtime.protocol import Realtime

Caller = Callable[..., np.ndarray]
SLOTS, GROUP = 4, 2


@dataclass
class Visit:
    """One caller: when they come and go, and what they send at which of their beats."""

    number: int
    comes: int
    stays: int
    sends: dict[int, np.ndarray]
    sent: list[dict[str, Any]] = field(default_factory=list)
    heard: list[np.ndarray] = field(default_factory=list)
    call: LiveCall | None = None
    session: Realtime | None = None

    def again(self) -> Visit:
        return Visit(self.number, 0, self.stays, self.sends)

    # -- as an observer of its own call -----------------------------------------

    def heard_frame(self, samples: np.ndarray) -> None:
        self.heard.append(samples)

    def open(self, clock: Clock, agent: Agent) -> None:
        info = CallInfo(id=f"call_{self.number}")
        self.call = LiveCall(clock, info, observers=[_Ear(self)], seed=100 + self.number)
        session = first_session("tiny", "", agent.vocabulary.tools)
        self.session = Realtime(self.call, self.sent.append, session=session)
        self.session.begin()

    def step(self, beat: int) -> None:
        assert self.call is not None
        if beat in self.sends:
            self.call.push(self.sends[beat])
        if beat == 11 and self.number % 3 == 0:
            self.session.receive(json.dumps({"type": "response.cancel"}))  # type: ignore[union-attr]

    def read(self) -> None:
        assert self.call is not None
        while self.call._messages:
            self.session.tell(self.call._messages.popleft())  # type: ignore[union-attr]


class _Ear:
    def __init__(self, visit: Visit) -> None:
        self.visit = visit

    def heard(self, _: str, samples: np.ndarray) -> None:
        self.visit.heard_frame(samples)

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def visits(spoken: Caller) -> list[Visit]:
    rng = np.random.default_rng(7)
    found: list[Visit] = []
    comes = 0
    for number in range(14):
        loud = spoken(
            speech=float(rng.uniform(0.3, 1.2)), before=float(rng.uniform(0, 0.5)), after=3.0
        )
        loud = (loud * rng.uniform(0.3, 1.0)).astype(np.float32)
        cut = int(rng.integers(2_000, 20_000))
        sends = {0: loud[:cut], int(rng.integers(1, 12)): loud[cut:]}
        found.append(Visit(number, comes, int(rng.integers(5, 70)), sends))
        comes += int(rng.integers(2, 12))
    return found


async def play(agent: Agent, crowd: list[Visit]) -> None:
    clock = Clock(agent, SLOTS, group=GROUP, threads=2)
    waiting, here = list(crowd), list[tuple[int, Visit]]()
    beat = 0
    while waiting or here:
        for began, visit in list(here):
            if beat - began >= visit.stays:
                assert visit.call is not None
                visit.call.close("client")
                visit.read()
                here.remove((began, visit))
        while waiting and waiting[0].comes <= beat and clock.active < SLOTS:
            visit = waiting.pop(0)
            visit.open(clock, agent)
            here.append((beat, visit))
        for began, visit in here:
            visit.step(beat - began)
        clock.beat()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for _, visit in here:
            visit.read()
        beat += 1
    clock.stop()
    assert clock.active == 0


@pytest.fixture
def agent(tiny_bundle: Path) -> Agent:
    return Agent.load(tiny_bundle)


def test_calls_that_come_and_go_are_what_they_are_alone(agent: Agent, spoken: Caller) -> None:
    crowd = visits(spoken)
    asyncio.run(play(agent, crowd))
    for visit in crowd:
        alone = visit.again()
        asyncio.run(play(agent, [alone]))
        assert json.dumps(visit.sent) == json.dumps(alone.sent), f"caller {visit.number}"
        assert (np.stack(visit.heard) == np.stack(alone.heard)).all()
    assert len({json.dumps([e for e in v.sent if "delta" in e["type"]]) for v in crowd}) > 8


def test_every_event_names_its_own_session_only(agent: Agent, spoken: Caller) -> None:
    crowd = visits(spoken)[:6]
    asyncio.run(play(agent, crowd))
    for visit in crowd:
        text = json.dumps(visit.sent)
        for other in crowd:
            mine = f"_{other.number}_" in text or f'"conv_{other.number}"' in text
            assert mine == (other.number == visit.number)
