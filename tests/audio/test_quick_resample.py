from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.audio.quick_resample import DELAY, QuickResampler
from antiphon.errors import AudioError

PAIRS = [
    (16_000, 24_000),
    (24_000, 16_000),
    (8_000, 16_000),
    (16_000, 8_000),
    (48_000, 16_000),
    (16_000, 48_000),
    (44_100, 16_000),
]


def tone(rate: int, hertz: float = 440.0, seconds: float = 0.5) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate).astype(np.float32)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_a_tone_is_the_same_tone_a_little_later(a: int, b: int) -> None:
    out = QuickResampler(a, b)(tone(a))
    assert len(out) == round(0.5 * b)
    common = np.lcm(a, b)
    late = round(DELAY * common) / common
    wanted = np.sin(2 * np.pi * 440 * (np.arange(len(out)) / b - late))
    middle = slice(b // 100, -b // 100)
    assert np.abs(out - wanted)[middle].max() < 5e-4


@pytest.mark.parametrize(("a", "b"), PAIRS[:2])
@pytest.mark.parametrize("hertz", [100, 1000, 6500])
def test_a_tone_of_any_height_is_as_loud_as_it_was(a: int, b: int, hertz: float) -> None:
    out = QuickResampler(a, b)(tone(a, hertz))
    wanted = np.sin(2 * np.pi * hertz * (np.arange(len(out)) / b - DELAY))
    np.testing.assert_allclose(out[200:], wanted[200:], atol=0.01)


@pytest.mark.parametrize("hertz", [9_000, 10_000])
def test_what_the_lower_rate_cannot_hold_is_gone(hertz: float) -> None:
    out = QuickResampler(24_000, 16_000)(tone(24_000, hertz))
    assert np.abs(out[200:]).max() < 2e-3


def test_no_mirror_image_is_added() -> None:
    out = QuickResampler(16_000, 24_000)(tone(16_000, 5_000))[600:-600]
    spectrum = np.abs(np.fft.rfft(out * np.hanning(len(out))))
    hertz = np.fft.rfftfreq(len(out), 1 / 24_000)
    assert spectrum[hertz > 8_500].max() < 2e-3 * spectrum.max()


@settings(max_examples=40, deadline=None)
@given(
    pair=st.sampled_from(PAIRS),
    sizes=st.lists(st.integers(0, 700), max_size=20),
)
def test_how_the_chunks_are_cut_changes_nothing(pair: tuple[int, int], sizes: list[int]) -> None:
    a, b = pair
    samples = np.random.default_rng(1).standard_normal(3_000).astype(np.float32)
    whole = QuickResampler(a, b)(samples)
    stream = QuickResampler(a, b)
    parts, at = [], 0
    for size in [*sizes, len(samples)]:
        parts.append(stream(samples[at : at + size]))
        at += size
    joined = np.concatenate(parts)
    assert len(joined) == len(whole)
    assert np.allclose(joined, whole, atol=1e-5)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_every_chunk_gives_its_own_time_back(a: int, b: int) -> None:
    stream = QuickResampler(a, b)
    assert {len(stream(np.zeros(a // 50))) for _ in range(20)} == {b // 50}


def test_the_same_rate_passes_untouched() -> None:
    samples = tone(16_000)
    assert (QuickResampler(16_000, 16_000)(samples) == samples).all()


@pytest.mark.parametrize(("a", "b"), [(0, 16_000), (16_000, -1), (44_101, 16_000)])
def test_rates_that_cannot_be_are_refused(a: int, b: int) -> None:
    with pytest.raises(AudioError):
        QuickResampler(a, b)


def test_two_channels_are_refused() -> None:
    with pytest.raises(AudioError, match="one channel"):
        QuickResampler(8_000, 16_000)(np.zeros((2, 80)))
