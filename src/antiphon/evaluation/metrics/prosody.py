"""How alike the melody, the loudness and the rhythm of two utterances are.

A figure means nothing without its anchors: the utterance against itself (a copy), and against
another's (a shuffle). Utterances are laid over each other by stretching the second in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from antiphon.audio import HOP, SAMPLE_RATE
from antiphon.codec.pitch import track
from antiphon.runtime.events import Samples
from antiphon.runtime.latency import replies

Floats = npt.NDArray[np.float64]

PAUSE = 0.15  # s of silence that make a pause
_FLOOR = -60.0  # dBFS below which loudness is not told apart
_LEAST = 10  # frames voiced in both, below which melodies cannot be compared
_RANGE = 0.6  # octaves around its median in which a melody stays
_DIP = 2.0  # dB between two peaks of loudness that part two syllables
_SMOOTH = 7  # frames of 10 ms that loudness is averaged over before its peaks are counted


class Contours(NamedTuple):
    """One utterance, from its first audible sample to its last, a value every 10 ms."""

    f0: Floats  # [T] Hz, 0 = unvoiced
    level: Floats  # [T] dBFS
    pauses: tuple[tuple[float, float], ...]  # in parts of its length
    seconds: float


def contours(samples: Samples) -> Contours | None:
    """The contours of samples [N]; None where nothing is audible."""
    spans = replies(samples, gap=PAUSE)
    if not spans:
        return None
    first, last = spans[0][0], spans[-1][1]
    speech = samples[round(first * SAMPLE_RATE) : round(last * SAMPLE_RATE)]
    if len(speech) < HOP:
        return None
    blocks = speech[: len(speech) // HOP * HOP].astype(np.float64).reshape(-1, HOP)
    level = np.maximum(10 * np.log10(np.square(blocks).mean(axis=1) + 1e-12), _FLOOR)
    seconds = last - first
    pauses = tuple(((a[1] - first) / seconds, (b[0] - first) / seconds) for a, b in pairwise(spans))
    return Contours(_plausible(track(speech).astype(np.float64)), level, pauses, float(seconds))


def f0_correlation(a: Contours, b: Contours) -> float | None:
    """Pearson's r of log F0 over the frames voiced in both; None where there are too few."""
    f0 = _stretched(b.f0, len(a.f0))
    both = (a.f0 > 0) & (f0 > 0)
    if both.sum() < _LEAST:
        return None
    return pearson(np.log(a.f0[both]), np.log(f0[both]))


def energy_correlation(a: Contours, b: Contours) -> float | None:
    """Pearson's r of the levels in dB."""
    return pearson(a.level, _stretched(b.level, len(a.level)))


def pause_f1(a: Contours, b: Contours) -> float | None:
    """F1 of pauses: two match where they overlap by half of the shorter; None without any."""
    if not a.pauses and not b.pauses:
        return None
    left, matched = list(b.pauses), 0
    for start, end in a.pauses:
        for other in left:
            shared = min(end, other[1]) - max(start, other[0])
            if shared >= 0.5 * min(end - start, other[1] - other[0]):
                left.remove(other)
                matched += 1
                break
    return 2 * matched / (len(a.pauses) + len(b.pauses))


def syllable_rate(a: Contours) -> float:
    """Syllables a second: voiced peaks of loudness, 2 dB above the dips beside them
    (after de Jong & Wempe 2009)."""
    padded = np.pad(a.level, _SMOOTH // 2, mode="edge")
    smooth = np.convolve(padded, np.ones(_SMOOTH) / _SMOOTH, mode="valid")
    voiced = np.concatenate([a.f0, np.zeros(max(0, len(smooth) - len(a.f0)))])[: len(smooth)] > 0
    count, peak, dip = 0, -np.inf, smooth.min(initial=0.0)
    counted = False  # whether the hill that we are on was
    for value, is_voiced in zip(smooth, voiced, strict=True):
        if counted and value < peak - _DIP:
            counted, dip = False, value
        if counted:
            peak = max(peak, value)
        else:
            dip = min(dip, value)
            if is_voiced and value > dip + _DIP:
                count, counted, peak = count + 1, True, value
    return count / a.seconds


def pearson(a: Floats, b: Floats) -> float | None:
    """Pearson's r; None where one of the two does not vary, or there are fewer than three."""
    if len(a) < 3 or np.ptp(a) < 1e-9 or np.ptp(b) < 1e-9:
        return None
    return float(np.clip(np.corrcoef(a, b)[0, 1], -1.0, 1.0))


def spearman(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Spearman's rank correlation, equal values sharing the mean of their ranks."""
    return pearson(_ranks(a), _ranks(b))


def _plausible(f0: Floats) -> Floats:
    """F0 without what is too far from its median to be a melody: octave errors, at onsets."""
    voiced = f0 > 0
    if not voiced.any():
        return f0
    far = np.abs(np.log2(np.where(voiced, f0, 1.0)) - np.log2(np.median(f0[voiced])))
    return np.where(voiced & (far <= _RANGE), f0, 0.0)


def _ranks(values: Sequence[float]) -> Floats:
    _, inverse, counts = np.unique(
        np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True
    )
    ends = counts.cumsum()
    return (ends - (counts - 1) / 2)[inverse]


def _stretched(values: Floats, length: int) -> Floats:
    """The nearest of the values at each of `length` places: F0's zeros stay zeros."""
    places = np.floor((np.arange(length) + 0.5) * len(values) / length)
    return values[places.astype(np.int64)]
