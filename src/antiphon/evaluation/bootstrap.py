"""Intervals for figures that are no shares: means, and ratios of sums such as an error rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
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


class Grouped:
    """Draws whole groups (a voice's trials, a pair's) with replacement: trials of one group are
    alike, so drawing them one by one would make intervals too narrow (Davison & Hinkley 1997,
    section 3.8). Where all trials are one group, the trials themselves are drawn.

    Two figures over the same `groups` and seed are drawn alike, so their differences are paired.
    """

    def __init__(self, groups: Sequence[str], *, seed: int = 0) -> None:
        """groups: one name a trial."""
        names = list(dict.fromkeys(groups))
        if len(names) == 1:
            names = [str(index) for index in range(len(groups))]
            groups = names
        index = {name: place for place, name in enumerate(names)}
        self._of = np.asarray([index[group] for group in groups], dtype=np.int64)
        rng = np.random.default_rng(seed)
        count = len(names)
        shape = np.full(count, 1 / count) if count else np.zeros(0)
        self._weights = rng.multinomial(count, shape, DRAWS) if count else np.zeros((DRAWS, 0))

    def drawn(self, parts: Sequence[float], wholes: Sequence[float]) -> npt.NDArray[np.float64]:
        """sum(parts) / sum(wholes) in every draw, float64 [DRAWS]; NaN where nothing was drawn."""
        top, bottom = self._sums(parts), self._sums(wholes)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(bottom > 0, top / bottom, np.nan)

    def ratio(self, parts: Sequence[float], wholes: Sequence[float]) -> Estimate:
        """sum(parts) / sum(wholes), as `ratio`, groups drawn."""
        n, whole = len(parts), float(sum(wholes))
        if n == 0 or whole <= 0:
            return Estimate(value=None, low=None, high=None, n=n)
        return interval(float(sum(parts)) / whole, self.drawn(parts, wholes), n)

    def mean(self, values: Sequence[float]) -> Estimate:
        """The mean of values."""
        return self.ratio(values, [1.0] * len(values))

    def difference(self, ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
        """The mean of ours - theirs, trial by trial."""
        return self.mean([a - b for a, b in zip(ours, theirs, strict=True)])

    def percentile(self, values: Sequence[float], q: float) -> Estimate:
        """The q-th percentile of values, between neighbours as numpy's does by default."""
        n = len(values)
        if n == 0:
            return Estimate(value=None, low=None, high=None, n=0)
        order = np.argsort(values, kind="stable")
        ranked = np.asarray(values, dtype=np.float64)[order]
        counts = self._weights[:, self._of[order]].cumsum(axis=1)  # [DRAWS, n]
        place = (counts[:, -1:] - 1) * q / 100  # where the percentile lies among those drawn
        below = np.minimum((counts <= np.floor(place)).sum(axis=1), n - 1)
        above = np.minimum((counts <= np.ceil(place)).sum(axis=1), n - 1)
        part = (place - np.floor(place))[:, 0]
        drawn = ranked[below] + part * (ranked[above] - ranked[below])
        drawn[counts[:, -1] == 0] = np.nan
        return interval(float(np.percentile(ranked, q)), drawn, n)

    def _sums(self, values: Sequence[float]) -> npt.NDArray[np.float64]:
        sums = np.zeros(self._weights.shape[1])
        np.add.at(sums, self._of, np.asarray(values, dtype=np.float64))
        return self._weights @ sums


def interval(value: float, drawn: npt.NDArray[np.float64], n: int) -> Estimate:
    """A value with the middle 95 % of its draws; draws of nothing (NaN) are left out."""
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return Estimate(value=value, low=None, high=None, n=n)
    low, high = np.percentile(known, (2.5, 97.5))
    return Estimate(value=value, low=float(low), high=float(high), n=n)
