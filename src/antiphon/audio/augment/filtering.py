"""Rooms and frequency responses: everything linear that happens to a voice, in one FFT pass.

A response here is a curve in dB over the frequency axis (microphone, handset, distance); a room is
an impulse response whose direct path is its first sample, so that nothing is delayed.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from antiphon.audio import SAMPLE_RATE

Floats = npt.NDArray[np.float32]

CURVE_POINTS = 513  # a response is given at this many frequencies, evenly from 0 to 8 kHz
_SPREAD = 4_096  # samples of zeros that keep the end of a filtered signal from its beginning


def fast_length(least: int) -> int:
    """The smallest p * 2^k >= least with a small p: a length at which the FFT is quick."""
    sizes = (1, 3, 5, 9, 15, 25, 27, 45, 75, 81)
    return min(p << max(0, (-(-max(least, 1) // p) - 1).bit_length()) for p in sizes)


def linear(samples: Floats, room: Floats | None = None, response: Floats | None = None) -> Floats:
    """Samples [N] heard through a room and a response, float32 [N].

    room: impulse response float32 [L] or None. response: dB float32 [513] over 0 to 8 kHz or None;
    it is applied without a change of phase.
    """
    if (room is None and response is None) or len(samples) == 0:
        return samples.copy()
    tail = _SPREAD if room is None else max(_SPREAD, len(room))
    size = fast_length(len(samples) + tail)
    spectrum = np.fft.rfft(samples, size)
    if room is not None:
        spectrum *= np.fft.rfft(room, size)
    if response is not None:
        gain = 10.0 ** (response.astype(np.float32) / np.float32(20.0))
        places = np.linspace(0.0, len(gain) - 1.0, size // 2 + 1)
        spectrum *= np.interp(places, np.arange(len(gain)), gain).astype(np.float32)
    return np.fft.irfft(spectrum, size)[: len(samples)].astype(np.float32)


def draw_response(rng: np.random.Generator, strength: float = 1.0) -> Floats | None:
    """A random response in dB, float32 [513], or None for a flat one.

    Each part is drawn with a probability and a depth that grow with `strength`: a smooth curve of
    up to +-9 dB, a high-pass at 60 to 350 Hz, a low-pass at 2.8 to 7 kHz.
    """
    hertz = np.linspace(0.0, SAMPLE_RATE / 2, CURVE_POINTS)
    octaves = np.log(np.maximum(hertz, 40.0))
    curve = np.zeros(CURVE_POINTS)
    if rng.random() < 0.75 * strength:
        knots = int(rng.integers(3, 9))
        depth = rng.uniform(2.0, 9.0) * strength
        where = np.linspace(math.log(60.0), math.log(8000.0), knots)
        curve += np.interp(octaves, where, rng.uniform(-1.0, 1.0, knots) * depth)
    if rng.random() < 0.3 * strength:
        order = int(rng.choice([1, 2, 4]))
        corner = rng.uniform(60.0, 350.0)
        curve -= 10.0 * np.log10(1.0 + (corner / np.maximum(hertz, 1.0)) ** (2 * order))
    if rng.random() < 0.25 * strength:
        order = int(rng.choice([2, 8, 16]))
        corner = rng.uniform(2800.0, 7000.0)
        curve -= 10.0 * np.log10(1.0 + (hertz / corner) ** (2 * order))
    if not curve.any():
        return None
    return np.clip(curve, -80.0, 30.0).astype(np.float32)


def draw_distance(rng: np.random.Generator) -> Floats:
    """The response of a way through a room: up to 18 dB less at 8 kHz than at 500 Hz, [513]."""
    octaves = np.log2(np.maximum(np.linspace(0.0, SAMPLE_RATE / 2, CURVE_POINTS), 500.0) / 500.0)
    return (octaves * -rng.uniform(0.0, 4.5)).astype(np.float32)
