from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.evaluation.systems.realtime_rates import QuickResampler

RATES = [(16_000, 24_000), (24_000, 16_000)]
DELAY = 72 / 48_000  # s


def tone(hertz: float, rate: int, seconds: float = 0.5) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate).astype(np.float32)


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
@pytest.mark.parametrize("hertz", [100, 1000, 6500])
def test_a_tone_comes_out_as_loud_and_a_millisecond_and_a_half_later(
    from_rate: int, to_rate: int, hertz: float
) -> None:
    got = QuickResampler(from_rate, to_rate)(tone(hertz, from_rate))
    time = np.arange(len(got)) / to_rate - DELAY
    wanted = np.sin(2 * np.pi * hertz * time)
    np.testing.assert_allclose(got[200:], wanted[200:], atol=0.01)


def test_what_the_line_cannot_hold_is_removed() -> None:
    assert np.abs(QuickResampler(24_000, 16_000)(tone(10_000, 24_000))[200:]).max() < 2e-3


def test_no_mirror_image_is_added() -> None:
    got = QuickResampler(16_000, 24_000)(tone(5_000, 16_000))[600:-600]
    spectrum = np.abs(np.fft.rfft(got * np.hanning(len(got))))
    hertz = np.fft.rfftfreq(len(got), 1 / 24_000)
    assert spectrum[hertz > 8_500].max() < 2e-3 * spectrum.max()


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
def test_every_tick_gives_a_tick(from_rate: int, to_rate: int) -> None:
    stream = QuickResampler(from_rate, to_rate)
    assert {len(stream(np.zeros(from_rate // 50, np.float32))) for _ in range(20)} == {
        to_rate // 50
    }


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 700), min_size=1, max_size=12), st.sampled_from(RATES))
def test_chunks_of_any_length_make_the_same_stream(
    sizes: list[int], rates: tuple[int, int]
) -> None:
    x = np.random.default_rng(0).standard_normal(sum(sizes)).astype(np.float32)
    stream = QuickResampler(*rates)
    parts = [stream(part) for part in np.split(x, np.cumsum(sizes)[:-1])]
    np.testing.assert_allclose(np.concatenate(parts), QuickResampler(*rates)(x), atol=1e-5)
