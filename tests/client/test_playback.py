from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.client.playback import Playback

RATE = 1000


def tone(seconds: float) -> np.ndarray:
    return np.full(round(seconds * RATE), 0.5, np.float32)


def test_sound_in_time_plays_without_a_gap_after_the_buffer() -> None:
    played = Playback(RATE, 0.06)
    for number in range(5):
        played.add("a", tone(0.08), 1.0 + 0.08 * number)
    assert played.gaps == []
    assert played.end == pytest.approx(1.46)
    assert played.replies() == [pytest.approx((1.06, 1.46))]
    line = played.line(2.0)
    assert np.flatnonzero(line)[[0, -1]].tolist() == [1060, 1459]


def test_what_the_buffer_can_bear_is_no_gap_and_the_rest_is_told_in_seconds() -> None:
    played = Playback(RATE, 0.06)
    played.add("a", tone(0.08), 1.0)
    played.add("a", tone(0.08), 1.14)  # just in time
    assert played.gaps == []
    played.add("a", tone(0.08), 1.42)  # the one before was over at 1.22
    assert played.gaps == [pytest.approx(0.2)]
    assert not played.line(2.0)[1221:1419].any()
    assert played.line(2.0)[1421:1499].all()


def test_silence_between_items_is_no_gap() -> None:
    played = Playback(RATE, 0.0)
    played.add("a", tone(0.1), 1.0)
    played.add("b", tone(0.1), 3.0)
    assert played.gaps == []
    assert len(played.replies()) == 2


def test_sound_faster_than_it_is_played_waits_its_turn() -> None:
    played = Playback(RATE, 0.0)
    for _ in range(10):
        played.add("a", tone(0.1), 1.0)
    played.add("b", tone(0.1), 1.0)
    assert played.end == pytest.approx(2.1)


def test_what_is_dropped_is_not_heard() -> None:
    played = Playback(RATE, 0.0)
    played.add("a", tone(1.0), 1.0)
    played.add("a", tone(1.0), 1.0)
    played.drop(1.5)
    assert played.end == 1.5
    assert np.flatnonzero(played.line(4.0))[[0, -1]].tolist() == [1000, 1499]
    assert played.replies() == [pytest.approx((1.0, 1.5))]
    played.add("b", tone(0.1), 1.5)
    assert played.seconds == pytest.approx(0.6)


def test_the_answer_is_the_first_stretch_that_goes_on_after_the_caller() -> None:
    played = Playback(RATE, 0.0)
    played.add("a", tone(0.2), 0.5)  # an "mhm" while the caller speaks
    assert played.first_after(2.0) is None
    played.add("b", np.concatenate([np.zeros(100, np.float32), tone(1.0)]), 2.1)
    assert played.first_after(2.0) == pytest.approx(0.2)
    early = Playback(RATE, 0.0)
    early.add("a", tone(1.0), 1.5)
    assert early.first_after(2.0) == pytest.approx(-0.5)


def test_a_reply_in_one_piece_still_has_its_pauses() -> None:
    played = Playback(RATE, 0.0)
    played.add("a", np.concatenate([tone(0.3), np.zeros(800, np.float32), tone(0.3)]), 0.0)
    assert played.replies() == [pytest.approx((0.0, 0.3)), pytest.approx((1.1, 1.4))]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(1, 300), st.integers(0, 400), st.booleans()),
        max_size=15,
    ),
    st.integers(0, 100),
)
def test_nothing_plays_before_it_came_or_over_something_else(steps, buffer) -> None:
    played, now, came = Playback(RATE, buffer / 1e3), 0.0, 0
    for item, samples, later, drop in steps:
        now += later / 1e3
        if drop:
            played.drop(now)
        played.add(item, tone(samples / RATE), now)
        came += samples
        assert played.end >= now
        assert all(gap > 0 for gap in played.gaps)
    line = played.line(played.end + 0.01)
    assert np.count_nonzero(line) <= came
    assert abs(np.count_nonzero(line) / RATE - played.seconds) <= len(steps) * 2 / RATE
