from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.corpus.grammar import join
from antiphon.corpus.scenario import load_scenario
from antiphon.evaluation.stimuli.generic import fill, generic
from antiphon.evaluation.stimuli.reader import SentenceReader
from tests.evaluation.stimuli.made import CAFE

SCENARIO = load_scenario(CAFE)
READER = SentenceReader(SCENARIO)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(sorted(SCENARIO.intents)), st.integers(0, 10**9))
def test_whatever_a_caller_says_is_read_as_what_it_is(intent: str, seed: int) -> None:
    text = join(SCENARIO.say(intent, random.Random(seed)).tokens)
    assert intent in READER.intents(text)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**9))
def test_hesitation_does_not_hide_a_sentence(seed: int) -> None:
    rng = random.Random(seed)
    words = join(SCENARIO.say("order", rng).tokens).split()
    words.insert(rng.randrange(len(words)), "um,")
    assert "order" in READER.intents(" ".join(words))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "can i get",
        "can i get a large",
        "i'd like a latte with",
        "a large latte of the finest kind",
        "latte a large",
        "my loyalty number is seven seven latte",
    ],
)
def test_what_nobody_would_say_is_no_sentence(text: str) -> None:
    assert READER.intents(text) == ()


def test_one_sentence_can_be_of_several_intents() -> None:
    assert set(READER.intents("i'd like a large latte")) >= {"order"}
    assert "loyalty" in READER.intents("four five double six")


def test_things_are_objects_and_numbers() -> None:
    assert READER.names_things("order")
    assert READER.names_things("loyalty")
    assert not READER.names_things("cancel")
    assert not READER.names_things("hours")


def test_generic_sentences_are_filled_in_and_sayable() -> None:
    rng = random.Random(0)
    assert fill("no , {said} please", rng, said=["a", ",", "latte"]) == "no, a, latte please"
    every = [t for t in generic().out_of_domain + generic().story + generic().side_talk]
    every += [t for templates in generic().unsafe.values() for t in templates]
    for template in every:
        text = fill(template, rng)
        assert text
        assert not set("(){}[]|*@_0123456789") & set(text)
