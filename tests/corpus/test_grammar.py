"""Templates: what is parsed, said, rendered and read back."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.corpus import grammar
from antiphon.corpus.grammar import GrammarError, Node, Speaker

RULES: dict[str, Node] = {
    "milk": grammar.parse("[{amount}]%50 {milk}"),
    "thing": grammar.parse("@a {drink} [with <milk>]"),
}
VALUES = {"drink": ["latte", "iced latte"], "milk": ["milk", "soy milk"], "amount": ["some"]}


def speaker() -> Speaker:
    def sample(name: str, rng: random.Random) -> tuple[str, list[str]]:
        value = rng.choice(VALUES[name])
        return value, value.split()

    return Speaker(RULES, sample, lambda slots, more: slots.update(more), frozenset({"thing"}))


def says(template: str, seed: int = 0) -> str:
    return grammar.join(speaker().say(grammar.parse(template), random.Random(seed)).tokens)


def test_alternatives_follow_their_weights() -> None:
    node = grammar.parse("(a *9 | b)")
    rng = random.Random(0)
    said = [speaker().say(node, rng).tokens[0] for _ in range(500)]
    assert 420 < said.count("a") < 480


def test_an_optional_part_follows_its_percentage() -> None:
    node = grammar.parse("[x]%20")
    rng = random.Random(0)
    assert 70 < sum(bool(speaker().say(node, rng).tokens) for _ in range(500)) < 130


def test_a_shuffle_says_every_part_in_every_order() -> None:
    assert {says("(a & b & c)", seed) for seed in range(100)} == {
        "a b c", "a c b", "b a c", "b c a", "c a b", "c b a",
    }  # fmt: skip


def test_the_article_follows_the_next_word() -> None:
    assert says("@a , iced latte") == "an, iced latte"
    assert says("@a small one") == "a small one"


def test_each_use_of_an_object_rule_opens_an_object_and_other_slots_stay_outside() -> None:
    spoken = speaker().say(grammar.parse("<thing> and <thing> for {milk}"), random.Random(3))
    assert len(spoken.items) == 2
    assert all("drink" in item for item in spoken.items)
    assert set(spoken.slots) == {"milk"}


def test_a_slot_can_be_set_without_a_word() -> None:
    spoken = speaker().say(grammar.parse("double {amount=some}"), random.Random(0))
    assert (spoken.tokens, spoken.slots) == (["double"], {"amount": "some"})


def test_places_are_counted_in_words_not_in_punctuation() -> None:
    spoken = speaker().say(grammar.parse("one , two _ three"), random.Random(0))
    assert spoken.places == {1}


def test_rendering_speaks_an_optional_part_exactly_when_its_slot_is_known() -> None:
    node = grammar.parse("@a {drink} [with [{amount}] {milk}]")
    full = {"drink": "latte", "milk": "soy milk", "amount": "some"}
    tokens = ["@a", "latte", "with", "some", "soy", "milk"]
    assert grammar.render(node, full, {}, None) == tokens
    assert grammar.render(node, {"drink": "latte"}, {}, None) == ["@a", "latte"]
    assert grammar.render(node, {"drink": "latte", "amount": "some"}, {}, None) == ["@a", "latte"]
    assert grammar.render(node, {"milk": "milk"}, {}, None) is None


def test_a_value_that_begins_another_is_not_taken_for_it() -> None:
    values = {"size": ["medium"], "roast": ["medium roast"]}
    pattern = grammar.to_regex(grammar.parse("[{size}] [{roast}]"), values, {})
    found = [m.groupdict() for m in re.finditer(pattern, "now medium roast okay ")]
    assert {"size__0": None, "roast__1": "medium roast"} in found
    assert all(groups["size__0"] is None for groups in found)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("(a | b", "not closed"),
        ("[a", "not closed"),
        ("a ) b", "unexpected"),
        ("(a | b & c)", "mixed"),
        ("call 911", "numbers as words"),
        ("Hello", "capitals"),
        ("{}", "names no slot"),
        ("(a *0 | b *0)", "weight 0"),
        ("a ~ b", "cannot read"),
    ],
)
def test_a_broken_template_is_refused_with_the_reason(template: str, message: str) -> None:
    with pytest.raises(GrammarError, match=message):
        grammar.parse(template)


@given(st.text(alphabet="ab ()[]|&{}<>*%_@,.12", max_size=30))
def test_any_text_is_a_template_or_a_grammar_error(text: str) -> None:
    try:
        node = grammar.parse(text)
    except GrammarError:
        return
    assert list(grammar.walk(node))


def test_punctuation_joins_the_word_before_it_and_never_doubles() -> None:
    assert grammar.join([",", "a", ",", ",", "b", ",", ".", ","]) == "a, b."
    assert grammar.join(["a", ","]) == "a"
