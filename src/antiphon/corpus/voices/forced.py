"""Word times of an engine that gives none, from one that does.

The same words are said by a voice whose times are known; dynamic time warping of the two
log-mel sequences carries the times over (Malfrère & Dutoit 1997, "High-quality speech synthesis
for phonetic speech segmentation"). Knows nothing of engines.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.mel import LogMel
from antiphon.audio.resample import resample
from antiphon.corpus.voices.speech import Timed

_MEL = LogMel(n_mels=32)
_FRAME = _MEL.hop / SAMPLE_RATE  # s
_STILL = 0.15  # cost of a step along one sequence only, in units of an average distance


def carried_over(
    samples: npt.ArrayLike, rate: int, known: npt.ArrayLike, known_rate: int, times: Sequence[Timed]
) -> list[Timed]:
    """`times` of `known`, brought to `samples`: both say the same words.

    samples, known: [N] at their rates (Hz). Times in seconds, in order, within the samples.
    """
    own, other = _features(samples, rate), _features(known, known_rate)
    path = _warp(other, own)
    longest = len(own) * _FRAME

    def moved(seconds: float) -> float:
        frame = min(max(round(seconds / _FRAME), 0), len(path) - 1)
        return min(float(path[frame]) * _FRAME, longest)

    out: list[Timed] = []
    for text, start, end in times:
        begin = max(moved(start), out[-1][2] if out else 0.0)
        out.append((text, begin, max(moved(end), begin + _FRAME)))
    return out


def _features(samples: npt.ArrayLike, rate: int) -> npt.NDArray[np.float32]:
    mel = _MEL(resample(np.asarray(samples, np.float32), rate, SAMPLE_RATE))
    # Voices and lines differ in level and colour: each band in its own units.
    return (mel - mel.mean(axis=0)) / (mel.std(axis=0) + 1e-3)


def _warp(known: npt.NDArray[np.float32], own: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """For every frame of `known` the frame of `own` beside it, by the cheapest monotone path."""
    square = (known**2).sum(1)[:, None] + (own**2).sum(1)[None] - 2 * known @ own.T
    distance = np.sqrt(np.maximum(square, 0.0))
    still = _STILL * float(distance.mean())
    rows, columns = distance.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    for diagonal in range(2, rows + columns + 1):  # cells of one diagonal know nothing of another
        i: npt.NDArray[np.int64] = np.arange(
            max(1, diagonal - columns), min(rows, diagonal - 1) + 1, dtype=np.int64
        )
        j: npt.NDArray[np.int64] = np.subtract(diagonal, i)
        best = np.minimum(total[i - 1, j - 1], np.minimum(total[i - 1, j], total[i, j - 1]) + still)
        total[i, j] = distance[i - 1, j - 1] + best
    beside = np.zeros(rows)
    count = np.zeros(rows)
    row, column = rows, columns
    while row and column:
        beside[row - 1] += column - 1
        count[row - 1] += 1
        across = total[row - 1, column - 1]
        up, left = total[row - 1, column] + still, total[row, column - 1] + still
        if across <= up and across <= left:
            row, column = row - 1, column - 1
        elif up <= left:
            row -= 1
        else:
            column -= 1
    return beside / np.maximum(count, 1)
