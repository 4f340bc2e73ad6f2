"""The few statistics that the reports need."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

Z95 = 1.959964  # the normal distribution's 97.5 % point


class Share(BaseModel):
    """`hits` of `n`, with the Wilson 95 % interval of the share."""

    model_config = ConfigDict(frozen=True)

    hits: int
    n: int
    share: float
    low: float
    high: float

    def __str__(self) -> str:
        if not self.n:
            return "-"
        return f"{self.share:.3f}  [{self.low:.3f}, {self.high:.3f}]  ({self.hits} of {self.n})"


def share(hits: int, n: int) -> Share:
    """Wilson's score interval (Wilson 1927): sound near 0 and 1 and for small n, unlike +-z*se."""
    if n == 0:
        return Share(hits=0, n=0, share=math.nan, low=0.0, high=1.0)
    p = hits / n
    centre = (p + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n * n)) / (1 + Z95**2 / n)
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Share(hits=hits, n=n, share=p, low=low if hits else 0.0, high=high if hits < n else 1.0)


def slot_f1(pairs: Iterable[tuple[Mapping[str, str], Mapping[str, str]]]) -> float:
    """Micro-averaged F1 over (slot, value), for (wanted, heard) pairs; NaN where both are empty."""
    right = wanted_count = heard_count = 0
    for wanted, heard in pairs:
        right += len(set(wanted.items()) & set(heard.items()))
        wanted_count += len(wanted)
        heard_count += len(heard)
    total = wanted_count + heard_count
    return 2 * right / total if total else math.nan


def percentile(values: Sequence[float], q: float) -> float | None:
    """The q-th percentile, or None of nothing."""
    return float(np.percentile(values, q)) if values else None
