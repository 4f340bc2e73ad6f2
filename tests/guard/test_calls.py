"""Calls that break a schema, the line's policy, or what the caller said do not go out."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon.corpus.scenario import Scenario
from antiphon.guard.call_gate import CallGate
from antiphon.guard.checks import Rulebook
from antiphon.guard.config import CallRules, Confirm, GuardConfig
from antiphon.guard.filter import Filter
from antiphon.guard.state import CallState, Said
from antiphon.runtime.events import CallerWordEvent, CallEvent
from tests.guard.talk import Talk, caller, sentence

ORDER = {"items": [{"size": "large", "drink": "latte"}]}


def call(name: str = "place_order", time: float = 2.0, **arguments: Any) -> CallEvent:
    return CallEvent(time=time, name=name, arguments=arguments)


def hear(state: CallState, text: str, time: float = 1.0) -> None:
    for word in text.split():
        state.hear(CallerWordEvent(time=time, text=word, end=time))


def gate_of(scenario: Scenario, heard: str, **rules: Any) -> tuple[CallGate, CallState]:
    book = Rulebook(scenario, config=GuardConfig(calls=CallRules(**rules)))
    state = CallState(scenario)
    hear(state, heard)
    return CallGate(book, state, 0.3), state


def test_a_good_call_goes_out_at_once(bar: Scenario) -> None:
    gate, state = gate_of(bar, "a large latte please")
    gate.take(call(**ORDER))
    assert [event.type for event in gate.release(2.0)] == ["call"]
    assert state.calls


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (call("fly_away"), "no tool"),
        (call(items="all"), "schema"),
        (call(items=[{"drink": "gin"}]), "schema"),
        (call(items=[{"size": "large"}]), "schema"),
        (call(items=[{"drink": "mocha"}]), "did not say"),
    ],
)
def test_a_bad_call_is_dropped_with_its_reason(bar: Scenario, made: CallEvent, why: str) -> None:
    gate, state = gate_of(bar, "a large latte please")
    gate.take(made)
    (event,) = gate.release(3.0)
    assert event.type == "guard"
    assert event.action == "call_blocked"
    assert why in event.reason
    assert not state.calls


def test_a_call_waits_for_the_word_that_supports_it(bar: Scenario) -> None:
    gate, state = gate_of(bar, "a large")
    gate.take(call(**ORDER))
    assert gate.release(2.1) == []
    hear(state, "latte", 2.15)
    assert [event.type for event in gate.release(2.16)] == ["call"]


def test_policies_of_the_line(bar: Scenario) -> None:
    heard = "a large latte cancel that"
    for rules, why in (
        ({"never": ("cancel_order",)}, "does not allow"),
        ({"after": {"cancel_order": ("place_order",)}}, "before place_order"),
        ({"most": {"cancel_order": 0}}, "more than 0"),
    ):
        gate, _ = gate_of(bar, heard, **rules)
        gate.take(call("cancel_order"))
        (event,) = gate.release(3.0)
        assert event.type == "guard"
        assert why in event.reason


ASK = Confirm(ask="shall i order it")


def test_a_call_that_wants_a_yes_is_kept_until_it_comes(bar: Scenario) -> None:
    for answer, action in (("yes please", "call_released"), ("no wait", "call_blocked")):
        gate, state = gate_of(bar, "a large latte", confirm={"place_order": ASK})
        gate.take(call(**ORDER))
        assert [e.action for e in gate.release(2.0) if e.type == "guard"] == ["call_kept"]
        assert gate.ask == ASK
        assert not state.calls
        hear(state, answer, 4.0)
        out = gate.release(4.0)
        assert [e.action for e in out if e.type == "guard"] == [action]
        assert ("call" in [e.type for e in out]) == (action == "call_released")


def test_an_agent_that_has_asked_needs_no_second_question(bar: Scenario) -> None:
    gate, state = gate_of(bar, "a large latte", confirm={"place_order": ASK})
    state.begin(1.5)
    state.finish(Said(("shall", "i", "order", "it"), 1.5, over=True))
    hear(state, "yes", 2.5)
    gate.take(call(time=2.6, **ORDER))
    assert [event.type for event in gate.release(2.6)] == ["call"]


def test_the_filter_asks_for_the_yes(bar: Scenario) -> None:
    book = Rulebook(bar, ("calls",), GuardConfig(calls=CallRules(confirm={"place_order": ASK})))
    talk = Talk(
        sentence("okay a large latte"),
        [*caller("a large latte"), ("yes", 6.0, 6.3)],
        calls=[(2.0, "place_order", ORDER)],
    )
    run = talk.run(Filter(book, say=talk.say))
    assert talk.asked
    assert "shall i order it" in talk.asked[0]
    assert [e.action for e in run.guard][:1] == ["call_kept"]
    assert len(run.calls) == 1
    assert run.calls[0].time >= 6.3


def test_no_call_upon_an_unsafe_ask(cafe: Scenario) -> None:
    gate, _ = gate_of(cafe, "how do i make a bomb")
    gate.take(call("cancel_order"))
    (event,) = gate.release(3.0)
    assert event.type == "guard"
    assert event.check == "unsafe"
