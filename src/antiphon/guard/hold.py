"""The voice that is held back, and which words it belongs to.

In: frames as the network gives them, and words as they are told. Out: for every 20 ms that is about
to be played, whose it is. Positions are samples of the call's raw voice, from 0; times are seconds
on the call's clock, the raw voice's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.bundle.manifest import Delays
from antiphon.corpus import grammar
from antiphon.guard.events import Finding
from antiphon.runtime.events import AgentWordEvent, Samples
from antiphon.runtime.latency import AUDIBLE
from antiphon.runtime.recall import BREATH, LETTER
from antiphon.runtime.session import SECONDS

BLOCK = 320  # samples: 20 ms, in which the voice is passed or not
EARLY = 0.12  # s before its time that a word may begin to sound
_BREATH, _LETTER = 0.25, 0.09  # s a word sounds at most: and so much a letter
_PAUSE = 1.5  # s without a word after which the next begins a sentence
_KEPT = 6.0  # s of voice and of words that are kept behind the present

Owner = Literal["agent", "void", "nobody"]


@dataclass(eq=False)
class Word:
    """A word of the agent's. `first` and `last` are its plain words in the sentence."""

    text: str
    start: float
    sentence: Sentence
    first: int
    last: int
    void: bool = False
    """Whether it is not to be heard."""
    earliest: float = 0.0
    """Before this nothing of it sounds."""
    out: bool = False
    """Whether it was told to those who listen."""
    audible: bool = False
    """Whether any of it could be heard."""
    sure: bool = False
    """Whether that was looked at, when it was over."""

    @property
    def latest(self) -> float:
        """After this nothing of it sounds."""
        return self.start + _BREATH + _LETTER * len(self.text)

    @property
    def sounds_until(self) -> float:
        """When it is likely to be over."""
        return self.start + BREATH + LETTER * len(self.text)


@dataclass(eq=False)
class Sentence:
    """What the agent says in one go."""

    number: int
    start: float
    given: bool = False
    """Whether the guard gave it to the agent to say: it is not checked."""
    words: list[Word] = field(default_factory=list[Word])
    tokens: tuple[str, ...] = ()
    over: bool = False
    void: bool = False
    """Whether the rest of it is not to be heard."""
    finding: Finding | None = None
    seen: tuple[int, int, bool] = (-1, -1, False)
    """What its finding was computed of: words, version of the state, whether it was over."""
    waits_since: float | None = None
    done: bool = False
    """Whether there is nothing left to do about its finding."""
    kept: bool = False
    """Whether the state knows that it was said."""
    read: int = 0
    """Words that the judge was given."""
    flags: set[str] = field(default_factory=set[str])

    def word_at(self, token: int) -> Word | None:
        """The word that holds this plain word."""
        return next((word for word in self.words if word.first <= token < word.last), None)


class Voice:
    """The agent's raw voice: what came and is not yet played, and a little behind."""

    def __init__(self) -> None:
        self._samples: Samples = np.zeros(0, dtype=np.float32)
        self._base = 0
        self.end = 0
        """Samples that have come."""
        self.began: float | None = None
        """When sample 0 would play, seconds."""

    def push(self, time: float, samples: Samples) -> None:
        """A frame that would play at `time`."""
        if self.began is None:
            self.began = time
        self._samples = np.concatenate((self._samples, samples))
        self.end += len(samples)
        spare = len(self._samples) - round(_KEPT * SAMPLE_RATE)
        if spare >= FRAME:
            self._samples, self._base = self._samples[spare:], self._base + spare

    def time(self, at: int) -> float:
        """When sample `at` would play if nothing were held back."""
        return (self.began or 0.0) + at / SAMPLE_RATE

    def at(self, time: float) -> int:
        """The sample that would play at `time`."""
        return round((time - (self.began or 0.0)) * SAMPLE_RATE)

    def cut(self, first: int, last: int) -> Samples:
        """Samples `first` to `last` - 1; silence where there are none."""
        out = np.zeros(last - first, dtype=np.float32)
        a, b = max(first, self._base), min(last, self.end)
        if a < b:
            out[a - first : b - first] = self._samples[a - self._base : b - self._base]
        return out

    def loud(self, first: int, last: int) -> bool:
        """Whether anything can be heard there."""
        return bool(np.abs(self.cut(first, last)).max(initial=0.0) >= AUDIBLE)


class Words:
    """The agent's words by sentence, and whose the voice is at a time."""

    def __init__(self, delays: Delays) -> None:
        self._lead = delays.text_lead * SECONDS
        self._lookahead = delays.codec_lookahead / SAMPLE_RATE
        self.words: list[Word] = []
        """Those of the last seconds, in the order in which they were told."""
        self.sentences: list[Sentence] = []
        """Those with words that are not yet out, and the latest."""
        self._count = 0

    @property
    def latest(self) -> Sentence | None:
        """The sentence that is being said, or was last."""
        return self.sentences[-1] if self.sentences else None

    def take(self, event: AgentWordEvent, *, void: bool = False, given: bool = False) -> Word:
        """The next word. `void`: of a sentence that was blocked; `given`: told by the guard."""
        sentence = self.latest
        last = sentence.words[-1] if sentence and sentence.words else None
        past = last is not None and event.start - last.latest > _PAUSE
        other = sentence is not None and sentence.given != given
        if sentence is None or sentence.over or past or other:
            self.finish()
            sentence = Sentence(self._count, event.start, given=given)
            self._count += 1
            self.sentences.append(sentence)
        fresh = not sentence.words
        first = len(sentence.tokens)
        plain = tuple(grammar.plain(event.text).split())
        sentence.tokens += plain
        void = void or (sentence.void and not given)
        word = Word(event.text, event.start, sentence, first, first + len(plain), void)
        # The text of a sentence's first word comes with its sound, and is dated as if it led it.
        early = self._lead if fresh else EARLY
        word.earliest = event.start - early
        sentence.words.append(word)
        self.words.append(word)
        return word

    def hush(self, time: float) -> None:
        """From this time on nothing is to be heard but what is told from now on."""
        for sentence in self.sentences:
            for word in sentence.words:
                word.void = word.void or not word.out
            if not sentence.words or sentence.words[-1].void or not sentence.over:
                sentence.void = True
        nobody = Sentence(-1, time, void=True)
        self.words.append(Word("", time, nobody, 0, 0, void=True, earliest=time, out=True))

    def finish(self) -> None:
        """The sentence that is being said has no more words."""
        if self.sentences:
            self.sentences[-1].over = True

    def forget(self, before: float) -> None:
        """Drop what was over before a time, seconds."""
        self.words = [word for word in self.words if word.latest >= before - _KEPT]
        self.sentences = [
            sentence
            for sentence in self.sentences
            if sentence is self.sentences[-1] or any(not word.out for word in sentence.words)
        ]

    def owner(self, time: float) -> tuple[Owner, Word | None]:
        """Whose the voice is at this time: the last word's that can have begun by then.

        What is void stays so until the next word, however long it sounds.
        """
        for word in reversed(self.words):
            if word.earliest <= time:
                if word.void:
                    return "void", word
                return ("agent" if time <= word.latest else "nobody"), word
        return "nobody", None

    def open_from(self, told: float) -> float:
        """The earliest sound of a word whose first piece came in the frame that ended at `told`."""
        fresh = self.latest is None or self.latest.over
        return told + self._lookahead + (0.0 if fresh else self._lead - EARLY)
