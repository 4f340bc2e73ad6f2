"""Pitch of speech, 100 values a second, with a fixed look-ahead, the same in a stream.

Normalised cross-correlation and its best peaks (Talkin 1995, "RAPT"), then a Viterbi search that
only looks back: each value is the best end of a path so far. 65 to 400 Hz.
"""

# numpy leaves the types of some operations open.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon.audio import HOP, SAMPLE_RATE

Floats = NDArray[np.float32]

_LOWEST, _HIGHEST = 65, 400  # Hz
_LONGEST, _SHORTEST = SAMPLE_RATE // _LOWEST, SAMPLE_RATE // _HIGHEST  # lags, samples
_WINDOW = 560  # samples that are compared, 35 ms
_SPAN = _WINDOW + _LONGEST  # samples that one value looks at
# The middle of what is compared, at the lag of 178 Hz: the time that a value belongs to.
_PAST = (_WINDOW + 90) // 2
LOOK_AHEAD = _SPAN - _PAST  # samples, 30 ms: value j belongs to (j + 1) * HOP and sees this beyond
_CANDIDATES = 6
_FFT = 1_024  # at least _SPAN, so that no lag wraps around
_FLOOR = 1e-4  # mean square below which a correlation counts little
_LAG_COST = 0.00025  # a sample of lag: prefers the fundamental over its half
_UNVOICED_COST = -0.45
_VOICING_COST = 0.15  # a change between voiced and unvoiced
_JUMP_COST = 1.2  # an octave
_CHUNK = 1_500  # values worked on together: bounds memory


@dataclass(frozen=True, slots=True)
class PitchState:
    """What a stream remembers: the samples still needed, and the Viterbi scores."""

    samples: Floats  # not yet consumed, with the past that the next value needs
    log2_f0: NDArray[np.float64] | None  # [7] candidates of the last value; None before the first
    scores: NDArray[np.float64]  # [7]


def initial_state() -> PitchState:
    """The state before the first sample: silence behind it."""
    return PitchState(np.zeros(_PAST - HOP, np.float32), None, np.zeros(_CANDIDATES + 1))


def push(samples: Floats, state: PitchState) -> tuple[Floats, PitchState]:
    """Take any number of samples; give the values that are ready.

    samples float32 [N] -> (f0 [M] Hz, 0 = unvoiced, the next state). Value j needs the samples up
    to (j + 1) * HOP + LOOK_AHEAD.
    """
    heard = np.concatenate([state.samples, samples.astype(np.float32, copy=False)])
    ready = max(0, (len(heard) - _SPAN) // HOP + 1)
    values: list[Floats] = []
    log2_f0, scores = state.log2_f0, state.scores
    for start in range(0, ready, _CHUNK):
        count = min(_CHUNK, ready - start)
        piece = heard[start * HOP : (start + count - 1) * HOP + _SPAN]
        f0, cost = _candidates(piece, count)
        found, log2_f0, scores = _search(f0, cost, log2_f0, scores)
        values.append(found)
    out = np.concatenate(values) if values else np.zeros(0, np.float32)
    return out, PitchState(heard[ready * HOP :], log2_f0, scores)


def track(samples: Floats) -> Floats:
    """samples float32 [N] -> f0 float32 [N // 160] Hz, 0 = unvoiced; silence follows the end."""
    count = len(samples) // HOP
    padded = np.concatenate([samples[: count * HOP], np.zeros(LOOK_AHEAD, np.float32)])
    return push(padded, initial_state())[0][:count]


def _candidates(samples: Floats, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The best peaks of the correlation: f0 [count, 7] Hz (the last is 0) and their costs."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, _SPAN)[::HOP][:count]
    frames = np.subtract(frames, frames.mean(1, keepdims=True), dtype=np.float32)
    near = np.fft.rfft(frames[:, :_WINDOW], _FFT)
    far = np.fft.rfft(frames, _FFT)
    product = np.fft.irfft(near.conj() * far, _FFT)[:, _SHORTEST : _LONGEST + 1]
    power = np.zeros((count, _SPAN + 1), np.float64)
    np.cumsum(frames * frames, axis=1, dtype=np.float64, out=power[:, 1:])
    lags = np.arange(_SHORTEST, _LONGEST + 1)
    here, there = power[:, _WINDOW, None], power[:, lags + _WINDOW] - power[:, lags]
    ratio: NDArray[np.float64] = product / np.sqrt(here * there + _FLOOR * _WINDOW)
    peak = np.zeros(ratio.shape, np.bool_)
    peak[:, 1:-1] = (ratio[:, 1:-1] >= ratio[:, :-2]) & (ratio[:, 1:-1] > ratio[:, 2:])
    score = ratio - np.linspace(0, _LAG_COST * (ratio.shape[1] - 1), ratio.shape[1])
    score[~peak] = -9.0
    best = np.argpartition(score, -_CANDIDATES, axis=1)[:, -_CANDIDATES:]
    rows = np.arange(count)[:, None]
    inside = best.clip(1, ratio.shape[1] - 2)
    left, middle, right = (ratio[rows, inside + k] for k in (-1, 0, 1))
    bend = np.minimum(left - 2 * middle + right, -1e-6)
    shift = (0.5 * (left - right) / bend).clip(-0.5, 0.5)  # parabola through three points
    f0, cost = np.zeros((count, _CANDIDATES + 1)), np.full((count, _CANDIDATES + 1), _UNVOICED_COST)
    f0[:, :-1] = SAMPLE_RATE / (inside + _SHORTEST + shift)
    cost[:, :-1] = -score[rows, best]
    return f0, cost


def _search(
    f0: NDArray[np.float64],
    cost: NDArray[np.float64],
    before: NDArray[np.float64] | None,
    scores: NDArray[np.float64],
) -> tuple[Floats, NDArray[np.float64], NDArray[np.float64]]:
    """The cheapest path's end, value by value: (f0 [count], last candidates, last scores)."""
    log2 = np.log2(np.maximum(f0, 1.0))
    earlier = np.concatenate([(log2[:1] if before is None else before[None]), log2[:-1]])
    moves = np.abs(log2[:, None, :] - earlier[:, :, None]) * _JUMP_COST
    # The last candidate is "unvoiced": entering or leaving it has a cost of its own.
    moves[:, -1, :] = moves[:, :, -1] = _VOICING_COST
    moves[:, -1, -1] = 0.0
    if before is None:
        moves[0] = 0.0
    chosen = np.empty(len(f0), np.intp)
    for index in range(len(f0)):
        scores = (scores[:, None] + moves[index]).min(0) + cost[index]
        scores = scores - scores.min()
        chosen[index] = scores.argmin()
    return f0[np.arange(len(f0)), chosen].astype(np.float32), log2[-1], scores
