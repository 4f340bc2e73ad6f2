"""A stored call, run again: what is the same, what is not, and what cannot be run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from antiphon.serving.replay import TurnOf, aligned, bundle_fingerprint, replay
from antiphon.serving.store import NoSuchCall, Store, StoreConfig, StoreError
from tests.conftest import make_bundle
from tests.serving.keeping import keep_call
from tests.serving.served import agent_of
from tests.serving.store.acting import info, whole_call

Caller = Callable[..., np.ndarray]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(StoreConfig(folder=tmp_path / "store"))


def turn(text: str, start: float, index: int = 0) -> TurnOf:
    return TurnOf(
        index=index,
        text=text,
        start=start,
        end=start + 1,
        tone=None,
        gap_ms=None,
        interrupted=False,
        calls=(),
    )


def test_the_same_bundle_says_the_same_again(
    store: Store, tiny_bundle: Path, spoken: Caller
) -> None:
    call_id = keep_call(store, tiny_bundle, spoken(after=3.0))
    agent = agent_of(tiny_bundle)
    found = replay(store, call_id, agent, seed=5)
    assert found.same
    assert [(pair.speaker, pair.now and pair.now.text) for pair in found.turns] == [
        ("caller", "a large latte please"),
        ("agent", "a large latte coming up"),
    ]
    answer = found.turns[1].now
    assert answer is not None
    assert [call.name for call in answer.calls] == ["place_order"]
    assert answer.gap_ms is not None
    assert found.then_bundle == found.bundle == "tiny"
    assert found.fingerprint == bundle_fingerprint(agent.bundle.manifest)
    again = replay(store, call_id, agent, seed=5)
    assert again.model_dump_json() == found.model_dump_json()


def test_what_was_kept_otherwise_is_shown_as_changed(
    store: Store, tiny_bundle: Path, spoken: Caller
) -> None:
    def stop(call: object, beat: int) -> None:
        if beat == 25:
            call.interrupt()  # type: ignore[attr-defined]

    sound = np.concatenate((spoken(after=2.0), spoken(after=3.0)))
    call_id = keep_call(store, tiny_bundle, sound, during=stop)
    found = replay(store, call_id, agent_of(tiny_bundle), seed=5)
    assert not found.same
    cut = next(pair for pair in found.turns if pair.then and pair.then.interrupted)
    assert cut.speaker == "agent"
    assert {"words", "interrupted"} <= {*cut.changed}
    assert found.agent_word_edits > 0
    assert found.caller_word_edits == 0


def test_another_bundle_can_be_heard(
    store: Store, tiny_bundle: Path, spoken: Caller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    call_id = keep_call(store, tiny_bundle, spoken(after=3.0))
    monkeypatch.setattr("tests.conftest.AGENT", "a small mocha coming up")
    other = make_bundle(tmp_path / "other")
    found = replay(store, call_id, agent_of(other))
    assert [pair.changed for pair in found.turns] == [(), ("words",)]
    assert found.agent_word_edits == 2
    assert found.fingerprint != replay(store, call_id, agent_of(tiny_bundle)).fingerprint


def test_turns_find_their_partners_in_order() -> None:
    then = [turn("a latte please", 0.5), turn("and a mocha", 6.0), turn("bye", 12.0)]
    now = [turn("a large latte please", 0.5), turn("bye", 12.1)]
    pairs = aligned(then, now)
    assert [(a and a.text, b and b.text) for a, b in pairs] == [
        ("a latte please", "a large latte please"),
        ("and a mocha", None),
        ("bye", "bye"),
    ]
    # The same words at quite another time are another turn.
    assert aligned([turn("yes", 1.0)], [turn("yes", 9.0)]) != [(turn("yes", 1.0), turn("yes", 9.0))]
    assert aligned([], []) == []


def test_what_cannot_be_run_again_is_said_in_a_sentence(
    store: Store, tiny_bundle: Path, spoken: Caller, tmp_path: Path
) -> None:
    agent = agent_of(tiny_bundle)
    with pytest.raises(NoSuchCall, match="there is no call 'call_x'"):
        replay(store, "call_x", agent)
    with store.serving() as observer:
        gone, mute, lost = (whole_call(observer, info()) for _ in range(3))
        observer.opened(live := info())
        store.flush()
        with pytest.raises(StoreError, match="is going on"):
            replay(store, live.id, agent)
    store.erase([gone])
    with pytest.raises(NoSuchCall, match="was erased on 20"):
        replay(store, gone, agent)
    store.erase_recording(mute)
    with pytest.raises(StoreError, match=r"recording of .* was erased"):
        replay(store, mute, agent)
    path = store.recording(lost)
    assert path is not None
    path.unlink()
    with pytest.raises(StoreError, match="is not in"):
        replay(store, lost, agent)
    silent = Store.open(StoreConfig(folder=tmp_path / "silent", record=False))
    with silent.serving() as observer:
        unrecorded = whole_call(observer)
    with pytest.raises(StoreError, match="has no recording"):
        replay(silent, unrecorded, agent)


def test_parts_that_were_not_kept_are_told_of(
    store: Store, tiny_bundle: Path, spoken: Caller
) -> None:
    def pause(call: object, beat: int) -> None:
        if beat in (30, 35):
            call.pause_recording(beat == 30)  # type: ignore[attr-defined]

    call_id = keep_call(store, tiny_bundle, spoken(after=3.0), during=pause)
    with pytest.raises(StoreError, match=r"never kept \(2\.4 to 2\.8 s\)"):
        replay(store, call_id, agent_of(tiny_bundle))
    assert replay(store, call_id, agent_of(tiny_bundle), with_pauses=True).turns
