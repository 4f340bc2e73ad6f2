from __future__ import annotations

import numpy as np
import pytest

from antiphon.evaluation.noises import NOISES, hiss, murmur


@pytest.mark.parametrize("name", list(NOISES))
def test_a_noise_is_as_loud_as_a_voice_and_the_same_for_a_seed(name: str) -> None:
    for seed in range(4):
        sound = NOISES[name](np.random.default_rng(seed))
        assert sound.dtype == np.float32
        assert 0.05 < len(sound) / 16_000 < 5.0
        assert 0.05 < np.abs(sound).max() <= 0.91
        assert np.array_equal(sound, NOISES[name](np.random.default_rng(seed)))
    assert not np.array_equal(sound[:800], NOISES[name](np.random.default_rng(99))[:800])


def test_hiss_has_the_level_that_was_asked_for() -> None:
    sound = hiss(np.random.default_rng(0), 2.0, -50.0)
    assert 10 * np.log10(np.mean(np.square(sound))) == pytest.approx(-50, abs=0.5)


def test_a_murmur_has_the_band_and_the_rhythm_of_speech() -> None:
    sound = murmur(10 * 16_000, np.random.default_rng(1), talkers=1)
    spectrum = np.square(np.abs(np.fft.rfft(sound)))
    hertz = np.fft.rfftfreq(len(sound), 1 / 16_000)
    assert spectrum[(hertz > 80) & (hertz < 4_000)].sum() > 0.9 * spectrum.sum()
    level = np.sqrt(np.square(sound.reshape(-1, 320)).mean(axis=1))  # 20 ms
    beats = np.square(np.abs(np.fft.rfft(level - level.mean())))
    rate = np.fft.rfftfreq(len(level), 0.02)
    assert beats[(rate > 2) & (rate < 10)].sum() > beats[rate > 10].sum()
