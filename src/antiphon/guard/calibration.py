"""Whether a confidence is what it says: reliability, its error, and how to mend it.

In: confidences from 0 to 1 and whether each was right. Out: the bins of a reliability diagram with
the expected calibration error (Guo et al. 2017, equation 3), calibrators that were fitted to data,
and how much is covered at a risk. Pure numbers: nothing of calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from antiphon.errors import AntiphonError

Floats = npt.NDArray[np.float64]
_EDGE = 1e-6  # confidences are kept this far from 0 and 1, where a logit has no value
_STEPS = 60  # of the search for a temperature, and of Newton's method


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Bin(_Frozen):
    """One bar of a reliability diagram."""

    low: float
    high: float
    n: int
    confidence: float
    """The mean of those that fell into it; its middle where none did."""
    accuracy: float
    """The share that was right."""


class Reliability(_Frozen):
    """A reliability diagram and what it comes to."""

    n: int
    ece: float
    """Expected calibration error: the bins' gaps, weighted by how many fell into each."""
    brier: float
    """Mean square of confidence less outcome."""
    accuracy: float
    bins: tuple[Bin, ...]


def reliability(
    confidences: Sequence[float], right: Sequence[bool], bins: int = 10
) -> Reliability | None:
    """Of confidences and outcomes; None of none. Raises AntiphonError for what does not match."""
    given, true = _pairs(confidences, right)
    if not len(given):
        return None
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.clip(np.digitize(given, edges[1:-1]), 0, bins - 1)
    rows: list[Bin] = []
    for index in range(bins):
        inside = place == index
        n = int(inside.sum())
        low, high = float(edges[index]), float(edges[index + 1])
        middle = float(given[inside].mean()) if n else (low + high) / 2
        rows.append(
            Bin(
                low=low,
                high=high,
                n=n,
                confidence=middle,
                accuracy=float(true[inside].mean()) if n else 0.0,
            )
        )
    ece = sum(row.n * abs(row.confidence - row.accuracy) for row in rows) / len(given)
    return Reliability(
        n=len(given),
        ece=float(ece),
        brier=float(np.mean((given - true) ** 2)),
        accuracy=float(true.mean()),
        bins=tuple(rows),
    )


class Coverage(_Frozen):
    """From `threshold` on, `covered` of all are taken, and `risk` of those are wrong."""

    threshold: float
    covered: float
    risk: float


def coverage(confidences: Sequence[float], right: Sequence[bool], risk: float) -> Coverage | None:
    """The most that can be taken, by confidence, with at most this share wrong; None: nothing."""
    given, true = _pairs(confidences, right)
    order = np.argsort(-given, kind="stable")
    wrong = np.cumsum(1.0 - true[order]) / np.arange(1, len(given) + 1)
    # A threshold takes all that are equal to it.
    last = np.append(np.diff(given[order]) < 0, True) if len(given) else np.zeros(0, np.bool_)
    fit = np.flatnonzero((wrong <= risk) & last)
    if not len(fit):
        return None
    at = int(fit[-1])
    return Coverage(
        threshold=float(given[order][at]),
        covered=(at + 1) / len(given),
        risk=float(wrong[at]),
    )


# -- calibrators ---------------------------------------------------------------


class Temperature(_Frozen):
    """The logit over a temperature: it mends confidences that are too sure, or not sure enough."""

    kind: Literal["temperature"] = "temperature"
    temperature: float

    def __call__(self, confidence: float) -> float:
        """The mended confidence."""
        return float(_sigmoid(_logit(np.asarray([confidence])) / self.temperature)[0])


class Platt(_Frozen):
    """A line through the logit (Platt 1999)."""

    kind: Literal["platt"] = "platt"
    slope: float
    offset: float

    def __call__(self, confidence: float) -> float:
        """The mended confidence."""
        logit = _logit(np.asarray([confidence]))
        return float(_sigmoid(self.slope * logit + self.offset)[0])


class Isotonic(_Frozen):
    """Steps that only rise (Zadrozny & Elkan 2002), straight lines between them."""

    kind: Literal["isotonic"] = "isotonic"
    given: tuple[float, ...]
    mended: tuple[float, ...]

    def __call__(self, confidence: float) -> float:
        """The mended confidence."""
        return float(np.interp(confidence, self.given, self.mended))


Calibrator = Annotated[Temperature | Platt | Isotonic, Field(discriminator="kind")]


def fit_temperature(confidences: Sequence[float], right: Sequence[bool]) -> Temperature:
    """The temperature with the least log loss. Raises AntiphonError without data."""
    given, true = _data(confidences, right)
    logit = _logit(given)
    best = _least(lambda t: _loss(_sigmoid(logit / np.exp(t)), true), -4.0, 4.0)
    return Temperature(temperature=float(np.exp(best)))


def fit_platt(confidences: Sequence[float], right: Sequence[bool]) -> Platt:
    """Slope and offset with the least log loss, by Newton's method, with Platt's targets that keep
    few data from certainty. Raises AntiphonError without data."""
    given, true = _data(confidences, right)
    hits, misses = float(true.sum()), float((1 - true).sum())
    target = np.where(true > 0, (hits + 1) / (hits + 2), 1 / (misses + 2))
    columns = np.stack((_logit(given), np.ones(len(given))), axis=1)  # [n, 2]
    weights = np.array([1.0, 0.0])
    for _ in range(_STEPS):
        guess = _sigmoid(columns @ weights)
        gradient = columns.T @ (guess - target)
        slack = guess * (1 - guess)
        hessian = (columns * slack[:, None]).T @ columns + 1e-6 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        weights = weights - step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-8:
            break
    return Platt(slope=float(weights[0]), offset=float(weights[1]))


def fit_isotonic(confidences: Sequence[float], right: Sequence[bool]) -> Isotonic:
    """Pool adjacent violators. Raises AntiphonError without data."""
    given, true = _data(confidences, right)
    order = np.argsort(given, kind="stable")
    pools: list[list[float]] = []  # sum of given, sum of right, n
    for x, y in zip(given[order], true[order], strict=True):
        pools.append([float(x), float(y), 1.0])
        while len(pools) > 1 and pools[-2][1] / pools[-2][2] >= pools[-1][1] / pools[-1][2]:
            last = pools.pop()
            pools[-1] = [a + b for a, b in zip(pools[-1], last, strict=True)]
    return Isotonic(
        given=tuple(x / n for x, _, n in pools), mended=tuple(y / n for _, y, n in pools)
    )


def _pairs(confidences: Sequence[float], right: Sequence[bool]) -> tuple[Floats, Floats]:
    given, true = np.asarray(confidences, np.float64), np.asarray(right, np.float64)
    if given.shape != true.shape or given.ndim != 1:
        raise AntiphonError("each confidence needs one outcome; the two lists differ in length")
    if len(given) and not (np.isfinite(given).all() and given.min() >= 0 and given.max() <= 1):
        raise AntiphonError("a confidence is a number from 0 to 1")
    return given, true


def _data(confidences: Sequence[float], right: Sequence[bool]) -> tuple[Floats, Floats]:
    given, true = _pairs(confidences, right)
    if not len(given):
        raise AntiphonError("there is nothing to fit a calibrator to")
    return given, true


def _logit(p: Floats) -> Floats:
    kept = np.clip(p, _EDGE, 1 - _EDGE)
    return np.log(kept / (1 - kept))


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))


def _loss(p: Floats, true: Floats) -> float:
    kept = np.clip(p, _EDGE, 1 - _EDGE)
    return float(-np.mean(true * np.log(kept) + (1 - true) * np.log(1 - kept)))


def _least(loss: Callable[[float], float], low: float, high: float) -> float:
    """Golden-section search."""
    ratio = (5**0.5 - 1) / 2
    for _ in range(_STEPS):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        if loss(a) < loss(b):
            high = b
        else:
            low = a
    return (low + high) / 2
