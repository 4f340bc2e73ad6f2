"""Intervals for figures that are no shares: means, and ratios of sums such as an error rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

DRAWS = 2_000


class Estimate(BaseModel):
    """A figure over n trials with its bootstrap 95 % interval; None where there are no trials."""

    model_config = ConfigDict(frozen=True)

    value: float | None
    low: float | None
    high: float | None
    n: int

    def show(self, form: str = ".3f") -> str:
        """`value [low, high]`, each in the format `form`."""
        if self.value is None or self.low is None or self.high is None:
            return "-"
        return f"{self.value:{form}}  [{self.low:{form}}, {self.high:{form}}]"


def ratio(parts: Sequence[float], wholes: Sequence[float], *, seed: int = 0) -> Estimate:
    """sum(parts) / sum(wholes), trials drawn again with replacement (Efron 1979, percentiles)."""
    top, bottom = np.asarray(parts, dtype=np.float64), np.asarray(wholes, dtype=np.float64)
    n = len(top)
    if n == 0 or bottom.sum() <= 0:
        return Estimate(value=None, low=None, high=None, n=n)
    picks = np.random.default_rng(seed).integers(0, n, (DRAWS, n))
    sums = bottom[picks].sum(axis=1)
    drawn = top[picks].sum(axis=1)[sums > 0] / sums[sums > 0]
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Estimate(value=float(top.sum() / bottom.sum()), low=float(low), high=float(high), n=n)


def mean(values: Sequence[float], *, seed: int = 0) -> Estimate:
    """The mean of values."""
    return ratio(values, [1.0] * len(values), seed=seed)
