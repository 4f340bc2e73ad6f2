"""Named values and true facts of a made menu."""

from __future__ import annotations

import pytest
from tests.conftest import SCENARIO

from antiphon.corpus.knowledge import NUMBERS, Knowledge
from antiphon.corpus.scenario import Scenario, load_scenario

FACTS = """\
facts:
  price:
    by: [drink, size]
    rows:
      latte:
        small: three dollars
        "medium|large": "(four dollars | four bucks)"
      "*": {"*": five fifty}
  tip: five fifty
"""


@pytest.fixture(scope="module")
def menu(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    text = SCENARIO.replace("drink: [latte, mocha]", "drink: [latte, iced latte, {mocha: choc}]")
    path = tmp_path_factory.mktemp("menu") / "menu.yaml"
    path.write_text(text + FACTS)
    return load_scenario(path)


@pytest.fixture(scope="module")
def knowledge(menu: Scenario) -> Knowledge:
    return Knowledge(menu)


@pytest.mark.parametrize(
    ("plain", "drinks"),
    [
        ("a small latte please", ["latte"]),
        ("an iced latte", ["iced latte"]),  # and no latte
        ("a latte and an iced latte", ["iced latte", "latte"]),
        ("a choc", ["mocha"]),  # as callers say it
        ("a mocha", ["mocha"]),  # as tools call it
        ("two lattes", []),
        ("", []),
    ],
)
def test_values_are_named_as_callers_say_them_and_the_longest_wins(
    knowledge: Knowledge, plain: str, drinks: list[str]
) -> None:
    assert knowledge.named("drink", plain) == drinks


def test_every_phrase_of_a_table_is_known_with_the_tables_that_give_it(
    knowledge: Knowledge,
) -> None:
    price, tip = (knowledge.scenario.facts[name] for name in ("price", "tip"))
    assert knowledge.phrases == {
        "three dollars": [price],
        "four dollars": [price],
        "four bucks": [price],
        "five fifty": [price, tip],
    }


@pytest.mark.parametrize(
    ("reply", "heard", "true"),
    [
        ("a small latte is", "", {"three dollars"}),
        ("a large latte is", "", {"four dollars", "four bucks"}),
        ("that is", "a small latte", {"three dollars"}),  # what the caller named
        ("a mocha is", "a small latte", {"five fifty"}),  # the reply's word counts, not theirs
        ("a small latte or a mocha", "", {"three dollars", "five fifty"}),
        ("a latte is", "", set()),  # no row for a latte of any size
        ("that is", "", {"five fifty"}),
    ],
)
def test_a_fact_is_true_of_what_the_reply_names_or_else_the_caller(
    knowledge: Knowledge, reply: str, heard: str, true: set[str]
) -> None:
    assert knowledge.true(knowledge.scenario.facts["price"], reply, heard) == true


def test_a_fact_of_nothing_is_always_true(knowledge: Knowledge) -> None:
    tip = knowledge.scenario.facts["tip"]
    assert knowledge.true(tip, "a small latte", "a mocha") == {"five fifty"}


def test_the_slot_of_digits_is_known(knowledge: Knowledge, bar: Scenario) -> None:
    assert knowledge.digits is None
    assert Knowledge(bar).digits == "number"


def test_one_is_no_number() -> None:
    assert "two" in NUMBERS
    assert "one" not in NUMBERS
