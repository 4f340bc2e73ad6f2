from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from antiphon.runtime.agent import Agent
from antiphon.runtime.clock import Clock
from antiphon.serving import admission
from antiphon.serving.admission import Capacity, Reception, Refused, measure
from antiphon.serving.auth import Caller
from antiphon.serving.config import ServerConfig

SHOP = Caller(key="key_1")


@pytest.fixture(scope="module")
def _agents() -> dict[Path, Agent]:
    return {}


@pytest.fixture
def agent(tiny_bundle: Path, _agents: dict[Path, Agent]) -> Agent:
    return _agents.setdefault(tiny_bundle, Agent.load(tiny_bundle))


def run(test: Any) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


def reception(agent: Agent, slots: int = 2, **settings: Any) -> Reception:
    return Reception(Clock(agent, slots, group=2), ServerConfig(**settings))


# -- capacity ---------------------------------------------------------------------------------


def costs(monkeypatch: pytest.MonkeyPatch, base: float, each: float) -> list[int]:
    asked: list[int] = []

    def cost(_: Agent, slots: int, *, group: int, threads: int) -> float:
        asked.append(slots)
        return (base + each * slots) / 1e3

    monkeypatch.setattr(admission, "beat_cost", cost)
    return asked


def test_capacity_is_what_fits_into_the_budget(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = costs(monkeypatch, base=2.0, each=2.0)
    found = measure(agent, ServerConfig(budget=0.5, threads=2, group=4))
    assert asked == [8, 16, 24, 20]
    assert found.slots == 16
    assert found.budget_ms == pytest.approx(40)
    assert "16 calls at once" in str(found)
    assert "16: 34.0 ms, 20: 42.0 ms, 24" in str(found)


def test_single_groups_are_tried_where_one_for_each_thread_is_too_much(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = costs(monkeypatch, base=2.0, each=2.0)
    assert measure(agent, ServerConfig(budget=0.5, threads=4, group=4)).slots == 16
    assert measure(agent, ServerConfig(budget=0.2, threads=4, group=4)).slots == 4
    assert asked == [16, 32, 28, 24, 20, 16, 12, 8, 4]


def test_capacity_ends_where_it_was_told_to(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    costs(monkeypatch, base=0.0, each=0.0)
    assert measure(agent, ServerConfig(most_slots=10, threads=1, group=4)).slots == 10


def test_one_call_is_always_taken(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    costs(monkeypatch, base=500.0, each=1.0)
    assert measure(agent, ServerConfig(threads=1)).slots == 1


def test_given_slots_are_not_measured(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = costs(monkeypatch, 1.0, 1.0)
    found = measure(agent, ServerConfig(slots=5, threads=3))
    assert (found.slots, found.threads, asked) == (5, 3, [])
    assert "as given" in str(found)


@pytest.mark.parametrize(
    ("slots", "threads", "group"), [(1, 1, 4), (8, 1, 8), (16, 2, 8), (24, 2, 4), (16, 4, 4)]
)
def test_engines_are_wide_where_that_gives_every_thread_as_much(
    agent: Agent, slots: int, threads: int, group: int
) -> None:
    found = measure(agent, ServerConfig(slots=slots, threads=threads))
    assert found.group == group
    assert measure(agent, ServerConfig(slots=slots, threads=threads, group=2)).group == 2


def test_what_is_measured_has_the_engines_that_it_will_have(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: dict[int, int] = {}

    def cost(_: Agent, slots: int, *, group: int, threads: int) -> float:
        groups[slots] = group
        return slots / 1000

    monkeypatch.setattr(admission, "beat_cost", cost)
    found = measure(agent, ServerConfig(threads=2, budget=0.3))
    assert groups == {8: 4, 16: 8, 24: 4, 32: 8, 28: 4}
    assert (found.slots, found.group) == (24, 4)


def test_the_cost_of_a_beat_is_measured_on_a_real_clock(agent: Agent) -> None:
    assert 0 < admission.beat_cost(agent, 4, group=2, threads=2) < 5


# -- who is refused ---------------------------------------------------------------------------


def test_a_caller_beyond_the_capacity_is_refused_with_a_time(agent: Agent) -> None:
    async def test() -> None:
        desk = reception(agent, 2, retry_seconds=7)
        calls = [desk.open("realtime") for _ in range(2)]
        with pytest.raises(Refused) as caught:
            desk.open("realtime")
        refused = caught.value
        assert (refused.status, refused.code) == (503, "server_full")
        assert refused.headers() == {"Retry-After": "7"}
        assert refused.body()["error"]["type"] == "server_error"
        assert desk.refused == {"server_full": 1}
        calls[0].close()
        desk.open("realtime")

    run(test())


def test_a_key_has_its_own_number_of_calls(agent: Agent) -> None:
    async def test() -> None:
        desk = reception(agent, 4, sessions_per_key=1)
        call = desk.open("realtime", caller=SHOP)
        with pytest.raises(Refused) as caught:
            desk.open("realtime", caller=SHOP)
        assert caught.value.status == 429
        desk.open("realtime", caller=Caller(key="key_2"))
        desk.open("realtime", caller=Caller(key="key_1", sessions=2))
        call.close()

    run(test())


def test_a_key_has_its_minutes_of_a_day(agent: Agent) -> None:
    async def test() -> None:
        day = ["2026-01-01"]
        desk = Reception(
            Clock(agent, 2, group=2), ServerConfig(minutes_per_day=0.01), today=lambda: day[0]
        )
        call = desk.open("realtime", caller=SHOP)
        for _ in range(8):
            desk.clock.beat()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert desk.used("key_1") == pytest.approx(0.64)
        with pytest.raises(Refused, match="minutes of today"):
            desk.open("realtime", caller=SHOP)
        call.close()
        with pytest.raises(Refused) as caught:
            desk.check(SHOP)
        assert caught.value.code == "minutes_limit_exceeded"
        assert int(caught.value.headers()["Retry-After"]) <= 86_400
        desk.open("realtime", caller=Caller(key="key_1", minutes=10)).close()
        day[0] = "2026-01-02"
        desk.open("realtime", caller=SHOP).close()

    run(test())


def test_what_is_known_of_a_call_is_in_its_info(agent: Agent) -> None:
    async def test() -> None:
        desk = reception(agent, seed=5)
        call = desk.open("realtime", caller=SHOP, metadata={"a": "b"})
        assert (call.info.bundle, call.info.protocol, call.info.key) == (
            "tiny",
            "realtime",
            "key_1",
        )
        assert (call.info.metadata, call.seed) == ({"a": "b"}, 5)
        assert desk.calls == {call.id: call}
        call.close()
        assert desk.calls == {}

    run(test())


def test_a_drain_takes_no_calls_and_waits_for_those_that_are_open(agent: Agent) -> None:
    async def test() -> None:
        desk = reception(agent)
        call = desk.open("realtime")
        drain = asyncio.create_task(desk.drain(10.0))
        await asyncio.sleep(0.05)
        with pytest.raises(Refused) as caught:
            desk.open("realtime")
        assert caught.value.code == "server_draining"
        assert not drain.done()
        call.close()
        await asyncio.wait_for(drain, 1)

    run(test())


def test_a_drain_ends_what_does_not_end(agent: Agent) -> None:
    async def test() -> None:
        desk = reception(agent)
        call = desk.open("realtime")
        await desk.drain(0.05)
        assert call.reason == "server: going down"

    run(test())


def test_capacity_is_a_value() -> None:
    assert Capacity(slots=1, threads=1, group=1) == Capacity(slots=1, threads=1, group=1)
