"""What a client has received and not yet played: a voice and its words, on the trial's clock.

The clock is that of a sound card: `take` gives 20 ms every 20 ms, what is there, with no buffer
that is filled first. Where nothing came in time there is silence, and what comes later plays
later. Of a word only what was played is told.

A transcript comes ahead of its sound and without times. The rule: a word begins where the audio
that had been received when its first letters came ends, and not before its item's first sound.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

import numpy as np

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.quick_resample import QuickResampler
from antiphon.evaluation.protocol import SECONDS, TICK, Heard
from antiphon.runtime.events import AgentWordEvent, Samples


@dataclass
class _Word:
    item: str
    text: str
    start: float | None
    """None: its item has no sound yet."""


class Words:
    """Joins the fragments of a transcript to words; spaces part them.

    A word's time is that of its first fragment, or, for one who `last`, of its last.
    """

    def __init__(self, *, last: bool = False) -> None:
        self._text, self._time, self._last = "", 0.0, last

    @property
    def open(self) -> bool:
        """Whether a word has begun that the next fragment may go on with."""
        return bool(self._text)

    def feed(self, fragment: str, time: float) -> list[tuple[str, float]]:
        """The words that this fragment ends, each with its time in seconds."""
        ended: list[tuple[str, float]] = []
        for part in re.findall(r"\s+|\S+", fragment):
            if part.isspace():
                ended += self.flush()
                continue
            if self._last or not self._text:
                self._time = time
            self._text += part
        return ended

    def flush(self) -> list[tuple[str, float]]:
        """The open word, which is over; punctuation alone is none."""
        text, self._text = self._text, ""
        return [(text, self._time)] if any(map(str.isalnum, text)) else []


class Playback:
    """The voice that was received at `rate` Hz, played at 16 kHz.

    still: seconds without a fragment after which a word is over; None: `end_words` says so.
    """

    def __init__(self, rate: int, *, still: float | None = None) -> None:
        self._rate, self._still = rate, still
        self._ticks = 1  # the first tick plays after the caller's first
        self._queue: deque[tuple[str, Samples]] = deque()
        self._item = ""  # the last one that had sound
        self._down = QuickResampler(rate, SAMPLE_RATE)
        self._began: dict[str, float] = {}
        self._played: dict[str, int] = {}  # samples
        self._words: list[_Word] = []
        self._spelling, self._spelt, self._touched = Words(), "", 0.0

    @property
    def now(self) -> float:
        """Seconds of the trial that are over: when the next tick plays."""
        return self._ticks * SECONDS

    @property
    def end(self) -> float:
        """When a sound that comes now would play."""
        return self.now + sum(len(samples) for _, samples in self._queue) / SAMPLE_RATE

    def add(self, item: str, samples: Samples) -> None:
        """Sound of an item, float32 [N] at its rate, after all that came before."""
        if item != self._item or item not in self._began:
            self._item = item
            self._down = QuickResampler(self._rate, SAMPLE_RATE)
            start = self._began.setdefault(item, self.end)
            for word in self._words:
                if word.item == item and word.start is None:
                    word.start = start
        ready = self._down(samples)
        if len(ready):
            self._queue.append((item, ready))

    def write(self, item: str, fragment: str, start: float | None = None) -> None:
        """A fragment of an item's transcript; `start` (seconds) where the protocol has times."""
        if item != self._spelt:
            self.end_words()
            self._spelt = item
        self._touched = self.now
        time = start if start is not None else self.end if item in self._began else -1.0
        self._keep(self._spelling.feed(fragment, time))

    def end_words(self) -> None:
        """The last word is over."""
        self._keep(self._spelling.flush())

    def _keep(self, words: list[tuple[str, float]]) -> None:
        for text, time in words:
            start = time if time >= 0 else self._began.get(self._spelt)
            self._words.append(_Word(self._spelt, text, start))

    def drop(self) -> list[tuple[str, int]]:
        """Stop: each item that had not been played to its end, and the ms of it that were."""
        self.end_words()
        cut = list(dict.fromkeys(item for item, _ in self._queue))
        self._queue.clear()
        self._item = ""
        self._words = [w for w in self._words if w.start is not None and w.start < self.now]
        return [(item, self._played.get(item, 0) * 1000 // SAMPLE_RATE) for item in cut]

    def take(self) -> Heard:
        """The next 20 ms, and the words that begin in them."""
        if self._still is not None and self.now - self._touched > self._still:
            self.end_words()
        voice: Samples = np.zeros(TICK, dtype=np.float32)
        filled = 0
        while self._queue and filled < TICK:
            item, samples = self._queue.popleft()
            part = samples[: TICK - filled]
            if len(part) < len(samples):
                self._queue.appendleft((item, samples[len(part) :]))
            voice[filled : filled + len(part)] = part
            filled += len(part)
            self._played[item] = self._played.get(item, 0) + len(part)
        now, self._ticks = self.now, self._ticks + 1
        due = [w for w in self._words if w.start is not None and w.start < self.now]
        self._words = [w for w in self._words if w not in due]
        told = (AgentWordEvent(time=now, text=w.text, start=w.start or 0.0) for w in due)
        return Heard(voice, tuple(told))
