"""Noise that is made, not recorded: coloured noise, hum, babble; and crops of recordings.

Each function returns `length` samples at 16 kHz in no particular level: whoever mixes sets it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.augment.filtering import fast_length
from antiphon.errors import AudioError

Floats = npt.NDArray[np.float32]


def coloured(length: int, slope: float, rng: np.random.Generator) -> Floats:
    """Gaussian noise with power falling as 1 / f^slope above 20 Hz (0 white, 1 pink, 2 brown)."""
    size = fast_length(length)
    bins = size // 2 + 1
    hertz = np.maximum(np.arange(bins, dtype=np.float32) * (SAMPLE_RATE / size), 20.0)
    spectrum = rng.standard_normal(2 * bins, dtype=np.float32).view(np.complex64)
    spectrum *= hertz ** np.float32(-slope / 2.0)
    return _unit(np.fft.irfft(spectrum, size)[:length])


def hum(length: int, rng: np.random.Generator) -> Floats:
    """A mains or motor hum: a low tone with falling harmonics that wavers a little."""
    pitch = rng.uniform(45.0, 250.0)
    seconds = np.arange(length, dtype=np.float32) / np.float32(SAMPLE_RATE)
    depth, rate = rng.uniform(0.0, 0.02), rng.uniform(0.1, 1.5)
    phase = (2.0 * np.pi * pitch) * (seconds + depth * np.sin(2.0 * np.pi * rate * seconds) / rate)
    fall = rng.uniform(0.6, 1.6)
    out = np.zeros(length, np.float32)
    for harmonic in range(1, int(rng.integers(4, 12))):
        level = rng.uniform(0.3, 1.0) / harmonic**fall
        out += np.float32(level) * np.sin(harmonic * phase + rng.uniform(0.0, 6.3)).astype(
            np.float32
        )
    breath = coloured(length, rng.uniform(0.3, 1.5), rng) * np.float32(rng.uniform(0.1, 0.6))
    return _unit(_unit(out) + breath)


def log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    """A number between low and high, evenly spread in logarithm."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def swell(length: int, rng: np.random.Generator, *, floor: float = 0.0) -> Floats:
    """A slow random envelope in [floor, 1], for noise that comes and goes over a second or so."""
    step = SAMPLE_RATE * rng.uniform(0.3, 2.5)
    knots = rng.uniform(0.0, 1.0, int(length / step) + 3) ** 2
    places = np.arange(length, dtype=np.float32) / np.float32(step)
    curve = np.interp(places, np.arange(len(knots)), knots)
    return (floor + (1.0 - floor) * curve).astype(np.float32)


def babble(
    length: int, talkers: Sequence[npt.NDArray[Any]], count: int, rng: np.random.Generator
) -> Floats:
    """`count` voices at once, each a row of random utterances of `talkers` with short gaps."""
    if len(talkers) == 0:
        raise AudioError("babble needs at least one utterance")
    out = np.zeros(length, np.float32)
    for _ in range(count):
        nearness = rng.uniform(0.3, 1.0)
        at = -int(rng.integers(0, SAMPLE_RATE))
        while at < length:
            speech = np.asarray(talkers[int(rng.integers(len(talkers)))], dtype=np.float32)
            begin, end = max(at, 0), min(at + len(speech), length)
            if end > begin:
                part = speech[begin - at : end - at]
                size = float(np.sqrt(np.dot(part, part) / len(part))) + 1e-6
                out[begin:end] += part * np.float32(nearness / size)
            at += len(speech) + int(rng.integers(1, SAMPLE_RATE))
    return out


def crop(length: int, recording: npt.NDArray[Any], rng: np.random.Generator) -> Floats:
    """A random stretch of a recording, repeated if it is short, played a little slow or fast."""
    if len(recording) == 0:
        raise AudioError("a noise recording is empty")
    speed = float(rng.uniform(0.8, 1.25))
    need = int(length * speed) + 2
    start = int(rng.integers(max(1, len(recording) - need + 1)))
    piece = np.resize(recording[start : start + need], need)
    # Linear interpolation: the slight loss of treble does no harm to noise and costs little.
    places = np.arange(length, dtype=np.float64) * speed
    return np.interp(places, np.arange(need), piece).astype(np.float32)


def _unit(samples: npt.NDArray[np.floating]) -> Floats:
    """Scaled to a standard deviation of one."""
    size = float(np.sqrt(np.mean(np.square(samples)))) if len(samples) else 0.0
    return (samples / np.float32(max(size, 1e-6))).astype(np.float32)
