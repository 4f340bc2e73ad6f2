"""Claims are followed word by word; the first wrong word is known when it is told."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon.corpus.scenario import Scenario
from antiphon.guard.claims import Claims
from antiphon.guard.config import ClaimRules
from antiphon.guard.events import Finding
from antiphon.guard.ground import Ground
from antiphon.guard.script import Script
from antiphon.guard.state import CallState, Said
from antiphon.runtime.events import CallerWordEvent, CallEvent

Call = tuple[str, dict[str, Any]]


def state_of(scenario: Scenario, heard: str, call: Call | None = None) -> CallState:
    state = CallState(scenario)
    for i, word in enumerate(heard.split()):
        state.hear(CallerWordEvent(time=i, text=word, end=i / 10))
    state.begin(9.0)
    if call is not None:
        state.make(CallEvent(time=8.9, name=call[0], arguments=call[1]))
    return state


def first_found(check: Any, state: CallState, text: str) -> tuple[str, Finding] | None:
    """The word with which a check finds something, and what, as the words come."""
    words = tuple(text.split())
    for count in range(1, len(words) + 1):
        finding = check(Said(words[:count], 9.0, over=count == len(words)), state)
        if finding is not None and finding.action == "block":
            return words[count - 1], finding
    return None


@pytest.fixture(scope="module")
def grounds(bar: Scenario, cafe: Scenario) -> dict[str, Ground]:
    return {"bar": Ground(bar), "cafe": Ground(cafe)}


def look(ground: Ground, heard: str, text: str, call: Call | None = None) -> str | None:
    found = first_found(Claims(ground, ClaimRules()), state_of(ground.scenario, heard, call), text)
    return None if found is None else text.split()[found[1].first]


RIGHT = [
    ("can i get a large latte with some milk", "okay a large latte with some milk anything else"),
    ("a dark roast double shot house blend", "sure a dark roast double shot house coffee"),
    ("how much is a large latte", "a large latte is four fifty"),
    ("how much is a latte", "a latte is three fifty and up"),
    ("when are you open on sunday", "we are open from eight to four on sunday"),
    ("my number is four two oh double five", "okay four two zero five five"),
    ("it's three eight seven one eight oh", "no rush three eight seven one eight zero"),
    ("hello", "hello what can i get you"),
    ("who are you", "sorry i can only help with coffee orders"),
    ("a large latte and a small mocha", "okay a large latte and a small mocha"),
]


@pytest.mark.parametrize(("heard", "text"), RIGHT, ids=[text for _, text in RIGHT])
def test_what_was_said_or_is_true_passes(grounds: dict[str, Ground], heard: str, text: str) -> None:
    assert look(grounds["cafe"], heard, text) is None


WRONG = [
    ("a large latte with some milk", "okay a large mocha with some milk", "mocha"),
    ("a large latte with some milk", "okay a large latte with lots of milk", "lots"),
    ("a dark roast coffee", "okay a light roast coffee", "light"),
    ("a medium coffee", "okay a medium roast coffee", "roast"),
    ("a latte", "okay the mocha", "mocha"),
    ("how much is a large latte", "a large latte is five dollars", "five"),
    ("how much is a large latte", "a large latte is four dollars", "dollars"),
    ("when are you open on sunday", "we are open from seven to six on sunday", "seven"),
    ("when are you open", "we are open until ten", "ten"),
    ("my number is four two oh double five", "okay four two zero seven five", "seven"),
    ("hello", "that is twenty percent off", "twenty"),
]


@pytest.mark.parametrize(("heard", "text", "word"), WRONG, ids=[text for _, text, _ in WRONG])
def test_the_first_wrong_word_is_found(
    grounds: dict[str, Ground], heard: str, text: str, word: str
) -> None:
    assert look(grounds["cafe"], heard, text) == word


def test_it_is_found_as_it_is_told(bar: Scenario, grounds: dict[str, Ground]) -> None:
    state = state_of(bar, "a large latte")
    found = first_found(Claims(grounds["bar"], ClaimRules()), state, "okay a large mocha please")
    assert found is not None
    assert found[0] == "mocha"


ORDER: Call = ("place_order", {"items": [{"size": "large", "drink": "latte"}]})


def test_what_is_read_back_must_be_what_was_called(grounds: dict[str, Ground]) -> None:
    heard = "a large latte or a small mocha"
    assert look(grounds["bar"], heard, "okay a large latte", ORDER) is None
    assert look(grounds["bar"], heard, "okay a small mocha", ORDER) == "small"


def test_a_call_supports_a_word_that_the_transcript_cut_short(cafe: Scenario) -> None:
    ground = Ground(cafe)
    call: Call = ("place_order", {"items": [{"size": "twelve ounce", "drink": "coffee"}]})
    assert look(ground, "we'd like a twelve coffee", "sure a twelve ounce coffee", call) is None
    assert look(ground, "we'd like a coffee", "sure a twelve ounce coffee", call) == "twelve"


def test_a_result_supports_a_number(grounds: dict[str, Ground], bar: Scenario) -> None:
    state = state_of(bar, "when is it ready")
    check = Claims(grounds["bar"], ClaimRules())
    assert first_found(check, state, "it is ready in twelve minutes") is not None
    state.learn('{"ready": "in twelve minutes"}')
    assert first_found(check, state, "it is ready in twelve minutes") is None


def test_half_a_fact_is_flagged_and_not_blocked(cafe: Scenario) -> None:
    check = Claims(Ground(cafe), ClaimRules())
    said = Said(tuple(["a", "latte", "is", "three", "fifty", "anything", "else"]), 9.0)
    finding = check(said, state_of(cafe, "how much is a latte"))
    assert finding is not None
    assert finding.action == "flag"


def test_the_script_lets_through_what_the_scenario_could_say(cafe: Scenario) -> None:
    check, state = Script(Ground(cafe)), state_of(cafe, "hi")
    for text in (
        "okay a large latte and a small mocha with milk anything else",
        "thank you four two one seven",
        "a large latte is four fifty",
        "you have a latte and a mocha",
    ):
        assert first_found(check, state, text) is None, text
    found = first_found(check, state, "okay your order is free today")
    assert found is not None
    assert found[0] == "free"
