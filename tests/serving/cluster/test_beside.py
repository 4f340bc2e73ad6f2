"""An engine in a process of its own: its calls, and what is left when it or the server dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.errors import AntiphonError
from antiphon.serving.cluster import beside as module
from antiphon.serving.cluster.beside import Beside, EngineClock, beside
from antiphon.serving.config import ServerConfig
from antiphon.serving.logs import LogConfig
from tests.serving.cluster.ear import Ear, heard_here
from tests.serving.served import agent_of

Make = Callable[..., Any]


def wait_for(true: Callable[[], Any], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def runs(pid: int) -> bool:
    """Whether there is such a process (a zombie is none)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def on_a_call(clock: EngineClock) -> Ear:
    """A caller who is being heard."""
    ear = Ear()
    clock.open(ear).push(np.zeros(12800, np.float32))
    wait_for(lambda: ear.events)
    return ear


def desk_of(clock: EngineClock) -> Beside:
    desk = clock._desk
    assert isinstance(desk, Beside)
    return desk


@pytest.fixture
def engine(tiny_bundle: Path) -> Generator[Make]:
    with ExitStack() as stack:

        def make(slots: int | None = 2, **settings: Any) -> EngineClock:
            config = ServerConfig(
                bundle=str(tiny_bundle), slots=slots, threads=1, group=1, first=False
            )
            clock = stack.enter_context(
                beside(agent_of(tiny_bundle), config, LogConfig(), **settings)
            )
            stack.callback(clock.stop)
            clock.start()
            return clock

        yield make


def test_a_call_there_is_the_call_that_it_would_be_here(
    engine: Make, tiny_bundle: Path, spoken: Make
) -> None:
    sound = spoken(0.6, 0.2, 3.0)
    here = heard_here(tiny_bundle, sound, seed=7)
    there, apart = Ear(), engine()
    assert apart.slots == apart.capacity.slots == 2
    assert desk_of(apart).pid != os.getpid()
    line = apart.open(there, seed=7)
    line.push(sound)
    wait_for(there.calls)
    assert [c.arguments for c in there.calls()] == [c.arguments for c in here.calls()]
    assert 0 <= apart.missed <= apart.beats
    line.close()
    wait_for(lambda: apart.active == 0)
    wait_for(lambda: apart.slots == 2)


def test_an_engine_that_is_killed_ends_its_calls_and_another_takes_new_ones(engine: Make) -> None:
    clock = engine()
    ear = on_a_call(clock)
    first = desk_of(clock).pid
    os.kill(first, signal.SIGKILL)
    wait_for(ear.ended.is_set)
    assert ear.reason.startswith("engine: the engine")
    assert clock.hangs == 1
    wait_for(lambda: clock.slots == 2)
    assert desk_of(clock).pid != first
    on_a_call(clock)


def test_an_engine_that_hangs_is_ended_and_another_begun(
    engine: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    clock = engine(on_hung=told.append)
    first = desk_of(clock)._process
    report = first.report

    async def hangs() -> Any:
        return (await report())[0], module.HUNG + 1

    monkeypatch.setattr(first, "report", hangs)
    wait_for(lambda: not runs(first.pid))
    wait_for(lambda: desk_of(clock)._process is not first and clock.slots == 2)
    assert len(told) == 1
    assert "has not returned for 6.0 s" in told[0]


def test_an_engine_that_answers_no_more_is_ended_and_another_begun(engine: Make) -> None:
    clock = engine()
    clock.silence = 1.0
    ear = on_a_call(clock)
    first = desk_of(clock).pid
    os.kill(first, signal.SIGSTOP)
    wait_for(ear.ended.is_set)
    assert "does not answer" in ear.reason
    wait_for(lambda: not runs(first))
    wait_for(lambda: clock.slots == 2)


def test_the_engine_ends_with_its_context(tiny_bundle: Path) -> None:
    config = ServerConfig(bundle=str(tiny_bundle), slots=1, threads=1, first=False)
    with beside(agent_of(tiny_bundle), config, LogConfig()) as clock:
        pid = desk_of(clock).pid
        assert runs(pid)
    assert not runs(pid)


def test_the_engine_ends_when_its_server_is_killed(tiny_bundle: Path) -> None:
    program = """
import sys, time
from antiphon.runtime.agent import Agent
from antiphon.serving.cluster.beside import beside
from antiphon.serving.config import ServerConfig
from antiphon.serving.logs import LogConfig
config = ServerConfig(bundle=sys.argv[1], slots=1, threads=1, first=False)
with beside(Agent.load(sys.argv[1]), config, LogConfig()) as clock:
    print(clock._desk.pid, flush=True)
    time.sleep(600)
"""
    server = subprocess.Popen(
        [sys.executable, "-c", program, str(tiny_bundle)], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    pid = int(server.stdout.readline())
    assert runs(pid)
    server.kill()
    server.wait()
    wait_for(lambda: not runs(pid))
    server.stdout.close()


def test_an_engine_that_cannot_begin_says_why(tiny_bundle: Path) -> None:
    config = ServerConfig(bundle="no/such/bundle", slots=1, threads=1)
    with (
        pytest.raises(AntiphonError, match="no/such/bundle"),
        beside(agent_of(tiny_bundle), config, LogConfig()),
    ):
        pass
