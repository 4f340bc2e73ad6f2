"""What a microphone, a handset and a telephone line do: gain, clipping, gating, companding.

All functions take and return float32 [N] at 16 kHz and delay nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from antiphon.audio import SAMPLE_RATE, g711
from antiphon.audio.augment.level import BLOCK, loudest_block
from antiphon.audio.resample import fit_length, resample

Floats = npt.NDArray[np.float32]

TELEPHONE_RATE = 8_000  # Hz


def set_peak(samples: Floats, peak_db: float, strength: float = 1.0) -> Floats:
    """Scaled towards a peak of `peak_db` (dB of full scale); a `strength` of .5 goes half way.

    Silence stays silence.
    """
    peak = float(np.max(np.abs(samples), initial=0.0))
    if peak < 1e-6:
        return samples.copy()
    change = (peak_db - 20.0 * np.log10(peak)) * strength
    return samples * np.float32(10.0 ** (change / 20.0))


def overload(samples: Floats, rng: np.random.Generator, strength: float = 1.0) -> Floats:
    """Clipped at .8 to 3 times the effective value of the loudest block, hard or soft."""
    limit = np.sqrt(loudest_block(samples) / BLOCK) * rng.uniform(3.0 - 2.2 * strength, 3.0)
    if limit < 1e-6:
        return samples.copy()
    if rng.random() < 0.5:
        return np.clip(samples, -limit, limit).astype(np.float32)
    return (limit * np.tanh(samples / np.float32(limit))).astype(np.float32)


def gate(samples: Floats, rng: np.random.Generator) -> Floats:
    """A crude noise gate, as in headsets: 20 ms pieces below a threshold are muted.

    The threshold lies 20 to 36 dB under the loudest block; three pieces each side stay open.
    """
    size = SAMPLE_RATE // 50
    count = len(samples) // size
    if count == 0:
        return samples.copy()
    peaks = np.abs(samples[: count * size]).reshape(count, size).max(axis=1)
    threshold = np.sqrt(loudest_block(samples) / BLOCK) * 10.0 ** (-rng.uniform(20.0, 36.0) / 20.0)
    is_open = np.convolve(peaks > threshold, np.ones(7))[3 : 3 + count] > 0.5
    out = samples.copy()
    out[: count * size] *= np.repeat(is_open, size)
    return out


def telephone(samples: Floats, rng: np.random.Generator) -> Floats:
    """A call over the telephone network: 8 kHz, mu-law or A-law, back to 16 kHz."""
    narrow = resample(samples, SAMPLE_RATE, TELEPHONE_RATE)
    if rng.random() < 0.6:
        heard = g711.decode_mulaw(g711.encode_mulaw(narrow))
    else:
        heard = g711.decode_alaw(g711.encode_alaw(narrow))
    return fit_length(resample(g711.to_float(heard), TELEPHONE_RATE, SAMPLE_RATE), len(samples))


def mulaw(samples: Floats) -> Floats:
    """mu-law at the full 16 kHz: its graininess without the narrow band."""
    return g711.to_float(g711.decode_mulaw(g711.encode_mulaw(samples)))
