from __future__ import annotations

import random

import pytest

from antiphon.cascade.policy import AGAIN, Policy
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.turn_reader import Reader


class Talk:
    """A policy that is given words."""

    def __init__(self, scenario: Scenario, reader: Reader) -> None:
        self.policy, self.reader = Policy(scenario, random.Random(0), "out_of_domain"), reader

    def __call__(self, said: str) -> str:
        return self.policy.move(self.reader.read(said.split(), self.policy.state)).text


@pytest.fixture
def talk(bar: Scenario, bar_reader: Reader) -> Talk:
    return Talk(bar, bar_reader)


def test_an_order_is_confirmed_and_stands(talk: Talk) -> None:
    assert talk("can i get a large latte") == "okay, a large latte."
    assert talk.policy.order == {"items": [{"size": "large", "drink": "latte"}]}


def test_a_change_is_to_the_last_drink(talk: Talk) -> None:
    talk("can i get a latte and a mocha")
    assert talk("no make it large") == "okay, now large."
    assert talk.policy.order == {"items": [{"drink": "latte"}, {"drink": "mocha", "size": "large"}]}


def test_a_cancelled_order_is_gone(talk: Talk) -> None:
    talk("give me a mocha")
    assert talk("cancel that") == "your order is cancelled."
    assert talk.policy.order is None
    assert talk.policy.state == "empty"


def test_what_needs_an_order_makes_no_call_without_one(talk: Talk) -> None:
    assert talk("make it large") == "what would you like?"
    assert talk("cancel my order") == "you have no order."
    assert talk.policy.calls == []


def test_an_order_is_read_back(talk: Talk) -> None:
    assert talk("what do i have") == "you have no order."
    talk("give me a latte and a mocha")
    assert talk("what do i have") == "you have a latte, and a mocha."


def test_facts_are_looked_up(talk: Talk) -> None:
    assert talk("how much is a latte") == "a latte is three dollars."


def test_a_number_is_noted_digit_by_digit(talk: Talk) -> None:
    assert talk("my number is one double two oh") == "got it, one two, two zero."
    assert talk.policy.calls[-1].arguments == {"number": "1220"}


@pytest.mark.parametrize("said", ["gibberish", "call a taxi"])
def test_other_talk_gets_a_polite_answer_and_changes_nothing(talk: Talk, said: str) -> None:
    assert talk(said) == "sorry, i can only help with orders."
    assert talk.policy.calls == []


def test_a_scenario_without_an_answer_to_other_talk_asks_again(bar: Scenario) -> None:
    assert Policy(bar, random.Random(0), "nothing_like_it").move(None).text == AGAIN


def test_a_call_that_breaks_its_schema_is_not_made(bar: Scenario, bar_reader: Reader) -> None:
    reading = bar_reader.read(["give", "me", "a", "latte", "and", "a", "mocha"])
    assert reading is not None
    too_many = type(reading)("order", {}, reading.items * 2, 0.0)  # maxItems is 2
    policy = Policy(bar, random.Random(0), "out_of_domain")
    assert policy.move(too_many).call is None
    assert policy.calls == []
