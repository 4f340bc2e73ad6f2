"""Styles: a voice that obeys is told apart, one that does not is not, and silence is no voice."""

from __future__ import annotations

import math

import numpy as np
import pytest

from antiphon.corpus.delivery import SPEEDS, STYLES, syllables
from antiphon.evaluation.styles import effect, measure, sounded
from antiphon.runtime.events import Samples

SENTENCES = ("you have a small latte", "okay a large coffee with milk", "we are open on monday")


def voice(text: str, pitch: float, gain: float, rate: float, seed: int) -> Samples:
    """Syllables of a buzz: harmonics of `pitch` Hz, `rate` a second, a hair of jitter by seed."""
    rng = np.random.default_rng([seed, len(text)])
    pitch *= 1 + 0.004 * rng.standard_normal()
    count = sum(syllables(word) for word in text.split())
    time = np.arange(round(count / rate * 16_000)) / 16_000
    buzz = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 12))
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * rate * time)
    sound = gain * swell * buzz + 1e-5 * rng.standard_normal(len(time))
    return np.concatenate([np.zeros(800), sound, np.zeros(800)]).astype(np.float32)


def obedient(text: str, style: str | None, speed: float | None, seed: int) -> Samples:
    at = STYLES.index(style or "neutral")
    gain = 0.04 * 10 ** (2.0 * at / 20)
    return voice(text, 140 * 1.05**at, gain, 4.0 * 1.08**at * (speed or 1.0), seed)


def deaf(text: str, style: str | None, speed: float | None, seed: int) -> Samples:
    del style, speed
    return voice(text, 150, 0.05, 4.0, seed)


def test_a_voice_that_obeys_is_told_apart_in_every_pair() -> None:
    found = measure(SENTENCES, obedient, bundle="made")
    assert found.told_apart == found.told_by_any == len(found.pairs) == 10
    assert found.smallest > 1
    assert found.speed_followed == pytest.approx(1.0, abs=0.02)
    assert found.tempo_ratio == pytest.approx(max(SPEEDS) / min(SPEEDS), rel=0.1)
    pitches = [mean.pitch for mean in found.means]
    assert pitches == sorted(pitches)
    assert pitches[1] / pitches[0] == pytest.approx(1.05, rel=0.02)


def test_a_voice_that_does_not_listen_is_not() -> None:
    found = measure(SENTENCES, deaf, bundle="made")
    assert found.told_apart == found.told_by_any == 0
    assert found.speed_followed is None or abs(found.speed_followed) < 0.5
    assert found.tempo_ratio == pytest.approx(1.0, abs=0.02)


def test_what_cannot_be_heard_is_counted_and_says_nothing() -> None:
    def mute(text: str, style: str | None, speed: float | None, seed: int) -> Samples:
        if style == "warm":
            return np.zeros(16_000, np.float32)
        return obedient(text, style, speed, seed)

    found = measure(SENTENCES, mute, bundle="made")
    assert found.unheard == len(SENTENCES)
    assert found.told_apart == 0
    assert not found.means


def test_tempo_counts_the_syllables_of_the_words() -> None:
    heard = sounded("small coffee", voice("small coffee", 150, 0.05, 3.0, 0))
    assert heard is not None
    assert math.exp(heard.tempo) == pytest.approx(3.0, rel=0.15)
    assert sounded("small coffee", np.zeros(8000, np.float32)) is None


def test_effects_of_known_size() -> None:
    assert effect([0.0, 2.0], [4.0, 6.0]) == pytest.approx(4 / math.sqrt(2))
    assert effect([4.0, 6.0], [0.0, 2.0]) == pytest.approx(-4 / math.sqrt(2))
    assert effect([1.0], [2.0]) == 0.0
    assert effect([1.0, 1.0], [1.0, 1.0]) == 0.0
    assert effect([1.0, 1.0], [2.0, 2.0]) == math.inf
