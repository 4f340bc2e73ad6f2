"""What is played in the place of a blocked sentence, and how the agent is made to say it.

Two ways. A recording of the agent's own voice that was made ready (`antiphon.guard.ready`) begins
at once, while the agent is given the same words and not heard. Without one the agent breaks off
what it was saying, and its live voice is let through from the first of the given words on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from antiphon.audio import SAMPLE_RATE
from antiphon.bundle.manifest import Delays
from antiphon.corpus import grammar
from antiphon.errors import AntiphonError
from antiphon.guard.events import Say
from antiphon.guard.hold import BLOCK
from antiphon.runtime.events import Samples
from antiphon.runtime.latency import AUDIBLE
from antiphon.runtime.session import SECONDS
from antiphon.runtime.words import speakable

_LONGEST = 10.0  # s after which given words are given up, said or not
_SILENT = 3.0  # s after which an agent that was given words and says none is at fault
_GAP = 0.08  # s of silence before what is said instead


def key_of(text: str) -> str:
    """How a phrase is found among the ready ones."""
    return grammar.plain(" ".join(speakable(text)))


@dataclass
class Given:
    """Words that the agent was told to say. `unheard`: how many of them are not let through."""

    since: float
    soonest: float
    """No word of it can begin before this."""
    waiting: deque[str]
    unheard: int
    said: int = 0

    def is_next(self, text: str, start: float) -> bool:
        """Whether a word that the agent tells is the next of these."""
        return bool(self.waiting) and start >= self.soonest and text == self.waiting[0]

    def take(self) -> bool:
        """The next one was told; whether it is let through."""
        self.waiting.popleft()
        self.said += 1
        return self.said > self.unheard

    def silent(self, now: float) -> bool:
        """Whether the agent says none of it."""
        return not self.said and now - self.since > _SILENT

    def over(self, now: float) -> bool:
        """Whether all of it was said, or it is given up."""
        return not self.waiting or now - self.since > _LONGEST


@dataclass
class Patch:
    """A recording that is played in the agent's place."""

    samples: Samples = field(repr=False)
    words: deque[tuple[str, int]]
    """Its words that are to be told, each with its first sample."""
    played: int = 0

    @property
    def over(self) -> bool:
        """Whether all of it was played."""
        return self.played >= len(self.samples)

    def next_block(self) -> tuple[Samples, list[tuple[str, int]]]:
        """The next 20 ms, and the words that begin in it with their offsets in samples."""
        block = self.samples[self.played : self.played + BLOCK]
        told: list[tuple[str, int]] = []
        while self.words and self.words[0][1] < self.played + BLOCK:
            text, at = self.words.popleft()
            told.append((text, max(0, at - self.played)))
        self.played += BLOCK
        return np.pad(block, (0, BLOCK - len(block))), told


class Replacer:
    """One call's phrases. `say` is how the agent is made to speak; None: it cannot be."""

    def __init__(self, ready: Mapping[str, Samples], say: Say | None, delays: Delays) -> None:
        self._ready = {key_of(text): samples for text, samples in ready.items()}
        self._say = say
        # The first word of what is given now can begin no sooner; half a frame is for rounding.
        self._soonest = (0.5 + delays.text_lead) * SECONDS

    def begin(self, phrase: str, now: float) -> tuple[Patch | None, Given | None]:
        """Say this from now on: as a recording, by the agent, or both."""
        words = speakable(phrase)
        samples = self._ready.get(key_of(phrase))
        if samples is None:
            return None, self._give(words, now, unheard=0)
        gap = np.zeros(round(_GAP * SAMPLE_RATE), dtype=np.float32)
        whole = np.concatenate((gap, samples))
        patch = Patch(whole, deque(_spread(words, whole)))
        return patch, self._give(words, now, unheard=len(words))

    def _give(self, words: list[str], now: float, *, unheard: int) -> Given | None:
        if self._say is None or not words:
            return None
        try:
            self._say(" ".join(words))
        except AntiphonError:
            return None  # the voice lacks a letter of it, or has gone
        return Given(now, now + self._soonest, deque(words), unheard)


def _spread(words: list[str], samples: Samples) -> list[tuple[str, int]]:
    """Words with the samples at which they begin, by their letters: a guess."""
    loud = np.flatnonzero(np.abs(samples) >= AUDIBLE)
    first, last = (int(loud[0]), int(loud[-1])) if len(loud) else (0, len(samples))
    letters = [len(word) + 1 for word in words]
    share = (last - first) / max(sum(letters), 1)
    return [(word, first + round(share * sum(letters[:at]))) for at, word in enumerate(words)]
