"""Sounds that are no words to the agent: made from scratch, each from its generator alone.

All return float32 at 16 kHz. `NOISES` are single sounds at the loudness of the voices; `murmur`
and `clatter` are endless backgrounds in no particular level.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.augment.kitchen import clatter, thud
from antiphon.audio.augment.noise import coloured, log_uniform
from antiphon.corpus.voices.speech import faded, levelled
from antiphon.runtime.events import Samples

__all__ = ["NOISES", "clatter", "cough", "door", "hiss", "kitchen", "murmur", "music"]


def cough(rng: np.random.Generator) -> Samples:
    """One to three coughs: a burst as the glottis opens, then breath that dies away."""
    parts: list[Samples] = []
    for _ in range(int(rng.integers(1, 4))):
        length = int(rng.uniform(0.22, 0.4) * SAMPLE_RATE)
        seconds = np.arange(length) / SAMPLE_RATE
        hertz = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
        throat = _resonances(hertz, rng.uniform((500, 1_300, 2_700), (800, 1_900, 3_600)), 220.0)
        breath = np.fft.irfft(np.fft.rfft(rng.standard_normal(length)) * throat, length)
        opening = np.minimum(seconds / 0.008, 1.0) * np.exp(-seconds / rng.uniform(0.05, 0.1))
        gap = np.zeros(int(rng.uniform(0.05, 0.25) * SAMPLE_RATE))
        parts.append(np.concatenate([breath * opening, gap]).astype(np.float32))
    return _voiced(np.concatenate(parts))


def door(rng: np.random.Generator) -> Samples:
    """A knock of a latch and a door that falls shut."""
    latch, shut = thud(rng), thud(rng) + np.float32(0.0)
    gap = np.zeros(int(rng.uniform(0.08, 0.4) * SAMPLE_RATE), np.float32)
    rattle = coloured(int(0.25 * SAMPLE_RATE), 1.5, rng)
    rattle *= np.exp(-np.arange(len(rattle)) / (0.05 * SAMPLE_RATE)).astype(np.float32)
    end = np.zeros(max(len(shut), len(rattle)), np.float32)
    end[: len(shut)] += shut
    end[: len(rattle)] += np.float32(0.3) * rattle
    return _voiced(np.concatenate([latch * np.float32(0.4), gap, end]))


def music(rng: np.random.Generator) -> Samples:
    """Two to four seconds of a plucked tune over a chord."""
    length = int(rng.uniform(2.0, 4.0) * SAMPLE_RATE)
    out = np.zeros(length, np.float32)
    root, beat = log_uniform(110.0, 220.0, rng), rng.uniform(0.18, 0.4)
    scale = np.array((0, 2, 4, 7, 9, 12, 14, 16))
    for chord in (0, 7, 12):
        _pluck(out, 0, root * 2 ** (chord / 12), length / SAMPLE_RATE, 0.3)
    for at in np.arange(0.0, length / SAMPLE_RATE - 0.1, beat):
        note = root * 2 ** (1 + int(rng.choice(scale)) / 12)
        _pluck(out, int(at * SAMPLE_RATE), note, 0.5, 1.0)
    return _voiced(out)


def kitchen(rng: np.random.Generator) -> Samples:
    """One to two and a half seconds of crockery, cutlery and steps."""
    return _voiced(clatter(int(rng.uniform(1.0, 2.5) * SAMPLE_RATE), rng))


def hiss(rng: np.random.Generator, seconds: float, level_db: float) -> Samples:
    """The rush of an idle line: coloured noise at `level_db` dB of full scale (RMS)."""
    noise = coloured(round(seconds * SAMPLE_RATE), rng.uniform(0.0, 1.5), rng)
    return faded((noise * np.float32(10 ** (level_db / 20))).astype(np.float32))


NOISES: dict[str, Callable[[np.random.Generator], Samples]] = {
    "cough": cough,
    "door": door,
    "music": music,
    "kitchen": kitchen,
}


def murmur(length: int, rng: np.random.Generator, talkers: int = 6) -> Samples:
    """`length` samples of people talking at once, whose words are none.

    Each is a row of syllables with a pitch, formants and breaths of their own: it has speech's
    spectrum and rhythm, and nothing in it can be recognised, so nothing can be answered rightly.
    """
    out = np.zeros(length, np.float32)
    for _ in range(talkers):
        pitch, near = log_uniform(85.0, 230.0, rng), np.float32(rng.uniform(0.4, 1.0))
        at = -int(rng.integers(0, SAMPLE_RATE // 2))
        while at < length:
            sound = _syllable(pitch * rng.normal(1.0, 0.1), rng)
            begin, end = max(at, 0), min(at + len(sound), length)
            if end > begin:
                out[begin:end] += near * sound[begin - at : end - at]
            at += int(len(sound) * rng.uniform(0.8, 1.0))
            if rng.random() < 0.12:
                at += int(rng.uniform(0.15, 0.6) * SAMPLE_RATE)
    return out


def _syllable(pitch: float, rng: np.random.Generator) -> Samples:
    """Harmonics (or, at times, a hiss) through three formants, RMS 1."""
    length = int(rng.uniform(0.12, 0.3) * SAMPLE_RATE)
    hertz = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    if rng.random() < 0.2:
        source = np.exp(2j * np.pi * rng.random(len(hertz))) * (hertz > 2_500) * 0.02
    else:
        source = np.zeros(len(hertz), np.complex128)
        teeth = np.round(np.arange(pitch, 5_000.0, pitch) * length / SAMPLE_RATE).astype(int)
        source[teeth] = np.exp(2j * np.pi * rng.random(len(teeth)))
    formants = rng.uniform((280, 850, 2_300), (800, 2_200, 3_000))
    tone = np.fft.irfft(source * _resonances(hertz, formants, 110.0), length)
    tone *= np.sin(np.pi * np.linspace(0.0, 1.0, length)) ** 0.7
    return (tone / np.sqrt(np.mean(np.square(tone)) + 1e-20)).astype(np.float32)


def _resonances(hertz: np.ndarray, centres: np.ndarray, width: float) -> np.ndarray:
    """Gain over frequency of parallel resonances, the higher ones weaker."""
    gains = (1.0, 0.5, 0.25)
    return sum(
        (
            gain / (1.0 + np.square((hertz - centre) / width))
            for gain, centre in zip(gains, centres, strict=True)
        ),
        np.full(len(hertz), 1e-3),
    )


def _pluck(out: Samples, at: int, hertz: float, seconds: float, loud: float) -> None:
    """Add a string's sound to `out` from sample `at` on."""
    length = min(int(seconds * SAMPLE_RATE), len(out) - at)
    time = np.arange(length) / SAMPLE_RATE
    tone = sum(
        (np.sin(2 * np.pi * hertz * k * time) / k**1.5 for k in range(1, 6)), np.zeros(length)
    )
    fall = np.exp(-time / (0.35 * seconds)) * np.minimum(time / 0.005, 1.0)
    out[at : at + length] += (loud * tone * fall).astype(np.float32)


def _voiced(sound: Samples) -> Samples:
    """At the loudness of the voices, so that neither stands out by level alone."""
    return faded(levelled(sound))
