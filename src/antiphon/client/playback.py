"""What a listener hears of sound that comes over a network: when it plays, and where it breaks off.

A player as they all are: a new item waits `buffer` seconds before it plays, so that sound that
comes a little late does no harm; then each piece follows the one before. A piece that comes after
its time leaves a silence (a gap) and plays at once. Pure: the clock is the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from antiphon.client.events import Samples

BUFFER = 0.06  # seconds
AUDIBLE = 0.01  # of full scale: -40 dBFS
SAME_REPLY = 0.5  # seconds of silence that may stand inside one reply
_LEAST = 0.001  # seconds: a shorter gap is nothing but the clock's grain
_BLOCK = 0.1  # seconds: how finely sound is told from silence in long pieces


@dataclass
class Playback:
    """One call's sound at `rate` Hz, float32. Times are seconds on one clock."""

    rate: int
    buffer: float = BUFFER
    gaps: list[float] = field(default_factory=list[float])
    """Silences inserted because sound came late, in seconds."""
    pieces: int = 0
    """How many pieces of sound came."""
    end: float = 0.0
    """When all that has come will have been played."""
    _placed: list[tuple[float, Samples]] = field(default_factory=list[tuple[float, Samples]])
    _audible: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    _item: str | None = None

    def add(self, item: str, samples: Samples, now: float) -> None:
        """Sound of an item that comes `now`."""
        if not len(samples):
            return
        self.pieces += 1
        if item != self._item:
            self._item = item
            self.end = max(self.end, now + self.buffer)
        elif now - self.end > _LEAST:
            self.gaps.append(now - self.end)
            self.end = now
        self._placed.append((self.end, samples))
        self._listen(samples, self.end)
        self.end += len(samples) / self.rate

    def drop(self, now: float) -> None:
        """What has not been played `now` is not played; the item that it was of is over."""
        self._item = None
        self.end = min(self.end, now)
        kept = [(start, samples) for start, samples in self._placed if start < now]
        if kept:
            start, samples = kept[-1]
            kept[-1] = start, samples[: round((now - start) * self.rate)]
        self._placed = kept
        self._audible = [(start, min(end, now)) for start, end in self._audible if start < now]

    @property
    def last_audible(self) -> float | None:
        """The end of the last sound that has come, in seconds; None while there was none."""
        return self._audible[-1][1] if self._audible else None

    @property
    def seconds(self) -> float:
        """How much sound was played or will be."""
        return sum(len(samples) for _, samples in self._placed) / self.rate

    def replies(self) -> list[tuple[float, float]]:
        """(start, end) of the stretches in which the agent is heard."""
        joined: list[tuple[float, float]] = []
        for start, end in self._audible:
            if joined and start - joined[-1][1] <= SAME_REPLY:
                joined[-1] = joined[-1][0], end
            else:
                joined.append((start, end))
        return joined

    def first_after(self, caller_end: float) -> float | None:
        """Seconds from the caller's end to the reply to it; None when there is none.

        The reply is the first stretch that goes on after the caller's end. One that begins before
        it gives less than 0.
        """
        for start, end in self.replies():
            if end > caller_end:
                return start - caller_end
        return None

    def line(self, seconds: float) -> Samples:
        """All of it as it was played from second 0 on, float32 [seconds * rate]."""
        out: Samples = np.zeros(round(seconds * self.rate), dtype=np.float32)
        for start, samples in self._placed:
            at = round(start * self.rate)
            part = samples[max(0, -at) : max(0, len(out) - at)]
            out[max(0, at) : max(0, at) + len(part)] = part
        return out

    def _listen(self, samples: Samples, start: float) -> None:
        block = max(1, round(_BLOCK * self.rate))
        for at in range(0, len(samples), block):
            loud = np.flatnonzero(np.abs(samples[at : at + block]) >= AUDIBLE)
            if len(loud):
                first, last = (at + int(loud[0])) / self.rate, (at + int(loud[-1]) + 1) / self.rate
                self._audible.append((start + first, start + last))
