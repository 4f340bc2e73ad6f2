from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.evaluation.metrics.segments import (
    Stretch,
    is_backchannel,
    speaking_at,
    stretches,
    take_over,
    turns,
    undisturbed,
    until,
)
from tests.evaluation.metrics.made import event, trial, words


def test_silences_below_half_a_second_are_inside_a_stretch() -> None:
    made = trial(agent=[(1.0, 2.0), (2.4, 3.0), (3.6, 4.0)])
    assert [round(s.start, 3) for s in stretches(made)] == [1.0, 3.6]
    assert [round(s.end, 3) for s in stretches(made)] == [3.0, 4.0]
    assert len(stretches(made, gap=0.2)) == 3


def test_words_belong_to_the_stretch_they_sound_in_and_unvoiced_ones_to_none() -> None:
    told = [*words("okay then", 0.95, 1.5), *words("more", 3.7, 4.0), *words("never said", 8, 9)]
    first, second = stretches(trial(agent=[(1.0, 2.0), (3.6, 4.0)], told=told))
    assert first.words == ("okay", "then")
    assert second.words == ("more",)
    silent = stretches(trial(agent=[(1.0, 2.0)]))
    assert silent[0].words is None


@pytest.mark.parametrize(
    ("seconds", "said", "takes"),
    [
        (0.0, None, False),
        (0.9, ("a", "b", "c"), False),
        (0.9, ("a", "b", "c", "d"), True),
        (1.0, ("a",), True),
        (0.9, None, False),
        (1.0, None, True),
    ],
)
def test_a_take_over_is_a_second_or_more_than_three_words(
    seconds: float, said: tuple[str, ...] | None, takes: bool
) -> None:
    assert take_over([Stretch(0.0, seconds, said)]) is takes


def test_a_take_over_is_of_all_that_was_said_together() -> None:
    assert not take_over([])
    assert take_over([Stretch(0, 0.6), Stretch(2, 2.6)])


def test_a_backchannel_is_short_and_of_two_words_at_most() -> None:
    assert is_backchannel(Stretch(0, 0.5, ("uh", "huh")))
    assert not is_backchannel(Stretch(0, 0.5, ("uh", "huh", "yes")))
    assert not is_backchannel(Stretch(0, 1.0, ("hm",)))


def test_speech_that_ends_before_anyone_could_react_was_not_disturbed() -> None:
    said = [Stretch(1.0, 2.0)]
    assert speaking_at(said, 1.5) is said[0]
    assert speaking_at(said, 1.95) is None
    assert speaking_at(said, 0.5) is None


def test_the_callers_next_turn_ends_the_time_for_an_answer() -> None:
    made = trial(events=[event("turn", 0.5, 1), event("noise", 2, 3), event("barge_in", 4, 5)])
    first, second = turns(made)
    assert until(made, first) == 4
    assert until(made, second) == 10


def test_an_event_inside_a_stretch_disturbs_it() -> None:
    made = trial(agent=[(1, 3), (5, 6)], events=[event("noise", 2, 2.5), event("pause", 5.5, 5.6)])
    first, second = stretches(made)
    assert not undisturbed(made, first)
    assert undisturbed(made, second)


@given(st.lists(st.floats(0, 5, allow_subnormal=False), min_size=1, max_size=6))
def test_more_speech_never_undoes_a_take_over(lengths: list[float]) -> None:
    said = [Stretch(10.0 * i, 10.0 * i + length) for i, length in enumerate(lengths)]
    taken = [take_over(said[:count]) for count in range(len(said) + 1)]
    assert taken == sorted(taken)
