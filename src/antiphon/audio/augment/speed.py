"""Speed: the one change that moves words in time, so it is apart from the chain."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import soxr

from antiphon.audio.resample import fit_length
from antiphon.errors import AudioError

Floats = npt.NDArray[np.float32]


def change_speed(samples: npt.ArrayLike, factor: float) -> Floats:
    """Samples [N] played `factor` times as fast, float32 [round(N / factor)].

    Tempo, pitch and vocal tract move together, as on tape. A word at t seconds is then at
    t / factor.
    """
    if not 0.25 <= factor <= 4.0:
        raise AudioError(f"the speed must lie in [0.25, 4], got {factor:g}")
    x = np.ascontiguousarray(samples, dtype=np.float32)
    if factor == 1.0 or len(x) == 0:
        return x.copy()
    moved = np.asarray(soxr.resample(x, factor, 1.0, quality="MQ"), dtype=np.float32)
    return fit_length(moved, round(len(x) / factor))
