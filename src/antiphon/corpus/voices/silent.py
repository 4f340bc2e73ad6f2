"""Voices that make no sound: the words of a text at the times at which somebody might say them.

For what is learnt from words and their order alone, which needs no engine and no hours.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from antiphon.audio import SAMPLE_RATE
from antiphon.corpus.conversation import Speaker
from antiphon.corpus.voices.speech import Speech, bare, sayable

_WORD, _LETTER = 0.09, 0.045  # s: of every word, and of each of its letters
_UNEVEN = 0.2  # share by which a word is longer or shorter than that
_PACES = (0.75, 1.3)
_BREAK = (0.08, 0.25)  # s of silence at a comma
_AFTER = 0.09  # s


@dataclass(frozen=True)
class SilentVoice:
    """Somebody with a pace of their own."""

    speaker: Speaker
    pace: float = 1.0
    name: str = "silent"

    def speak(
        self, text: str, rng: random.Random, tone: str = "neutral", speed: float = 1.0
    ) -> Speech:
        """The text's words one after another; `tone` changes nothing. Raises VoiceError."""
        del tone
        at, words = 0.0, list[tuple[str, float, float]]()
        for token in sayable(text).split():
            word = bare(token)
            likely = (_WORD + _LETTER * len(word)) / (self.pace * speed)
            end = at + likely * rng.uniform(1 - _UNEVEN, 1 + _UNEVEN)
            words.append((word, at, end))
            at = end + (rng.uniform(*_BREAK) if token != word else 0.0)
        end = words[-1][2]
        samples = np.zeros(round((end + _AFTER) * SAMPLE_RATE), np.float32)
        return Speech(samples, tuple(words), 0.0, end)


class SilentVoices:
    """A cast of them."""

    def __init__(self) -> None:
        self.agent = SilentVoice("agent")

    def caller(self, group: str, rng: random.Random) -> SilentVoice:
        """Anybody: who makes no sound belongs to every group."""
        del group
        return SilentVoice("caller", rng.uniform(*_PACES))
