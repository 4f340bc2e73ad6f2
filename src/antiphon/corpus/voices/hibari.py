"""hibari: one natural voice whose source and filter come apart, and so a thousand people.

The network gives pitch, the harmonics' spectrum and the noise's apart from one another. Every
person has a throat and a mouth of their own (two warps of the spectrum), a pitch, and an accent.
Its times are carried over from a voice of flite that says the same.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from antiphon.corpus.conversation import Speaker
from antiphon.corpus.voices.engine import EngineVoice
from antiphon.corpus.voices.flite import timed_by
from antiphon.corpus.voices.manner import AS_MADE, Manner
from antiphon.corpus.voices.phonemes import ACCENTS, INSTALL, phonemes
from antiphon.corpus.voices.speech import CASUAL, Sound, Spellings
from antiphon.errors import VoiceError

PEOPLE = 1000
_RATE = 24_000
_F1_ENDS, _F2_BEGINS = 800.0, 1600.0  # Hz: the throat shapes what is below, the mouth what is above
_FOREIGN = 0.4  # share of the people who learnt another language first
_TIMED_BY = "slt"


@dataclass(frozen=True)
class Body:
    """Who speaks: factors of the voice as it was made, and an accent with its strength."""

    pitch: float
    throat: float
    mouth: float
    accent: str
    strength: float


def body(number: int) -> Body:
    """Person `number`, always the same.

    Large people have low voices and low formants (about .85 of a woman's on average in men;
    Peterson & Barney 1952), each on their own scale.
    """
    rng = random.Random(f"hibari {number}")
    size = rng.uniform(0.0, 1.0)  # a man's to a woman's
    foreign = rng.random() < _FOREIGN
    others = [accent for accent in ACCENTS if accent not in ("us", "gb")]
    return Body(
        pitch=math.exp(math.log(0.52) * (1 - size) + rng.uniform(-0.15, 0.15)),
        throat=0.84 + 0.18 * size + rng.uniform(-0.06, 0.06),
        mouth=0.84 + 0.18 * size + rng.uniform(-0.06, 0.06),
        accent=rng.choice(others) if foreign else rng.choice(("us", "us", "gb")),
        strength=rng.uniform(0.3, 1.0),
    )


@dataclass(frozen=True)
class HibariVoice(EngineVoice):
    """One of PEOPLE who speak with hibari's voice, in their manner."""

    person: int
    manner: Manner = AS_MADE
    speaker: Speaker = "caller"
    spellings: ClassVar[Spellings] = CASUAL

    @property
    def name(self) -> str:
        """As the corpus records it."""
        return f"hibari:{self.person}"

    def sound(self, line: str, manner: Manner, rng: random.Random) -> Sound:
        """See EngineVoice."""
        who = body(self.person)
        stretch = manner.stretch * manner.tract
        said = phonemes(line, who.accent, who.strength, rng)
        pitch = who.pitch * manner.pitch / manner.tract
        noise = np.random.default_rng(rng.getrandbits(32))
        samples = _spoken(said, min(2.0, max(0.5, 1 / stretch)), pitch, manner.swing, who, noise)
        return samples, _RATE, timed_by(_TIMED_BY, samples, _RATE, line, stretch)


def _spoken(
    said: str, speed: float, pitch: float, swing: float, who: Body, noise: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Samples [N] of phonemes."""
    from hibari import dsp

    engine = _engine()
    ids = engine.ids(said)
    given = {"ids": np.asarray([ids], np.int64), "speed": np.asarray([speed], np.float32)}
    harmonics, turn, hiss, rest, phase, f0 = (out[0] for out in engine.sess.run(None, given))
    voiced = f0 > 0
    if voiced.any():
        mean = np.log(f0[voiced]).mean()
        f0 = np.where(
            voiced, np.exp(mean + (np.log(np.maximum(f0, 1.0)) - mean) * swing) * pitch, 0.0
        ).astype(np.float32)
    shapes = [warped(part, who.throat, who.mouth) for part in (harmonics, turn, hiss, rest)]
    samples: Any = dsp.synth(shapes[0], shapes[1], shapes[2], shapes[3], phase, f0, noise)
    return np.asarray(samples, np.float32)


def warped(spectrum: npt.NDArray[Any], throat: float, mouth: float) -> npt.NDArray[np.float32]:
    """A spectrum [bins, T] up to 12 kHz whose low resonances lie at `throat` times where they lay
    and whose high ones at `mouth` times."""
    hertz = np.linspace(0.0, _RATE / 2, len(spectrum))
    share = np.clip((hertz - _F1_ENDS) / (_F2_BEGINS - _F1_ENDS), 0.0, 1.0)
    taken = hertz / (throat + (mouth - throat) * share) / (_RATE / 2) * (len(spectrum) - 1)
    low = np.clip(taken.astype(np.int64), 0, len(spectrum) - 2)
    part = np.clip(taken - low, 0.0, 1.0)[:, None]
    return (spectrum[low] * (1 - part) + spectrum[low + 1] * part).astype(np.float32)


def vocabulary() -> dict[str, int]:
    """The number of every phoneme: Kokoro's, whose voice hibari learnt from."""
    return dict(_engine().vocab)


@cache
def _engine() -> Any:
    try:
        from hibari import Hibari
    except ImportError as error:
        raise VoiceError(f"hibari is not installed; run: {INSTALL}") from error
    return Hibari(threads=1)
