"""Deliveries: what is asked for, as a network takes it; and how a tempo follows a caller's."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.corpus.delivery import (
    CONTROLS,
    FREE,
    OWN,
    SPEEDS,
    STYLES,
    Delivery,
    delivery,
    leaning,
    nearest,
    syllables,
    tempo,
)
from antiphon.errors import AntiphonError


def test_what_is_not_asked_for_is_left_to_the_agent() -> None:
    assert OWN.control == (FREE, FREE)
    assert delivery() == OWN
    assert Delivery(style="calm").control == (1 + STYLES.index("calm"), FREE)


def test_every_delivery_has_a_control_of_its_own() -> None:
    controls = {Delivery(style, speed).control for style in STYLES for speed in SPEEDS}
    assert len(controls) == len(STYLES) * len(SPEEDS)
    assert all(0 < a < CONTROLS[0] and 0 < b < CONTROLS[1] for a, b in controls)


def test_an_unknown_style_or_speed_is_refused_by_name() -> None:
    with pytest.raises(AntiphonError, match=r'"shouted".*calm'):
        delivery("shouted")
    with pytest.raises(AntiphonError, match="3 is not between"):
        delivery(speed=3)


@given(st.floats(0.5, 2.0))
def test_a_speed_becomes_the_nearest_there_is(speed: float) -> None:
    found = nearest(speed)
    assert all(abs(found - speed) <= abs(other - speed) for other in SPEEDS)


@pytest.mark.parametrize(
    ("word", "count"),
    [
        ("latte", 1),
        ("small", 1),
        ("little", 2),
        ("americano", 5),
        ("make", 1),
        ("coffee", 2),
        ("mm", 1),
    ],
)
def test_syllables(word: str, count: int) -> None:
    assert syllables(word) == count


def test_a_tempo_leaves_pauses_out_and_needs_some_words() -> None:
    said = [("americano", 0.0, 0.5), ("for", 1.2, 1.4), ("me", 2.0, 2.7)]
    assert tempo(said) == pytest.approx(5.0)
    assert tempo([("hi", 0.0, 0.2)]) is None


def test_the_agent_leans_towards_the_caller() -> None:
    assert leaning(None, 5.0, 0.6) == 1.0
    assert leaning(5.0, 5.0, 0.6) == 1.0
    assert leaning(7.0, 5.0, 0.0) == 1.0
    rng = random.Random(1)
    heard = sorted(rng.uniform(3, 8) for _ in range(30))
    speeds = [leaning(each, 5.0, 0.6) for each in heard]
    assert speeds == sorted(speeds)
    assert speeds[0] == SPEEDS[0]
    assert speeds[-1] == SPEEDS[-1]
