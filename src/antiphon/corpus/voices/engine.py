"""A caller that one of the engines speaks for.

In: text and a manner. Out: Speech. What an engine adds is how it is asked for its samples.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from typing import ClassVar

from antiphon.corpus.voices.expression import expressed
from antiphon.corpus.voices.manner import Manner
from antiphon.corpus.voices.speech import (
    Sound,
    Speech,
    Spellings,
    align,
    finish,
    respelt,
    sayable,
)


class EngineVoice(ABC):
    """A caller that an engine speaks for: somebody's manner, and people's ways with some words."""

    manner: Manner
    spellings: ClassVar[Spellings]

    @property
    @abstractmethod
    def name(self) -> str:
        """As the corpus records it."""

    def speak(self, text: str, rng: random.Random, tone: str = "neutral") -> Speech:
        """Say the text. Raises VoiceError without the engine, or for text it cannot say."""
        text = sayable(text)
        manner = self.manner.varied(rng, tone)
        spelt = respelt(text, self.spellings, rng)
        line = " ".join(token for tokens in spelt for token in tokens)
        samples, rate, tokens = self.sound(line, manner, rng)
        words = align(text, spelt, tokens, self.name)
        return expressed(finish(samples, rate, words, manner), manner, rng)

    @abstractmethod
    def sound(self, line: str, manner: Manner, rng: random.Random) -> Sound:
        """The engine's samples for a line as it is spelt for it, their rate in Hz, and the times
        of its tokens. Tempo and pitch are the engine's; all else comes after it.
        """
