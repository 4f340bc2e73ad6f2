"""A caller's samples between the network that brings them and the beat that hears them.

They come when they come, in pieces of any size, and are given out a frame at a time: filled with
silence where they are late, never more than a frame a beat. It knows no clock and no thread.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.runtime.events import Samples

PREBUFFER = 0.04  # seconds of input kept in hand against a network's jitter
BACKLOG = 30.0  # seconds of input that may wait
PATIENCE = 2  # beats that a call with late input is left out of before it hears silence
_QUIET = 0.004  # peak of a frame that may be dropped to win back time: -48 dBFS
_JITTER = 1.0  # seconds in hand up to which a wait is taken for jitter and won back
_SETTLED = 25  # beats for which time must have been in hand before it is won back


class CallerBuffer:
    """Samples at 16 kHz that come when they come, given out a frame at a time."""

    def __init__(self, prebuffer: float = PREBUFFER, backlog: float = BACKLOG) -> None:
        """Both in seconds: what is kept in hand, and what may wait at most."""
        self._hand = round(prebuffer * SAMPLE_RATE)
        self._most = round(backlog * SAMPLE_RATE)
        self._parts: deque[Samples] = deque()
        self._flowing = False
        self._waited = 0  # beats in a row that were left out
        self._before = -1  # what waited at the last beat while nothing flowed
        self._debt = 0  # samples of fill that stood in for input which came later
        self._in_hand = 0  # beats in a row with a frame more in hand than is needed
        self.waiting = 0
        """Samples that wait."""
        self.dropped = 0
        """Samples that there was no room for."""

    def push(self, samples: Samples) -> None:
        """The next samples, float32 [N]."""
        room = self._most - self.waiting
        kept = samples[:room].copy()
        self.dropped += len(samples) - len(kept)
        if len(kept):
            self._parts.append(kept)
            self.waiting += len(kept)

    def flush(self) -> None:
        """Nothing more comes for now."""
        self._waited = PATIENCE

    def clear(self) -> None:
        """Forget what waits."""
        self._parts.clear()
        self.waiting = self._debt = self._in_hand = 0
        self._flowing = False

    def take(self, *, may_wait: bool = False) -> tuple[Samples, int] | None:
        """(frame float32 [1280], samples of it that are fill); None to be left out of this beat."""
        if not self._flowing:
            return self._prime()
        if self.waiting >= FRAME:
            self._waited = 0
            self._win_back()
            return self._cut(FRAME), 0
        self._in_hand = 0
        if may_wait and self._waited < PATIENCE:
            self._waited += 1
            self._debt = min(self._debt + FRAME, round(_JITTER * SAMPLE_RATE))
            return None
        self._waited = PATIENCE  # until it flows again
        filled = FRAME - self.waiting
        self._debt = min(self._debt + filled, round(_JITTER * SAMPLE_RATE))
        if not self.waiting:
            self._flowing, self._before, self._waited = False, -1, 0
            return _silence(FRAME), FRAME
        return np.concatenate((self._cut(self.waiting), _silence(filled))), filled

    def _prime(self) -> tuple[Samples, int]:
        """Begin so that, with the frame taken, `prebuffer` is in hand."""
        waited, self._before = self._before, self.waiting
        if self.waiting >= FRAME + self._hand:
            self._flowing = True
            return self._cut(FRAME), 0
        mine = self.waiting - self._hand
        if mine >= 0:
            self._flowing = True
        elif self.waiting and self.waiting == waited:
            mine = min(self.waiting, FRAME)  # nothing more comes: a last crumb
        else:
            mine = 0
        filled = FRAME - mine
        self._debt = min(self._debt + filled, round(_JITTER * SAMPLE_RATE))
        return np.concatenate((_silence(filled), self._cut(mine))), filled

    def _win_back(self) -> None:
        """Drop a quiet frame where lateness has left more in hand than is needed."""
        spare = self.waiting - 2 * FRAME - self._hand
        self._in_hand = self._in_hand + 1 if spare >= 0 else 0
        late = self._debt >= FRAME and self._in_hand > _SETTLED
        if late and self.waiting <= _JITTER * SAMPLE_RATE:
            head = self._cut(FRAME)
            if np.abs(head).max() <= _QUIET:
                self._debt -= FRAME
            else:
                self._parts.appendleft(head)
                self.waiting += FRAME

    def _cut(self, count: int) -> Samples:
        cut: list[Samples] = []
        need = count
        while need:
            part = self._parts.popleft()
            if len(part) > need:
                self._parts.appendleft(part[need:])
                part = part[:need]
            cut.append(part)
            need -= len(part)
        self.waiting -= count
        return np.concatenate(cut) if cut else _silence(0)


def _silence(count: int) -> Samples:
    return np.zeros(count, dtype=np.float32)
