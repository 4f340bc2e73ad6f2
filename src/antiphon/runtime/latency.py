"""When the caller stopped, when the agent could be heard, and what the frames cost.

Works on samples alone, so that it measures any agent. Times are seconds on the caller's clock;
latency is signed: an answer that begins before the caller's end is negative, not zero.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from antiphon.audio import FRAME, HOP, SAMPLE_RATE
from antiphon.runtime.events import Samples

AUDIBLE = 0.01  # -40 dBFS
SILENT_DB = -65.0  # a recording that never reaches this holds no speech
LEAST_SPEECH = 0.05  # seconds above the threshold that make speech and not a click
SAME_REPLY = 0.5  # seconds of silence that may stand inside one reply
_BLOCK = 2 * HOP  # 20 ms


class Latency(BaseModel):
    """Milliseconds. `first_audible` is None when the agent gave no audible answer."""

    model_config = ConfigDict(frozen=True)

    first_audible: float | None
    """From the caller's last sound to the agent's first, as played: the frame that must be full
    before the network can hear it and the time to process it are inside."""
    frame_p50: float
    frame_p99: float
    real_time_factor: float
    """Process time over the time of the audio."""
    late_frames: int
    """Frames that took longer than the 80 ms that they stand for."""


def frame_costs(seconds: Sequence[float]) -> tuple[float, float, float, int]:
    """(p50 ms, p99 ms, real-time factor, late frames) of the process times of frames."""
    if not seconds:
        return 0.0, 0.0, 0.0, 0
    costs = np.asarray(seconds)
    frame = FRAME / SAMPLE_RATE
    p50, p99 = np.percentile(costs, (50, 99)) * 1e3
    return float(p50), float(p99), float(costs.mean() / frame), int((costs > frame).sum())


def speech_end(samples: Samples) -> float | None:
    """Where the speech in a recording ends, in seconds; None where there is none.

    samples: float32 [N], 16 kHz, one speaker. By energy: a 20 ms block is speech when it stands
    clearly above the recording's own floor, so steady noise is not taken for a voice.
    """
    spans = _spans(_speech_blocks(samples), _BLOCK)
    long = [end for start, end in spans if (end - start) / SAMPLE_RATE >= LEAST_SPEECH]
    return long[-1] / SAMPLE_RATE if long else None


def replies(agent: Samples, *, gap: float = SAME_REPLY) -> list[tuple[float, float]]:
    """(start, end) in seconds of the agent's audible stretches; silences below `gap` join."""
    loud = np.flatnonzero(np.abs(agent) >= AUDIBLE)
    if not len(loud):
        return []
    breaks = np.flatnonzero(np.diff(loud) > gap * SAMPLE_RATE)
    starts = loud[np.concatenate(([0], breaks + 1))]
    ends = loud[np.concatenate((breaks, [len(loud) - 1]))]
    pairs = zip(starts, ends, strict=True)
    return [(start / SAMPLE_RATE, (end + 1) / SAMPLE_RATE) for start, end in pairs]


def first_audible(agent: Samples, caller_end: float, *, process: float = 0.0) -> float | None:
    """Seconds from `caller_end` to the start of the reply to it; None when there is no reply.

    agent: float32 [N], frame-aligned with the caller's samples as the network gave it; each frame
    plays only after the caller's frame is full and `process` seconds have passed.
    The reply is the first stretch of the agent's voice that goes on after the caller's end.
    """
    late = FRAME / SAMPLE_RATE + process
    for start, end in replies(agent):
        if end + late > caller_end:
            return start + late - caller_end
    return None


def _speech_blocks(samples: Samples) -> npt.NDArray[np.bool_]:
    blocks = len(samples) // _BLOCK
    if blocks == 0:
        return np.zeros(0, dtype=np.bool_)
    power = np.square(samples[: blocks * _BLOCK].reshape(blocks, _BLOCK)).mean(axis=1)
    level = 10 * np.log10(power + 1e-12)
    floor, peak = np.percentile(level, 10), np.percentile(level, 98)
    if peak < SILENT_DB:
        return np.zeros(blocks, dtype=np.bool_)
    # In a tightly cut clip even the tenth percentile is speech, and in one with digital silence
    # it is nothing: so the threshold stays within 20 to 45 dB below the peak.
    threshold = np.clip(floor + 0.4 * (peak - floor), peak - 45, peak - 20)
    return level > threshold


def _spans(flags: npt.NDArray[np.bool_], step: int) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(a) * step, int(b) * step) for a, b in edges.reshape(-1, 2)]
