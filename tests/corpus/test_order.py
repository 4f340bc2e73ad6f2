from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.corpus.order import effects, fold
from antiphon.corpus.scenario import Scenario, load_scenario
from antiphon.runtime.events import CallEvent


@pytest.fixture
def scenario(tiny_bundle: Path) -> Scenario:
    return load_scenario(tiny_bundle / "scenario.yaml")


def call(name: str, **arguments: object) -> CallEvent:
    return CallEvent(time=0.0, name=name, arguments=arguments)


LATTE = {"drink": "latte"}
MOCHA = {"size": "large", "drink": "mocha", "milk_amount": "some", "milk": "cream"}


def test_the_scenario_says_what_tools_do(scenario: Scenario) -> None:
    assert effects(scenario) == {
        "place_order": "add",
        "change_order": "change",
        "cancel_order": "clear",
    }


def test_no_call_no_order(scenario: Scenario) -> None:
    assert fold([], scenario) is None
    assert fold([call("unheard_of", number="1234")], scenario) is None


def test_orders_add_up(scenario: Scenario) -> None:
    calls = [call("place_order", items=[LATTE]), call("place_order", items=[MOCHA, LATTE])]
    assert fold(calls, scenario) == {"items": [LATTE, MOCHA, LATTE]}


def test_a_change_is_of_the_last_item_and_leaves_the_calls_alone(scenario: Scenario) -> None:
    calls = [call("place_order", items=[LATTE, MOCHA]), call("change_order", size="small")]
    assert fold(calls, scenario) == {"items": [LATTE, MOCHA | {"size": "small"}]}
    assert calls[0].arguments == {"items": [LATTE, MOCHA]}


def test_an_amount_goes_with_the_noun_that_it_was_of(scenario: Scenario) -> None:
    calls = [call("place_order", items=[MOCHA]), call("change_order", milk="milk")]
    order = fold(calls, scenario)
    assert order == {"items": [{"size": "large", "drink": "mocha", "milk": "milk"}]}


def test_a_cancelled_order_is_none_and_can_be_placed_again(scenario: Scenario) -> None:
    calls = [call("place_order", items=[LATTE]), call("cancel_order")]
    assert fold(calls, scenario) is None
    again = fold([*calls, call("place_order", items=[MOCHA])], scenario)
    assert again == {"items": [MOCHA]}
