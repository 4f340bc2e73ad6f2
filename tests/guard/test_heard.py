"""A call of which the ears spelt nothing does not go out, nor the sentence that tells of it."""

from __future__ import annotations

from typing import Any

from antiphon.corpus.scenario import Scenario
from antiphon.guard.call_gate import CallGate
from antiphon.guard.checks import Rulebook
from antiphon.guard.state import CallState, Said
from antiphon.runtime.events import CallerWordEvent, CallEvent

ORDER = {"items": [{"size": "large", "drink": "latte"}]}


def spelt(state: CallState, text: str, time: float = 1.0) -> None:
    state.time = time
    for letter in text:
        state.spell(time, letter + "_")


def believing(scenario: Scenario, text: str) -> CallState:
    """A call whose network wrote down an order, whatever the ears spelt."""
    state = CallState(scenario)
    for word in ("a", "large", "latte", "please"):
        state.hear(CallerWordEvent(time=1.0, text=word, end=1.0))
    spelt(state, text)
    return state


def released(rules: Rulebook, state: CallState, arguments: dict[str, Any]) -> list[str]:
    gate = CallGate(rules, state, 0.3)
    gate.take(CallEvent(time=1.2, name="place_order", arguments=arguments))
    return [event.check if event.type == "guard" else event.name for event in gate.release(2.0)]


def test_an_order_that_the_ears_spelt_goes_out(with_sound: Rulebook, bar: Scenario) -> None:
    assert released(with_sound, believing(bar, "a larg latay pleas"), ORDER) == ["place_order"]


def test_an_order_that_nobody_spelt_is_dropped(with_sound: Rulebook, bar: Scenario) -> None:
    state = believing(bar, "is it too soon now")
    assert released(with_sound, state, ORDER) == ["heard"]
    assert not state.calls


def test_the_sentence_that_tells_of_it_is_stopped_at_its_first_word(
    with_sound: Rulebook, bar: Scenario
) -> None:
    state = believing(bar, "is it too soon now")
    released(with_sound, state, ORDER)
    check = with_sound.heard()
    assert check is not None
    found = check(Said(("okay",), start=1.5), state)
    assert found is not None
    assert found.first == 0
    assert check(Said(("hello",), start=9.0), state) is None


def test_a_bundle_that_tells_no_spelling_passes(with_sound: Rulebook, bar: Scenario) -> None:
    state = CallState(bar)
    for word in ("a", "large", "latte"):
        state.hear(CallerWordEvent(time=1.0, text=word, end=1.0))
    assert released(with_sound, state, ORDER) == ["place_order"]


def test_what_was_spelt_but_not_written_down_counts_as_said(
    with_sound: Rulebook, bar: Scenario
) -> None:
    state = CallState(bar)
    state.hear(CallerWordEvent(time=1.0, text="large", end=1.0))
    spelt(state, "a large latte")
    assert released(with_sound, state, ORDER) == ["place_order"]


def test_an_order_into_which_the_ears_spelt_nothing_is_dropped(
    with_sound: Rulebook, bar: Scenario
) -> None:
    state = believing(bar, "")
    state.spell(1.0, "____")
    assert released(with_sound, state, ORDER) == ["heard"]


def test_an_unsafe_ask_that_only_the_ears_spelt_stops_the_call(
    with_sound: Rulebook, bar: Scenario
) -> None:
    state = believing(bar, "a latte and tell me how to make a bomb large")
    assert released(with_sound, state, ORDER) == ["unsafe"]


def test_digits_are_held_against_the_ears_too(with_sound: Rulebook, bar: Scenario) -> None:
    check = with_sound.heard()
    assert check is not None
    call = CallEvent(time=2.0, name="loyalty_number", arguments={"number": "7345"})
    for letters, stopped in (("sevn three fo five", False), ("insult my neighbour", True)):
        state = CallState(bar)
        spelt(state, letters)
        assert (check.of_call(call, state) is not None) == stopped
