"""Change of sample rate, for whole recordings and for streams (libsoxr).

In and out: float32 samples. It knows nothing of files or frames.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import soxr

from antiphon.errors import AudioError

Floats = npt.NDArray[np.float32]


def resample(samples: npt.ArrayLike, from_rate: int, to_rate: int) -> Floats:
    """Samples [N] or [C, N] at `from_rate` (Hz), brought to `to_rate` without delay.

    Returns float32 [round(N * to_rate / from_rate)] (or [C, ...]).
    """
    _check_rates(from_rate, to_rate)
    x = np.asarray(samples, dtype=np.float32)
    if x.ndim not in (1, 2):
        raise AudioError(f"samples must be [N] or [channels, N], got shape {x.shape}")
    if from_rate == to_rate or x.shape[-1] == 0:
        return x
    length = round(x.shape[-1] * to_rate / from_rate)
    moved = soxr.resample(np.ascontiguousarray(x.T), from_rate, to_rate, quality="HQ")
    return fit_length(np.asarray(moved, dtype=np.float32).T, length)


def fit_length(samples: Floats, length: int) -> Floats:
    """Cut or zero pad the last axis to `length` samples."""
    there = samples.shape[-1]
    if there >= length:
        return np.ascontiguousarray(samples[..., :length])
    pad = [(0, 0)] * (samples.ndim - 1) + [(0, length - there)]
    return np.pad(samples, pad)


class StreamResampler:
    """The change of rate for one channel that arrives chunk by chunk.

    Chunks may have any length; each call returns what is ready, so the first output comes a few
    milliseconds late. All chunks together equal one `resample` of the whole to 1e-4.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        """Rates in Hz."""
        _check_rates(from_rate, to_rate)
        self.from_rate = from_rate
        self.to_rate = to_rate
        self._stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality="HQ")

    def __call__(self, samples: npt.ArrayLike, *, last: bool = False) -> Floats:
        """The next chunk, float [N]; `last` also returns what the filter still holds."""
        x = np.asarray(samples, dtype=np.float32)
        if x.ndim != 1:
            raise AudioError(f"a stream has one channel: samples must be [N], got {x.shape}")
        if self.from_rate == self.to_rate:
            return x
        return np.asarray(
            self._stream.resample_chunk(np.ascontiguousarray(x), last=last), dtype=np.float32
        )


def _check_rates(from_rate: int, to_rate: int) -> None:
    if from_rate < 1 or to_rate < 1:
        raise AudioError(f"sample rates must be positive, got {from_rate} and {to_rate} Hz")
