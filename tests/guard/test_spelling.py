"""The ears' spelling: letters of frames to text, and how near it comes to words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.guard.spelling import Spelling, misfit

WORDS = st.text(alphabet="abcdefghij", min_size=1, max_size=8)


def test_repeats_are_one_letter_and_a_blank_parts_two() -> None:
    spelling = Spelling()
    for at, spelt in enumerate(("__la", "at__", "t_e_")):
        spelling.take(at * 0.08, spelt)
    assert spelling.since() == "latte"


def test_a_repeat_across_frames_is_one_letter() -> None:
    spelling = Spelling()
    assert spelling.take(0.0, "__aa")
    assert not spelling.take(0.08, "aa__")
    assert spelling.since() == "a"


def test_what_was_spelt_before_a_moment_is_left_out() -> None:
    spelling = Spelling()
    spelling.take(1.0, "a_b_")
    spelling.take(2.0, "c_d_")
    assert spelling.since(1.0) == "cd"


def test_a_word_fits_wherever_it_is_spelt() -> None:
    assert misfit("iced mocha", "can i have an icedmocha please") == 0
    assert misfit("latte", "a large lade") == pytest.approx(2 / 5)
    assert misfit("latte", "") == 1


@given(WORDS, WORDS, WORDS)
def test_a_misfit_is_a_share_and_more_sound_never_makes_it_larger(a: str, b: str, c: str) -> None:
    alone = misfit(a, b)
    assert 0 <= alone <= 1
    assert misfit(a, b + c) <= alone
    assert misfit(a, c + a + b) == 0
