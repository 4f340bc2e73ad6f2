"""Baselines: systems that understand nothing, which every figure must be read beside.

A metric that one of them wins measures the wrong thing. All run on the simulated clock and need
numpy alone: their voice is a row of sung vowels, one for each word that they tell.

- `silent` never says anything.
- `talking` never stops.
- `vad700` answers 700 ms after the caller's sound has ended and stops when the caller sounds: the
  fixed rule that an end-to-end model must beat.
- `echo` plays the caller back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from antiphon.audio import SAMPLE_RATE
from antiphon.evaluation.protocol import SECONDS, TICK, Heard, Line
from antiphon.runtime.events import AgentWordEvent, Samples

GAP = 0.7  # s from the caller's last sound to the answer of vad700
ECHO = 0.5  # s that the echo comes late
REPLY = ("thank", "you", "for", "that", "one", "moment", "please")
ENDLESS = ("and", "so", "as", "i", "was", "saying")

# First three formants of /ɑ i ɛ u ɔ/ in Hz, means of men: Peterson and Barney, JASA 24, 1952.
_VOWELS = (
    (730, 1090, 2440),
    (270, 2290, 3010),
    (530, 1840, 2480),
    (300, 870, 2240),
    (570, 840, 2410),
)
_BAND = 90.0  # Hz, half the width of a formant
_PEAK = 0.3
_LEAST = 0.2  # of a vowel's loudness at its edges: one word runs into the next
_FADE = 80  # samples, 5 ms: a voice that is cut off does not click


@dataclass(frozen=True)
class Baseline:
    """A system made of nothing but a line."""

    name: str
    line: Callable[[int], Line]
    """A new call's line, of its seed."""
    live = False

    @contextmanager
    def call(self, seed: int) -> Generator[Line]:
        """A new call."""
        yield self.line(seed)


class Silent:
    """Says nothing."""

    def push(self, caller: Samples, /) -> Heard:
        return Heard(np.zeros(TICK, dtype=np.float32))


class Talking:
    """Says the same words for ever; the seed is its voice."""

    def __init__(self, seed: int = 0) -> None:
        self._mouth = Mouth(seed)

    def push(self, caller: Samples, /) -> Heard:
        while self._mouth.left < TICK:
            self._mouth.say(ENDLESS)
        return self._mouth.tick()


class Vad700:
    """Answers everything alike, `GAP` after the caller's sound has ended."""

    def __init__(self, seed: int = 0) -> None:
        self._mouth = Mouth(seed)
        self._ear = Ear()
        self._answered = True

    def push(self, caller: Samples, /) -> Heard:
        self._ear.hear(caller)
        if self._ear.speech:
            self._mouth.hush()
            self._answered = False
        elif not self._answered and self._ear.quiet >= GAP - SECONDS / 2:
            self._mouth.say(REPLY)
            self._answered = True
        return self._mouth.tick()


class Echo:
    """Plays the caller back `ECHO` late. It knows no words, so it tells none."""

    def __init__(self) -> None:
        # What is returned in a tick plays in the next one: the first tick of delay is there.
        ticks = round(ECHO / SECONDS) - 1
        self._heard: deque[Samples] = deque([np.zeros(TICK, dtype=np.float32)] * ticks)

    def push(self, caller: Samples, /) -> Heard:
        self._heard.append(np.array(caller, dtype=np.float32))
        return Heard(self._heard.popleft())


class Ear:
    """Voice activity by energy: what stands clearly above the quietest of the last two seconds.

    60 ms of it make speech; within 300 ms of speech, any tick of it does, so that a last
    consonant counts. Steady noise is the floor after two seconds, and is taken for speech before.
    """

    ABOVE = 12.0  # dB above the floor
    LEAST = -50.0  # dBFS below which nothing is speech
    ONSET = 3  # ticks
    NEAR = 0.3  # s
    MEMORY = 100  # ticks

    def __init__(self) -> None:
        self._levels: deque[float] = deque(maxlen=self.MEMORY)
        self._run = 0
        self.quiet = float("inf")
        """Seconds since the last tick of speech ended; inf where there was none."""

    @property
    def speech(self) -> bool:
        """Whether the caller speaks in the last tick."""
        return self.quiet == 0.0

    def hear(self, caller: Samples) -> None:
        """The next tick, float32 [TICK]."""
        power = float(np.square(caller, dtype=np.float64).mean())
        level = 10 * np.log10(power + 1e-12)
        floor = min(self._levels, default=level)
        self._levels.append(level)
        self._run = self._run + 1 if level > max(floor + self.ABOVE, self.LEAST) else 0
        counts = self._run >= self.ONSET or (self._run > 0 and self.quiet < self.NEAR)
        self.quiet = 0.0 if counts else self.quiet + SECONDS


class Mouth:
    """A voice that sings a vowel a word, and tells each word in the tick in which it begins."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._rest: Samples = np.zeros(0, dtype=np.float32)
        self._words: deque[tuple[str, int]] = deque()  # samples from the next one to play
        self._ticks = 0

    @property
    def left(self) -> int:
        """Samples that are still to be played."""
        return len(self._rest)

    def say(self, words: Sequence[str]) -> None:
        """Put words after what is being said."""
        for word in words:
            self._words.append((word, len(self._rest)))
            self._rest = np.concatenate([self._rest, _sing(self._random)])

    def hush(self) -> None:
        """Break off; words that did not begin are not told."""
        self._words.clear()
        fade = np.linspace(1, 0, _FADE, dtype=np.float32)
        self._rest = self._rest[:_FADE] * fade[: len(self._rest)]

    def tick(self) -> Heard:
        """The next 20 ms."""
        self._ticks += 1
        now = self._ticks * SECONDS  # when they play
        told: list[AgentWordEvent] = []
        while self._words and self._words[0][1] < TICK:
            word, sample = self._words.popleft()
            told.append(AgentWordEvent(time=now, text=word, start=now + sample / SAMPLE_RATE))
        self._words = deque((word, sample - TICK) for word, sample in self._words)
        voice, self._rest = self._rest[:TICK], self._rest[TICK:]
        return Heard(np.pad(voice, (0, TICK - len(voice))), tuple(told))


def _sing(random: np.random.Generator) -> Samples:
    """A vowel of 0.2 to 0.3 s, float32 [N], with a voice's pitch, formants and breath."""
    count = round(random.uniform(0.2, 0.3) * SAMPLE_RATE)
    formants = np.array(_VOWELS[random.integers(len(_VOWELS))], dtype=np.float64)
    pitch = random.uniform(105, 135) * np.linspace(1.06, 0.94, count)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    order = np.arange(1, 30)
    away = (order[:, None] * pitch.mean() - formants) / _BAND
    gains = (1 / (1 + away**2)).sum(axis=1) / np.sqrt(order)
    voice = (gains[:, None] * np.sin(order[:, None] * phase)).sum(axis=0)
    voice += 0.02 * np.abs(voice).max() * random.standard_normal(count)
    voice *= np.maximum(np.sqrt(np.sin(np.pi * np.arange(count) / count)), _LEAST)
    return (_PEAK * voice / np.abs(voice).max()).astype(np.float32)


BASELINES: Mapping[str, Baseline] = {
    baseline.name: baseline
    for baseline in (
        Baseline("silent", lambda seed: Silent()),
        Baseline("talking", Talking),
        Baseline("vad700", Vad700),
        Baseline("echo", lambda seed: Echo()),
    )
}
