"""How the agent says what it says: a style and a tempo, and what a caller's tempo makes of it.

A network is told neither (it chooses as it learnt from callers), the one, or both; told, they
are small numbers that stand for the whole call. Knows nothing of voices or networks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from antiphon.errors import AntiphonError

STYLES = ("neutral", "calm", "warm", "brisk", "apologetic")
SPEEDS = (0.84, 0.92, 1.0, 1.09, 1.19)
"""Tempos relative to the style's own; steps that a listener just notices (Quene 2007: 5 %)."""
FREE = 0  # the network's own choice
CONTROLS = (1 + len(STYLES), 1 + len(SPEEDS))

_VOWELS = re.compile(r"[aeiouy]+")
_LEAST = 4  # syllables, below which a tempo means nothing


@dataclass(frozen=True)
class Delivery:
    """A style of STYLES and a tempo of SPEEDS; None: the speaker's own choice."""

    style: str | None = None
    speed: float | None = None

    @property
    def control(self) -> tuple[int, int]:
        """As a network takes it, each FREE or an index plus one."""
        return (
            FREE if self.style is None else 1 + STYLES.index(self.style),
            FREE if self.speed is None else 1 + SPEEDS.index(self.speed),
        )


OWN = Delivery()


def delivery(style: str | None = None, speed: float | None = None) -> Delivery:
    """What was asked for, the speed as the nearest that there is.

    Raises AntiphonError for a style that is none, or a speed out of 0.5 to 2.
    """
    if style is not None and style not in STYLES:
        raise AntiphonError(f'there is no style "{style}"; the styles are {", ".join(STYLES)}')
    if speed is not None and not 0.5 <= speed <= 2.0:
        raise AntiphonError(f"a speed of {speed:g} is not between 0.5 and 2; 1 is the usual tempo")
    return Delivery(style, None if speed is None else nearest(speed))


def nearest(speed: float) -> float:
    """The tempo of SPEEDS that lies nearest."""
    return min(SPEEDS, key=lambda known: abs(known - speed))


def syllables(word: str) -> int:
    """How many syllables a word has, by its groups of vowels: right for most, and never 0."""
    groups = len(_VOWELS.findall(word))
    silent = word.endswith("e") and not word.endswith(("le", "ee")) and groups > 1
    return max(1, groups - silent)


def tempo(words: Iterable[tuple[str, float, float]]) -> float | None:
    """Syllables a second of (word, start, end), pauses left out; None where too little is said."""
    counted, seconds = 0, 0.0
    for text, start, end in words:
        counted += syllables(text)
        seconds += end - start
    return counted / seconds if counted >= _LEAST and seconds > 0 else None


def leaning(heard: float | None, usual: float, share: float) -> float:
    """The agent's speed for a caller of tempo `heard`, where `usual` is what most callers have.

    share: of the way to the caller's tempo, on a logarithmic scale: 0 does not lean, 1 copies.
    """
    return 1.0 if heard is None else nearest((heard / usual) ** share)
