from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.audio.resample import StreamResampler, fit_length, resample
from antiphon.errors import AudioError


def tone(hertz: float, rate: int, seconds: float = 0.5) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 11025, 24000, 44100, 48000])
def test_a_tone_stays_in_its_place(rate: int) -> None:
    got = resample(tone(440, rate), rate, 16_000)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got[500:-500], tone(440, 16_000)[500 : len(got) - 500], atol=2e-3)


def test_what_the_new_rate_cannot_hold_is_removed() -> None:
    assert np.abs(resample(tone(6000, 16_000), 16_000, 8_000)[200:-200]).max() < 1e-3


def test_the_length_follows_the_rates() -> None:
    assert resample(np.zeros(16_001), 16_000, 8_000).shape == (8_000,)
    assert resample(np.zeros((2, 441)), 44_100, 16_000).shape == (2, 160)
    assert resample(np.zeros(0), 8_000, 16_000).shape == (0,)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 2000), min_size=1, max_size=10), st.sampled_from([8000, 48000]))
def test_a_stream_equals_the_whole(sizes: list[int], rate: int) -> None:
    x = np.random.default_rng(0).standard_normal(sum(sizes)).astype(np.float32)
    stream, parts, at = StreamResampler(rate, 16_000), [], 0
    for number, size in enumerate(sizes):
        parts.append(stream(x[at : at + size], last=number == len(sizes) - 1))
        at += size
    joined, whole = np.concatenate(parts), resample(x, rate, 16_000)
    assert abs(len(joined) - len(whole)) <= 1
    count = min(len(joined), len(whole))
    np.testing.assert_allclose(joined[:count], whole[:count], atol=1e-4)


def test_a_stream_at_one_rate_passes_through() -> None:
    x = np.ones(100, np.float32)
    np.testing.assert_array_equal(StreamResampler(16_000, 16_000)(x), x)


def test_fit_length_cuts_and_pads() -> None:
    x = np.ones((2, 5), np.float32)
    assert fit_length(x, 3).shape == (2, 3)
    assert fit_length(x, 8)[:, 5:].sum() == 0


def test_misuse_is_one_clear_sentence() -> None:
    with pytest.raises(AudioError, match="positive"):
        resample(np.zeros(10), 0, 16_000)
    with pytest.raises(AudioError, match="positive"):
        StreamResampler(16_000, -1)
    with pytest.raises(AudioError, match="samples must be"):
        resample(np.zeros((1, 2, 3)), 8_000, 16_000)
    with pytest.raises(AudioError, match="one channel"):
        StreamResampler(8_000, 16_000)(np.zeros((2, 3)))
