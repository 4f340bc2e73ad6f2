"""SpecAugment: bands of log-mel features blanked out (Park et al. 2019)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_WIDEST_BAND = 14  # mel bins
_WIDEST_GAP = 14  # frames of 10 ms: shorter than most words
_FRAMES_A_GAP = 120  # one chance of a gap in each 1.2 s


def draw_mask(
    frames: int, bins: int, rng: np.random.Generator, strength: float = 1.0
) -> npt.NDArray[np.bool_]:
    """What to blank: bool [frames, bins], two bands and a gap in every 1.2 s or so.

    `strength` scales the widths and how often there is a gap.
    """
    mask = np.zeros((frames, bins), np.bool_)
    band = min(bins, round(_WIDEST_BAND * strength))
    for _ in range(2):
        width = int(rng.integers(0, band + 1))
        low = int(rng.integers(0, bins - width + 1))
        mask[:, low : low + width] = True
    gap = min(frames, round(_WIDEST_GAP * strength))
    for _ in range(max(1, frames // _FRAMES_A_GAP)):
        if rng.random() < 0.7 * strength:
            width = int(rng.integers(0, gap + 1))
            start = int(rng.integers(0, frames - width + 1))
            mask[start : start + width] = True
    return mask


def spec_augment(features: Floats, rng: np.random.Generator, strength: float = 1.0) -> Floats:
    """Log-mel features [T, 80] with masked parts set to the mean of all, float32 [T, 80]."""
    if len(features) == 0:
        return features.copy()
    mask = draw_mask(features.shape[0], features.shape[1], rng, strength)
    return np.where(mask, np.float32(features.mean()), features).astype(np.float32)
