from __future__ import annotations

import random

import pytest

from antiphon.corpus import grammar
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.turn_reader import Reader, priors


def words(text: str) -> list[str]:
    return grammar.plain(text).split()


def test_what_a_caller_says_reads_back_into_the_same_slots(cafe: Scenario) -> None:
    rng, reader = random.Random(0), Reader(cafe)
    total = same = 0
    for intent in list(cafe.intents) * 8:
        spoken = cafe.say(intent, rng)
        said = words(grammar.join(spoken.tokens))
        reading = reader.read(said, among={intent})
        assert reading is not None, said
        assert (reading.slots, list(reading.items)) == (spoken.slots, spoken.items), said
        # Some words mean one thing while something is on order and another while nothing is.
        for state in ("empty", "held"):
            reading = reader.read(said, state)
            assert reading is not None, said
            total += 1
            same += (reading.slots, list(reading.items)) == (spoken.slots, spoken.items)
    assert same / total > 0.97


def test_an_order_of_two_gives_two_items(bar_reader: Reader) -> None:
    reading = bar_reader.read(words("can i get a large latte and a mocha with cream please"))
    assert reading is not None
    assert reading.intent == "order"
    assert reading.items == (
        {"size": "large", "drink": "latte"},
        {"drink": "mocha", "milk": "cream"},
    )
    assert reading.slots == {}


def test_a_variant_gives_the_value_that_it_stands_for(bar_reader: Reader) -> None:
    reading = bar_reader.read(words("give me a house blend"))
    assert reading is not None
    assert reading.items == ({"drink": "coffee"},)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("one two three four", "1234"),
        ("double five oh one", "5501"),
        ("triple nine zero", "9990"),
        ("um one two um three four", "1234"),
    ],
)
def test_digits_are_read(bar_reader: Reader, said: str, value: str) -> None:
    reading = bar_reader.read(words(f"my number is {said}"))
    assert reading is not None
    assert reading.slots == {"number": value}


@pytest.mark.parametrize(
    "said",
    [
        "my number is one two three",
        "my number is one two three four five six seven",
        "my number is one two three double",
        "can i get a",
        "latte",
        "",
    ],
)
def test_what_is_no_sentence_has_no_reading(bar_reader: Reader, said: str) -> None:
    assert bar_reader.read(words(said)) is None


def test_fillers_and_wrong_articles_do_not_matter(bar_reader: Reader) -> None:
    reading = bar_reader.read(words("can i uh get um an latte uh"))
    assert reading is not None
    assert reading.items == ({"drink": "latte"},)


def test_priors_sum_to_one_and_leave_nothing_out(cafe: Scenario) -> None:
    for state in ("empty", "held"):
        found = priors(cafe.intents, state)
        assert sum(found.values()) == pytest.approx(1)
        assert min(found.values()) > 0


def test_all_intents_that_words_could_be_are_named(bar_reader: Reader) -> None:
    assert bar_reader.intents(words("make it a latte")) == ("change",)
    assert bar_reader.intents(words("my number is one two three four")) == ("loyalty",)
    assert bar_reader.intents(words("my number is one two three")) == ()  # too short a number
    assert bar_reader.intents(words("make it a taxi")) == ()
