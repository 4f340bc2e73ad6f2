"""A gateway and real replicas in one process: what a call sees, and what it does not."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from antiphon.corpus.delivery import Delivery
from antiphon.errors import AntiphonError, AudioError, BundleError
from antiphon.runtime.clock import ClockFull, HeardEvent
from antiphon.runtime.events import AudioEvent
from antiphon.serving.cluster.gateway import ClusterClock, ClusterLine
from antiphon.serving.cluster.leases import Ledger
from antiphon.serving.cluster.replica import Replica, ReplicaConfig
from antiphon.serving.house import House
from tests.serving.cluster.desk import LocalDesk
from tests.serving.cluster.ear import Ear, heard_here
from tests.serving.served import agent_of, served

Make = Callable[..., Any]
Open = Callable[..., ClusterClock]


@pytest.fixture
def desk() -> Generator[LocalDesk]:
    desk = LocalDesk()
    yield desk
    desk.close()


@pytest.fixture
def replica(tiny_bundle: Path) -> Make:
    def make(name: str, slots: int = 1) -> Replica:
        return Replica(name, ReplicaConfig(bundle=str(tiny_bundle), slots=slots, group=1))

    return make


@pytest.fixture
def gateway(desk: LocalDesk, tiny_bundle: Path) -> Generator[Open]:
    made: list[ClusterClock] = []

    def make(**settings: float) -> ClusterClock:
        made.append(ClusterClock(agent_of(tiny_bundle), desk, **settings))  # type: ignore[arg-type]
        made[-1].start()
        return made[-1]

    yield make
    for clock in made:
        clock.stop()


def heard(ear: Ear) -> np.ndarray:
    parts = [event.samples for event in ear.events if isinstance(event, HeardEvent)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)


def test_a_call_over_there_is_the_call_that_it_would_be_here(
    desk: LocalDesk, replica: Make, gateway: Open, tiny_bundle: Path, spoken: Make
) -> None:
    sound = spoken(0.6, 0.2, 3.0)
    here = heard_here(tiny_bundle, sound, seed=7)
    desk.add(replica("a"))
    there, remote = Ear(), gateway()
    line = remote.open(there, seed=7)
    for start in range(0, len(sound), 500):
        line.push(sound[start : start + 500])
    assert line.backlog > 2.0
    desk.wait(there.calls)
    assert [c.arguments for c in there.calls()] == [c.arguments for c in here.calls()]
    speech = np.trim_zeros(sound, "fb")
    assert np.array_equal(np.trim_zeros(heard(there), "fb"), speech)
    first, second = there.events[:2]
    assert isinstance(first, HeardEvent)
    assert isinstance(second, AudioEvent)
    line.clear()
    assert line.backlog == 0.0
    line.say("hello there")
    desk.wait(lambda: any(e.type == "agent_word" and e.text == "hello" for e in there.events))
    assert remote.beats > 0
    line.close()
    desk.wait(lambda: remote.active == 0)
    told = len(there.events)
    line.push(sound)
    again = remote_open(desk, remote, Ear())
    again.close()
    assert len(there.events) == told


def test_bad_input_is_refused_before_it_travels(
    desk: LocalDesk, replica: Make, gateway: Open
) -> None:
    desk.add(replica("a"))
    line = gateway().open(Ear())
    with pytest.raises(AudioError, match="finite"):
        line.push([float("nan")])
    with pytest.raises(AntiphonError):
        line.say("...")
    with pytest.raises(BundleError, match="without styles"):
        line.delivery = Delivery(style="calm")


def test_the_caller_beyond_the_last_slot_is_refused_at_once(
    desk: LocalDesk, replica: Make, gateway: Open
) -> None:
    desk.add(replica("a"))
    desk.add(replica("b"))
    remote = gateway()
    desk.wait(lambda: remote.slots == 2)
    lines = [remote.open(Ear()), remote.open(Ear())]
    assert {line.lease.replica for line in lines} == {"a", "b"}
    began = time.monotonic()
    with pytest.raises(ClockFull):
        remote.open(Ear())
    assert time.monotonic() - began < 0.5
    assert (remote.active, remote.slots) == (2, 2)
    lines[0].close()
    assert remote_open(desk, remote, Ear()).lease.replica == lines[0].lease.replica


def test_a_burst_of_calls_beyond_the_leases_in_hand_waits_for_no_visit_of_its_own(
    desk: LocalDesk, replica: Make, gateway: Open
) -> None:
    desk.add(replica("a", 6))
    remote = gateway(spare=1)
    for _ in range(6):
        remote_open(desk, remote, Ear())
    assert remote.active == 6


@pytest.mark.parametrize("how", ["cut", "blocked"])
def test_a_lost_replica_ends_its_calls_with_a_reason_and_no_others(
    desk: LocalDesk, replica: Make, gateway: Open, how: str
) -> None:
    ways = {name: desk.add(replica(name)) for name in ("a", "b")}
    remote, ears = gateway(silence=1.0), {}
    for _ in range(2):
        ear = Ear()
        line = remote.open(ear)
        ears[line.lease.replica] = ear
    desk.wait(lambda: all(ear.events for ear in ears.values()))
    setattr(ways["a"], how, True)
    assert ears["a"].ended.wait(5)
    said = {"cut": "engine: a was lost", "blocked": "engine: a does not answer"}
    assert ears["a"].reason == said[how]
    assert (remote.active, remote.hangs) == (1, 1)
    desk.wait(lambda: "a" not in desk.used())  # the ledger is told next
    before = len(ears["b"].events)
    desk.wait(lambda: len(ears["b"].events) > before + 10)
    assert not ears["b"].ended.is_set()
    # Another takes its place while calls go on.
    desk.add(replica("c"))
    assert remote_open(desk, remote, Ear()).lease.replica == "c"


def test_a_drained_replica_takes_no_calls_and_its_own_go_on(
    desk: LocalDesk, replica: Make, gateway: Open
) -> None:
    desk.add(replica("a", 2))
    remote, ear = gateway(), Ear()
    line = remote.open(ear)
    desk.do("drain", "a")
    desk.wait(lambda: desk.used()["a"] == 1)  # what was in hand is given back
    with pytest.raises(ClockFull):
        remote.open(Ear())
    before = len(ear.events)
    desk.wait(lambda: len(ear.events) > before + 10)
    line.close()
    desk.wait(lambda: desk.used()["a"] == 0)
    assert not ear.ended.is_set()


def test_calls_go_on_without_the_ledger_and_new_ones_wait_for_it(
    desk: LocalDesk, replica: Make, gateway: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon.serving.cluster.gateway.FRESH", 1.0)
    desk.add(replica("a", 2))
    remote, ear = gateway(), Ear()
    remote.open(ear)
    desk.away = True
    desk.wait(lambda: remote.slots == 1)
    with pytest.raises(ClockFull):
        remote.open(Ear())
    # It comes back and knows nothing but what the replica says.
    desk.ledger, desk.away = Ledger(), False
    remote_open(desk, remote, Ear())
    before = len(ear.events)
    desk.wait(lambda: len(ear.events) > before + 10)
    assert remote.active == 2


def test_a_gateway_that_stops_leaves_nothing_behind(
    desk: LocalDesk, replica: Make, gateway: Open
) -> None:
    desk.add(replica("a", 3))
    remote = gateway()
    remote.open(Ear())
    remote.stop()
    desk.wait(lambda: desk.used()["a"] == 0, 5)


def test_a_client_is_told_why_its_call_ended(
    desk: LocalDesk, replica: Make, tiny_bundle: Path
) -> None:
    way = desk.add(replica("a", 2))

    async def call(url: str, house: House) -> None:
        async with connect(f"{url}/v1/realtime") as socket:
            assert json.loads(await socket.recv())["type"] == "session.created"
            assert house.clock.active == 1
            way.cut = True
            last, closed = await to_the_end(socket)
            assert last["error"]["message"] == "the call is over: engine: a was lost"
            assert closed == (1011, "engine: a was lost")
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{url}/v1/realtime").__aenter__()
        assert refused.value.response.status_code == 503

    places = ClusterClock(agent_of(tiny_bundle), desk)
    with served(tiny_bundle, places=places) as server:
        asyncio.run(asyncio.wait_for(call(server.ws, server.house), 30))
        server.wait_empty()


async def to_the_end(socket: ClientConnection) -> tuple[dict[str, Any], tuple[int, str]]:
    """The last event, and how the socket was closed."""
    last: dict[str, Any] = {}
    try:
        while True:
            last = json.loads(await asyncio.wait_for(socket.recv(), 10))
    except ConnectionClosed:
        return last, (socket.close_code or 0, socket.close_reason or "")


def remote_open(desk: LocalDesk, remote: ClusterClock, ear: Ear) -> ClusterLine:
    """Open a call as soon as it is possible."""
    found: list[ClusterLine] = []

    def tries() -> bool:
        try:
            found.append(remote.open(ear))
        except ClockFull:
            return False
        return True

    desk.wait(tries)
    return found[0]
