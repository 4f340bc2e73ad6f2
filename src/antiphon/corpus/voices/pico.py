"""SVOX pico's two English speakers, through `ttspico`: natural voices that give no word times.

Their times are carried over from a voice of flite that says the same (`forced`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from antiphon.corpus.conversation import Speaker
from antiphon.corpus.voices.engine import EngineVoice
from antiphon.corpus.voices.flite import timed_by
from antiphon.corpus.voices.manner import AS_MADE, Manner
from antiphon.corpus.voices.speech import CASUAL, Sound, Spellings
from antiphon.errors import VoiceError

VOICES = ("en-US", "en-GB")
INSTALL = "pip install ttspico"
_RATE = 16_000
_TIMED_BY = "slt"  # a woman of flite's: closest to pico's speakers

SPELLINGS = CASUAL | {"latte": (0.5, ("latay", "lah tay")), "almond": (0.5, ("ahmund", "all mund"))}


@dataclass(frozen=True)
class PicoVoice(EngineVoice):
    """One of pico's speakers (VOICES) in somebody's manner."""

    person: str
    manner: Manner = AS_MADE
    speaker: Speaker = "caller"
    spellings: ClassVar[Spellings] = SPELLINGS

    @property
    def name(self) -> str:
        """As the corpus records it."""
        return f"pico:{self.person}"

    def sound(self, line: str, manner: Manner, rng: random.Random) -> Sound:
        """See EngineVoice."""
        engine = _engine(self.person)
        stretch = manner.stretch * manner.tract
        engine.set_property("rate", round(min(300, max(40, 100 / stretch))))
        engine.set_property("pitch", round(min(200, max(50, 100 * manner.pitch / manner.tract))))
        pcm = engine.speak(line)
        if not pcm:
            raise VoiceError(f'pico could not say "{line}"')
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
        return samples, _RATE, timed_by(_TIMED_BY, samples, _RATE, line, stretch)


def _engine(person: str) -> Any:
    """A new engine, in a few ms: one that has spoken says the same text differently."""
    try:
        from ttspico import TtsEngine  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise VoiceError(f"pico is not installed; run: {INSTALL}") from error
    return TtsEngine(person)
