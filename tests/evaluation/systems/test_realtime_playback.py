from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.evaluation.protocol import SECONDS, TICK
from antiphon.evaluation.systems.realtime_playback import Playback, Words
from antiphon.runtime.events import AgentWordEvent

RATE = 24_000


def voice(seconds: float, level: float = 0.5) -> np.ndarray:
    return np.full(round(seconds * RATE), level, np.float32)


def run(playback: Playback, seconds: float) -> tuple[np.ndarray, list[AgentWordEvent]]:
    heard = [playback.take() for _ in range(round(seconds / SECONDS))]
    return np.concatenate([h.agent for h in heard]), [w for h in heard for w in h.told]


# -- words ---------------------------------------------------------------------------------


def test_fragments_make_words_with_the_time_of_their_first_letters() -> None:
    words = Words()
    assert words.feed(" a lar", 1.0) == [("a", 1.0)]
    assert words.feed("ge", 2.0) == []
    assert words.feed(" latte , ", 3.0) == [("large", 1.0), ("latte", 3.0)]
    assert words.flush() == []  # a comma is no word


def test_the_time_may_be_that_of_the_last_letters() -> None:
    words = Words(last=True)
    words.feed("lar", 1.0)
    words.feed("ge", 2.0)
    assert words.flush() == [("large", 2.0)]


@given(st.lists(st.text(alphabet="ab, ", max_size=5), max_size=8))
def test_however_a_transcript_is_cut_its_words_are_the_same(parts: list[str]) -> None:
    words = Words()
    got = [text for part in parts for text, _ in words.feed(part, 0.0)]
    got += [text for text, _ in words.flush()]
    assert got == [word for word in "".join(parts).split() if word.strip(",")]


# -- the voice -----------------------------------------------------------------------------


def test_what_came_plays_from_the_next_tick_on_and_then_there_is_silence() -> None:
    playback = Playback(RATE)
    playback.add("a", voice(0.1))
    sound, _ = run(playback, 0.2)
    loud = np.flatnonzero(np.abs(sound) > 0.25) / 16_000
    assert loud[0] == pytest.approx(0.0015, abs=1e-3)
    assert loud[-1] == pytest.approx(0.1, abs=1e-3)
    assert playback.now == pytest.approx(SECONDS + 0.2)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=8))
def test_nothing_is_lost_or_doubled_however_it_comes(sizes: list[int]) -> None:
    playback, given_ = Playback(RATE), np.random.default_rng(0).uniform(-1, 1, sum(sizes))
    for part in np.split(given_.astype(np.float32), np.cumsum(sizes)[:-1]):
        playback.add("a", part)
    once = Playback(RATE)
    once.add("a", given_.astype(np.float32))
    np.testing.assert_allclose(run(playback, 2.0)[0], run(once, 2.0)[0], atol=1e-5)


def test_dropping_names_what_was_played_of_each_item() -> None:
    playback = Playback(RATE)
    playback.add("a", voice(0.1))
    playback.add("b", voice(0.3))
    playback.add("c", voice(0.3))
    run(playback, 0.2)
    assert playback.drop() == [("b", 100), ("c", 0)]
    sound, _ = run(playback, 0.2)
    assert not sound.any()
    assert playback.drop() == []


def test_what_comes_after_a_drop_is_free_of_what_was_dropped() -> None:
    playback = Playback(RATE)
    playback.add("a", voice(0.1))
    playback.drop()
    playback.add("b", np.zeros(2400, np.float32))
    assert not run(playback, 0.1)[0].any()


# -- voice and words -----------------------------------------------------------------------


def test_a_word_begins_where_the_sound_received_before_it_ends() -> None:
    playback = Playback(RATE)
    playback.write("a", "one ")  # ahead of all sound
    run(playback, 0.2)  # ... which is long in coming
    playback.add("a", voice(0.4))
    playback.write("a", "two ")
    playback.add("a", voice(0.4))
    began = playback.now
    _, told = run(playback, 1.0)
    assert [(word.text, word.start) for word in told] == [
        ("one", pytest.approx(began)),
        ("two", pytest.approx(began + 0.4)),
    ]
    assert all(word.time <= word.start < word.time + SECONDS for word in told)


def test_words_that_were_not_played_are_not_told() -> None:
    playback = Playback(RATE)
    playback.add("a", voice(0.1))
    playback.write("a", "one ")
    playback.add("a", voice(0.4))
    playback.write("a", "two three")
    _, told = run(playback, 0.2)
    playback.drop()
    told += run(playback, 1.0)[1]
    assert [word.text for word in told] == ["one"]


def test_a_word_without_sound_is_not_told() -> None:
    playback = Playback(RATE)
    playback.write("a", "one two")
    playback.end_words()
    assert run(playback, 0.5)[1] == []


def test_where_nothing_ends_a_word_a_pause_does() -> None:
    playback = Playback(RATE, still=0.3)
    playback.add("a", voice(0.02))
    playback.write("a", "one", 0.01)
    assert run(playback, 0.3)[1] == []
    (word,) = run(playback, 0.1)[1]
    assert (word.text, word.start) == ("one", 0.01)  # told late, with the server's own time


def test_a_tick_is_a_tick() -> None:
    heard = Playback(RATE).take()
    assert heard.agent.shape == (TICK,)
    assert heard.agent.dtype == np.float32
