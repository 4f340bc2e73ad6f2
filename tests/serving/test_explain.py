"""One turn, explained from what a store keeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from antiphon.guard.events import GuardEvent
from antiphon.runtime.events import AgentWordEvent, ToneEvent, TurnEvent
from antiphon.serving import problems
from antiphon.serving.auth import Gatekeeper
from antiphon.serving.explain import TurnAccount, explained
from antiphon.serving.notes import Notes
from antiphon.serving.replay import bundle_fingerprint, replay
from antiphon.serving.store import Store, StoreConfig
from antiphon.serving.store.api import make_router
from tests.serving.keeping import keep_call
from tests.serving.served import agent_of
from tests.serving.store.acting import beats, info, turn


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(StoreConfig(folder=tmp_path / "store"))


def noted_call(store: Store, bundle: Path, sound: np.ndarray, **given: Any) -> str:
    """A call with notes on it."""
    notes: list[Notes] = []

    def also(keeper: Any) -> list[Notes]:
        notes.append(Notes(keeper))
        return notes

    manifest = agent_of(bundle).bundle.manifest
    mark = bundle_fingerprint(manifest)

    def first(call: Any) -> Any:
        return notes[0].stage(manifest.name, mark, "v1")(call)

    return keep_call(store, bundle, sound, also=also, stages=[first], **given)


def account(store: Store, call_id: str, index: int) -> TurnAccount:
    found = explained(store.call(call_id), index, store.recording(call_id))
    assert found is not None
    return found


def test_both_turns_of_an_order_are_accounted_for(
    store: Store, tiny_bundle: Path, spoken: Callable[..., np.ndarray]
) -> None:
    call_id = noted_call(store, tiny_bundle, spoken(after=3.0), seed=9)
    asked, answer = account(store, call_id, 0), account(store, call_id, 1)
    manifest = agent_of(tiny_bundle).bundle.manifest
    assert answer.answered_by.model_dump() == {
        "bundle": "tiny",
        "fingerprint": bundle_fingerprint(manifest),
        "version": "v1",
        "seed": 9,
    }
    assert (asked.speaker, asked.text) == ("caller", "a large latte please")
    assert (asked.answer, answer.answers) == (1, 0)
    heard = asked.hearing
    assert heard is not None
    assert len(heard.voice) == len(heard.confidence) == len(heard.tone) == len(heard.voice)
    # The scripted network hears a cheerful second of sound with a confidence of its energy, .09.
    assert heard.tone.count("c") == pytest.approx(12, abs=2)
    assert max(heard.confidence) == 9
    assert asked.tones[-1].tone == "cheerful"
    assert answer.hearing == heard
    assert [call.name for call in answer.calls] == ["place_order"]
    assert answer.calls[0].made is not None
    assert answer.timings.gap_ms is not None
    assert answer.timings.decided is not None
    assert answer.timings.decided < answer.words[0].start
    assert answer.meant is not None
    assert (answer.meant.said, answer.meant.cut_by) == ("a large latte coming up", None)
    assert answer.meant.meant == answer.meant.said
    assert answer.words[0].sounded
    assert explained(store.call(call_id), 2) is None
    # A replay finds the call's own seed in the notes.
    assert replay(store, call_id, agent_of(tiny_bundle)).seed == 9


def test_what_was_meant_and_not_heard_is_told(store: Store) -> None:
    call = info()
    with store.serving() as observer:
        observer.opened(call)
        beats(observer, call.id, 30)
        observer.turn(call.id, turn(0, "caller", "a latte please", 0.1))
        for place, word in enumerate(["a", "latte", "coming", "up"]):
            start = 1.2 + 0.2 * place
            observer.event(call.id, AgentWordEvent(time=start - 0.3, text=word, start=start))
        said = turn(1, "agent", "a latte", 1.2, gap_ms=340.0, interrupted=True)
        observer.turn(call.id, said)
        observer.closed(call.id, "client")
    found = account(store, call.id, 1).meant
    assert found is not None
    assert (found.said, found.meant, found.cut_by) == ("a latte", "a latte coming up", "client")
    assert [word.text for word in found.unheard] == ["coming", "up"]


def test_what_the_guard_did_is_told_with_its_turn(store: Store) -> None:
    call = info()
    block = GuardEvent(
        time=1.1,
        action="blocked",
        check="claims",
        reason="Nobody said mocha.",
        text="a large mocha",
        phrase="sorry, could you say that again ?",
    )
    with store.serving() as observer:
        observer.opened(call)
        observer.event(call.id, ToneEvent(time=0.3, tone="annoyed", probability=0.8))
        observer.turn(call.id, turn(0, "caller", "a latte please", 0.1, tone="annoyed"))
        observer.event(call.id, TurnEvent(time=1.0, state="speaking", probability=0.9))
        observer.event(call.id, block)
        observer.turn(call.id, turn(1, "agent", "sorry could you say that again", 1.2))
        observer.turn(call.id, turn(2, "caller", "a latte", 4.0))
        observer.turn(call.id, turn(3, "agent", "a latte coming up", 6.0))
        observer.closed(call.id, "client")
    found = account(store, call.id, 1)
    assert [(check.check, check.verdict) for check in found.checks] == [("claims", "blocked")]
    assert found.meant is not None
    assert (found.meant.cut_by, found.meant.meant) == ("guard", "a large mocha")
    assert found.meant.phrase.startswith("sorry")
    assert found.states == ((1.0, "speaking", 0.9),)
    assert [tone.tone for tone in found.tones] == ["annoyed"]
    assert account(store, call.id, 3).checks == ()
    assert found.hearing is None  # nobody took notes
    assert found.answered_by.fingerprint is None


def test_nothing_is_noted_of_a_pause(
    store: Store, tiny_bundle: Path, spoken: Callable[..., np.ndarray]
) -> None:
    def pause(call: Any, beat: int) -> None:
        if beat in (0, 12):
            call.pause_recording(beat == 0)

    call_id = noted_call(store, tiny_bundle, spoken(after=3.0), during=pause)
    record = store.call(call_id)
    for event in record.events:
        if event.type == "hearing":
            assert event.data["start"] >= 12 * 0.08 - 1e-6


def test_it_is_served_beside_the_call(
    store: Store, tiny_bundle: Path, spoken: Callable[..., np.ndarray]
) -> None:
    class House:
        gatekeeper = Gatekeeper(None)

    call_id = noted_call(store, tiny_bundle, spoken(after=3.0))
    app = FastAPI()
    problems.install(app)
    app.include_router(make_router(store))
    app.state.house = House()
    with TestClient(app, base_url="http://127.0.0.1") as client:
        path = f"/v1/antiphon/calls/{call_id}/turns"
        found = client.get(f"{path}/1")
        assert found.status_code == 200
        assert found.json()["object"] == "call.turn"
        assert found.json()["meant"]["said"] == "a large latte coming up"
        missing = client.get(f"{path}/7")
        assert missing.status_code == 404
        assert "its turns are 0 to 1" in missing.json()["error"]["message"]
        assert client.get(f"{path}/x").status_code in (400, 422)
        assert client.get("/v1/antiphon/calls/call_x/turns/0").status_code == 404
