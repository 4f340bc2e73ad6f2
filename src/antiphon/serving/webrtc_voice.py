"""Sound on WebRTC's tracks: the agent's voice as a track, a caller's frames as samples.

In and out: float32 samples of one channel. It knows nothing of connections and calls.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from fractions import Fraction

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from antiphon.audio import SAMPLE_RATE
from antiphon.runtime.events import Samples

TICK = 320  # samples, 20 ms: what a packet holds
HAND = 0.04  # seconds of voice in hand against the clock's jitter
MOST = 0.24  # seconds in hand beyond which silence is left out
QUIET = 0.002  # peak of what may be left out


def mono(frame: AudioFrame) -> Samples:
    """A frame's samples as float32 [N] of one channel, at the frame's rate."""
    samples = frame.to_ndarray()
    channels = len(frame.layout.channels)
    if frame.format.is_planar:
        lanes = samples.reshape(channels, -1)
    else:
        lanes = samples.reshape(-1, channels).T
    scale = 32768.0 if samples.dtype == np.int16 else 1.0
    return (lanes.mean(axis=0) / scale).astype(np.float32)


class Voice(MediaStreamTrack):
    """The agent's voice as a track: 20 ms every 20 ms, silence where there is none."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._parts: deque[Samples] = deque()
        self._in_hand = 0  # samples
        self._sent = 0
        self._began: float | None = None

    def push(self, samples: Samples) -> None:
        """The next samples, float32 [N] at 16 kHz."""
        if self._began is None:
            return  # nobody is there yet
        if not self._in_hand:
            hand = np.zeros(round(HAND * SAMPLE_RATE), dtype=np.float32)
            samples = np.concatenate((hand, samples))
        elif self._in_hand > MOST * SAMPLE_RATE and np.abs(samples).max(initial=0.0) < QUIET:
            return
        self._parts.append(samples)
        self._in_hand += len(samples)

    def clear(self) -> None:
        """Forget what has not been sent."""
        self._parts.clear()
        self._in_hand = 0

    async def recv(self) -> AudioFrame:
        """The next 20 ms, when they are due."""
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        if self._began is None:
            self._began = now
        due = self._began + self._sent / SAMPLE_RATE
        if due > now:
            await asyncio.sleep(due - now)
        elif now - due > 1.0:
            self._began += now - due  # the loop stood still: what is past is not made up for
        frame = _frame(self._take(), self._sent)
        self._sent += TICK
        return frame

    def _take(self) -> Samples:
        """float32 [TICK]."""
        taken = np.zeros(TICK, dtype=np.float32)
        filled = 0
        while self._parts and filled < TICK:
            part = self._parts.popleft()
            count = min(TICK - filled, len(part))
            taken[filled : filled + count] = part[:count]
            filled += count
            if count < len(part):
                self._parts.appendleft(part[count:])
        self._in_hand -= filled
        return taken


def _frame(samples: Samples, at: int) -> AudioFrame:
    pcm = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
    frame = AudioFrame.from_ndarray(pcm[np.newaxis], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, at, Fraction(1, SAMPLE_RATE)
    return frame
