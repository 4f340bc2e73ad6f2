"""Change of sample rate for a call that is going on: every chunk gives its own time back at once.

libsoxr's streams (`audio.resample`) are finer, and give their samples in blocks tens of
milliseconds late; a call cannot wait for that. A short windowed sinc does, 1.5 ms late.
In and out: float32 samples of one channel. It knows nothing of files, frames or clocks.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from antiphon.errors import AudioError

Floats = npt.NDArray[np.float32]

DELAY = 0.0015  # seconds: half the filter's length
_BETA = 6.0  # Kaiser
_CUT = 0.47  # of the lower rate: flat to .43 of it, 60 dB down from .51 on
_MOST_PHASES = 480  # 44.1 kHz to 16 kHz has 160


class QuickResampler:
    """One channel from one rate to another, chunk by chunk, `DELAY` seconds late.

    The chunks may have any length, and how they are cut changes nothing beyond rounding. Raises
    AudioError for rates that have no short common multiple.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        """Rates in Hz."""
        if from_rate < 1 or to_rate < 1:
            raise AudioError(f"rates must be positive, got {from_rate} and {to_rate} Hz")
        common = math.lcm(from_rate, to_rate)
        self.from_rate, self.to_rate = from_rate, to_rate
        self._up, self._down = common // from_rate, common // to_rate
        if self._up > _MOST_PHASES:
            raise AudioError(
                f"a live stream cannot go from {from_rate} to {to_rate} Hz; use 8, 16, 24, 44.1 "
                "or 48 kHz"
            )
        self._phases, self._reach = _phases(from_rate, to_rate, self._up, self._down)
        self._past: Floats = np.zeros(self._reach - 1, dtype=np.float32)
        self._next = 0  # the next output, in ticks of the common rate after the past's end

    def __call__(self, samples: npt.ArrayLike) -> Floats:
        """The next chunk, float [N], any N; float32 [about N * to / from]."""
        new = np.asarray(samples, dtype=np.float32)
        if new.ndim != 1:
            raise AudioError(f"a stream has one channel: samples must be [N], got {new.shape}")
        if self.from_rate == self.to_rate:
            return new
        if not len(new):
            return np.zeros(0, dtype=np.float32)
        line = np.concatenate((self._past, new))
        ticks = np.arange(self._next, len(new) * self._up, self._down)
        self._next = int(self._next + len(ticks) * self._down - len(new) * self._up)
        self._past = line[len(new) :]
        windows = np.lib.stride_tricks.sliding_window_view(line, self._reach)
        out = np.empty(len(ticks), dtype=np.float32)
        # Outputs a whole round of phases apart share their taps: one product for each phase.
        for first in range(min(self._up, len(ticks))):
            mine = ticks[first :: self._up]
            rows = windows[mine[0] // self._up :: self._down][: len(mine)]
            np.matmul(rows, self._phases[mine[0] % self._up], out=out[first :: self._up])
        return out


@lru_cache(maxsize=32)
def _phases(from_rate: int, to_rate: int, up: int, down: int) -> tuple[Floats, int]:
    """(taps float32 [up, reach], reach): the filter of each phase, over the last input samples."""
    if from_rate == to_rate:
        return np.ones((1, 1), dtype=np.float32), 1
    common = from_rate * up
    half = round(DELAY * common)
    at = np.arange(2 * half + 1) - half
    cut = _CUT * min(from_rate, to_rate) / common
    taps = np.sinc(2 * cut * at) * np.kaiser(2 * half + 1, _BETA)
    taps *= up / taps.sum()
    reach = -(-len(taps) // up)
    padded = np.zeros(reach * up)
    padded[: len(taps)] = taps
    # phase p's newest sample has tap p, the one before it tap p + up, ...: oldest first here.
    return np.ascontiguousarray(padded.reshape(reach, up).T[:, ::-1], dtype=np.float32), reach
