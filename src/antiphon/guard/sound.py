"""What is no voice of the agent's: NaN, clipping, a stuck frame, noise, babble, somebody else.

In: the agent's samples as the network gave them, 80 ms at a time. Out: what is wrong and from which
sample on. One voice is nearly periodic for most of any third of a second; many voices at once and
noise are not (the normalised autocorrelation of Boersma 1993, without its interpolation).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.guard.config import SoundRules
from antiphon.runtime.events import Samples
from antiphon.runtime.latency import AUDIBLE

_HOP = 320  # samples: 20 ms
_WINDOW = 640
_SPAN = 16  # hops that are looked at together: 320 ms
_THIN = 4  # samples whose mean is looked at: pitch needs no more than 4 kHz
_LAGS = np.arange(10, 58)  # of those: 400 to 70 Hz
_FULL = 0.985
_STUCK = 3  # the same frame so often in a row is no voice
_LOUD = 0.6  # share of a span's hops that must be audible to be judged
_VOICED = 0.8  # periodicity from which a hop's period is a pitch
_MARGIN = 1.25  # by which a voice may leave the range that was measured of it
# Of the loudest hop: a span below is a sibilant or a breath and not judged. The first sound of an
# agent's "sorry" has .02 to .05 (benchmarks/guard_faults.py, clean turns).
_FAINT = 0.08
_DECAY = 0.99  # of what is taken for the loudest, a frame
_OCTAVE = 0.9  # of the best periodicity that a shorter period must have to be taken
_PITCHED = 6  # hops with a pitch from which a span's voice can be told


class Fault(NamedTuple):
    """Something wrong with the sound from sample `at` of the call on."""

    kind: Literal["nan", "clipping", "stuck", "noise", "stranger"]
    at: int
    reason: str


class _Hops(NamedTuple):
    """Each hop of 20 ms: audible, periodicity 0 to 1, Hz, energy; [hops] each."""

    loud: npt.NDArray[np.bool_]
    periodic: npt.NDArray[np.float64]
    pitch: npt.NDArray[np.float64]
    energy: npt.NDArray[np.float64]


class VoicePrint(BaseModel):
    """The range of a voice's pitch, Hz, and the energy of its loudest hop."""

    model_config = ConfigDict(frozen=True)

    lowest: float
    highest: float
    loudest: float

    @classmethod
    def of(cls, recordings: Iterable[Samples]) -> VoicePrint | None:
        """Measured of recordings, float32 [N] at 16 kHz each; None where they hold no voice."""
        pitches: list[float] = []
        loudest = 0.0
        for samples in recordings:
            hops = _hops_of(samples)
            pitches += list(hops.pitch[hops.loud & (hops.periodic >= _VOICED)])
            loudest = max(loudest, float(hops.energy.max(initial=0.0)))
        if len(pitches) < 2 * _PITCHED:
            return None
        low, high = np.percentile(pitches, (2, 98))
        lowest, highest = float(low) / _MARGIN, float(high) * _MARGIN
        return cls(lowest=lowest, highest=highest, loudest=loudest)


class SoundWatch:
    """The sound of one call, a frame at a time."""

    def __init__(self, rules: SoundRules, voice: VoicePrint | None = None) -> None:
        self._rules, self._voice = rules, voice
        self._samples = 0
        self._tail: Samples = np.zeros(_WINDOW - _HOP, dtype=np.float32)
        self._hops: deque[npt.NDArray[np.float64]] = deque(maxlen=_SPAN)
        self._before: Samples | None = None
        self._same = 0
        self._clipped = 0
        self._loudest = 0.0

    def push(self, frame: Samples) -> tuple[Samples, list[Fault]]:
        """The next frame, float32 [1280]: as it may be played, and what is wrong with it."""
        at = self._samples
        self._samples += len(frame)
        if not np.isfinite(frame).all():
            self._hops.clear()
            quiet = np.zeros(len(frame), dtype=np.float32)
            return quiet, [Fault("nan", at, "The voice is no number (NaN).")]
        found = [fault for fault in (self._clipping(frame, at), self._stuck(frame, at)) if fault]
        found += self._voice_of(frame, at)
        return frame, found

    def _clipping(self, frame: Samples, at: int) -> Fault | None:
        full = float(np.mean(np.abs(frame) >= _FULL))
        self._clipped = self._clipped + 1 if full > self._rules.clipped else 0
        if self._clipped < 2:
            return None
        return Fault("clipping", at - FRAME, f"{full:.0%} of the samples are at full scale.")

    def _stuck(self, frame: Samples, at: int) -> Fault | None:
        same = self._before is not None and np.array_equal(frame, self._before)
        self._before = frame
        loud = float(np.abs(frame).max(initial=0.0)) >= AUDIBLE
        self._same = self._same + 1 if same and loud else 0
        if self._same < _STUCK - 1:
            return None
        return Fault("stuck", at - self._same * FRAME, "The same frame comes again and again.")

    def _voice_of(self, frame: Samples, at: int) -> list[Fault]:
        whole = np.concatenate((self._tail, frame))
        self._tail = whole[-(_WINDOW - _HOP) :]
        hops = _hops_of(whole)
        self._hops.extend(np.stack(hops, axis=1))
        self._loudest = max(self._loudest * _DECAY, float(hops.energy.max(initial=0.0)))
        if len(self._hops) < _SPAN:
            return []
        table = np.stack(self._hops)  # [span, 4]
        heard = table[:, 0] > 0
        if heard.mean() < _LOUD:
            return []
        start = max(0, at + FRAME - _SPAN * _HOP)
        weight = table[:, 3]
        known = self._voice.loudest if self._voice is not None else 0.0
        if weight.mean() < _FAINT * max(self._loudest, known):
            return []
        voiced = float((weight * table[:, 1]).sum() / max(weight.sum(), 1e-12))
        if voiced < self._rules.voiced:
            reason = f"The sound is no single voice (periodicity {voiced:.2f})."
            return [Fault("noise", start, reason)]
        return self._stranger(table[heard & (table[:, 1] >= _VOICED), 2], start)

    def _stranger(self, pitches: npt.NDArray[np.float64], start: int) -> list[Fault]:
        if self._voice is None or len(pitches) < _PITCHED:
            return []
        own = (pitches >= self._voice.lowest) & (pitches <= self._voice.highest)
        if own.mean() >= self._rules.own:
            return []
        middle = float(np.median(pitches))
        return [Fault("stranger", start, f"The voice is not the agent's ({middle:.0f} Hz).")]


def periodicity(samples: Samples) -> float:
    """How periodic a recording is, float32 [N] at 16 kHz: 0 noise to 1 a steady voice; its loud
    parts count most."""
    hops = _hops_of(samples)
    return float((hops.energy * hops.periodic).sum() / max(hops.energy.sum(), 1e-12))


def _windows(samples: Samples) -> npt.NDArray[np.float32]:
    """[N] to [hops, 160]: windows of 40 ms every 20 ms at 4 kHz, without their mean."""
    whole = len(samples) // _THIN * _THIN
    thin = samples[:whole].reshape(-1, _THIN).mean(axis=1)
    width, hop = _WINDOW // _THIN, _HOP // _THIN
    if len(thin) < width:
        return np.zeros((0, width), dtype=np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(thin, width)[::hop]
    return windows - windows.mean(axis=1, keepdims=True)


def _hops_of(samples: Samples) -> _Hops:
    windows = _windows(samples)
    width = windows.shape[1]
    loud = np.abs(windows).max(axis=1, initial=0.0) >= AUDIBLE / 2  # thinning takes the hiss away
    if not loud.any():
        quiet = np.zeros(len(windows))
        return _Hops(loud, quiet, quiet + 1.0, quiet)
    spectrum = np.fft.rfft(windows, 2 * width, axis=1)
    product = np.fft.irfft(np.square(np.abs(spectrum)), axis=1)
    power = np.cumsum(np.square(windows), axis=1, dtype=np.float64)
    whole = power[:, -1]
    norm = np.sqrt(power[:, width - 1 - _LAGS] * (whole[:, None] - power[:, _LAGS - 1])) + 1e-9
    ratio = product[:, _LAGS] / norm
    periodic = ratio.max(axis=1)
    # Twice the period fits nearly as well: the shortest that does is the pitch.
    best = (ratio >= _OCTAVE * periodic[:, None]).argmax(axis=1)
    return _Hops(loud, periodic, SAMPLE_RATE / _THIN / _LAGS[best], whole)
