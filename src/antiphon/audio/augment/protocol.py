"""What every augmentation of the caller's channel is."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class Augment(Protocol):
    """A random change of a channel that keeps its length, so that alignments stay valid."""

    def __call__(self, samples: Floats, rng: np.random.Generator, /) -> Floats:
        """samples: float32 [N], 16 kHz, +-1. Returns new float32 [N]; the input is not changed."""
        ...
