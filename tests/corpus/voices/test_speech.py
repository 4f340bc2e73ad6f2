from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.corpus.voices.manner import Manner
from antiphon.corpus.voices.speech import align, finish, levelled, respelt, sayable
from antiphon.errors import VoiceError


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A latte, please!", "a latte, please!"),
        ("the café’s open - yes?", "the cafe's open yes?"),
        ("wait , what .", "wait, what."),
    ],
)
def test_text_is_brought_to_what_engines_read_alike(text: str, said: str) -> None:
    assert sayable(text) == said


@pytest.mark.parametrize("text", ["", " ...", "2 lattes"])
def test_text_without_words_or_with_digits_is_refused(text: str) -> None:
    with pytest.raises(VoiceError):
        sayable(text)


@given(st.text(max_size=40))
def test_what_is_sayable_says_the_same_again(text: str) -> None:
    try:
        said = sayable(text)
    except VoiceError:
        return
    assert sayable(said) == said
    assert said.isascii()


def test_a_word_spelt_as_two_tokens_keeps_one_span() -> None:
    spelt = respelt("a latte, please", {"latte": (1.0, ("lah tay",))}, random.Random(0))
    assert spelt == [["a"], ["lah", "tay,"], ["please"]]
    tokens = [("a", 0.0, 0.1), ("lah", 0.1, 0.3), ("tay", 0.3, 0.6), ("please", 0.8, 1.0)]
    assert align("a latte, please", spelt, tokens, "test") == [
        ("a", 0.0, 0.1),
        ("latte", 0.1, 0.6),
        ("please", 0.8, 1.0),
    ]
    with pytest.raises(VoiceError, match="read 3 words"):
        align("a latte, please", spelt, tokens[:3], "test")


@pytest.mark.parametrize("tract", [0.85, 1.0, 1.18])
def test_the_vocal_tract_changes_pitch_and_time_together(tract: float) -> None:
    rate = 8000
    tone = np.zeros(rate)
    tone[2000:6000] = np.sin(2 * np.pi * 500 * np.arange(4000) / rate)
    speech = finish(tone, rate, [("tone", 0.25, 0.75)], Manner(tract=tract))
    assert speech.end - speech.start == pytest.approx(0.5 / tract, abs=2e-3)
    inside = speech.samples[round(speech.start * 16_000) : round(speech.end * 16_000)]
    peak = np.abs(np.fft.rfft(inside)).argmax() * 16_000 / len(inside)
    assert peak == pytest.approx(500 * tract, abs=4)


def test_level_is_one_for_loud_and_quiet_voices() -> None:
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    loud, quiet = levelled(noise * 0.3), levelled(noise * 0.001)
    assert np.allclose(loud, quiet, atol=1e-5)
    assert loud.std() == pytest.approx(0.06, rel=0.05)
    with pytest.raises(VoiceError, match="silence"):
        levelled(np.zeros(16_000, np.float32))


def test_a_manner_tilts_the_spectrum_and_sets_the_loudness() -> None:
    rate = 16_000
    noise = np.random.default_rng(0).normal(0, 0.1, rate).astype(np.float32)
    words = [("noise", 0.25, 0.75)]
    plain = finish(noise, rate, words)
    bright = finish(noise, rate, words, Manner(tilt=3.0))
    loud = finish(noise, rate, words, Manner(loud=4.0))

    def treble(x: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(x)) ** 2
        hertz = np.fft.rfftfreq(len(x), 1 / rate)
        return float(10 * np.log10(power[hertz > 4_000].sum() / power[hertz < 500].sum()))

    # From 500 Hz to between 4 and 8 kHz are three to four octaves.
    assert 9 < treble(bright.samples) - treble(plain.samples) < 12
    gain = 20 * np.log10(np.std(loud.samples) / np.std(plain.samples))
    assert gain == pytest.approx(4.0, abs=0.2)
