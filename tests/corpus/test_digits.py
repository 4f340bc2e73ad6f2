"""Digit strings: whatever way a caller or the agent says them, they read back the same."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from antiphon.corpus import digits
from antiphon.corpus.grammar import join, plain

strings = st.text("0123456789", min_size=4, max_size=8)


@given(strings, st.integers(0, 1000))
def test_a_callers_way_of_saying_digits_reads_back(value: str, seed: int) -> None:
    tokens = digits.say_as_caller(value, random.Random(seed))
    assert digits.read(plain(join(tokens)).split()) == value


@given(strings)
def test_the_agents_readback_reads_back(value: str) -> None:
    text = "okay, " + join(digits.say_as_agent(value)) + ". thank you."
    assert digits.read(plain(text).split()) == value


def test_a_sample_has_a_length_in_the_span() -> None:
    rng = random.Random(0)
    assert {len(digits.sample(rng, 4, 8)) for _ in range(200)} == {4, 5, 6, 7, 8}


def test_callers_say_oh_and_zero_and_double() -> None:
    said = " ".join(
        " ".join(digits.say_as_caller("500335", random.Random(seed))) for seed in range(50)
    )
    assert " oh " in said
    assert " zero " in said
    assert "double three" in said
