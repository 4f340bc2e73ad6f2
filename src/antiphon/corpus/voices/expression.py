"""What a mood does to a voice that no engine can be asked for: contour, roughness, breath, halts.

In: finished speech and a manner. Out: speech. All of it is to be heard within one utterance and
over a telephone, whoever speaks: it needs no loudness, tilt or tempo to compare with. What each
mood has of it is in `manner.Manner.varied`, by the acoustic cues of Juslin & Laukka 2003 (table 7:
happiness rises and moves, anger is rough and falls, sadness pauses and breathes).
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from antiphon.audio import SAMPLE_RATE
from antiphon.corpus.voices.manner import Manner
from antiphon.corpus.voices.speech import Floats, Speech, with_pauses

_LAUGH = (5.0, 6.0)  # Hz: the notes of laughter, also of laughing speech (Provine & Yong 1991)
_ROUGH = (30.0, 45.0)  # Hz: amplitude that moves so fast is heard as roughness (Arnal et al. 2015)
_NOTE = 2.0  # semitones of a whole laugh
_HALT = (0.08, 0.2)  # s between two words
_ENVELOPE = 320  # samples over which the voice's level is followed for its breath


def expressed(speech: Speech, manner: Manner, rng: random.Random) -> Speech:
    """The speech with the manner's contour, roughness, breath and halts; itself where it has none.

    rng: draws the halts' places, and the noise of breath and roughness.
    """
    noise = np.random.default_rng(rng.getrandbits(32))
    pace, begins = noise.uniform(*_LAUGH), noise.random()
    notes = np.sin(2 * np.pi * (begins + pace * np.arange(len(speech.samples)) / SAMPLE_RATE))
    laugh = manner.laugh * notes
    samples = (speech.samples * (1.0 + laugh)).astype(np.float32)
    if manner.rough:
        samples = roughened(samples, manner.rough, noise)
    if manner.breath:
        samples = breathed(samples, manner.breath, noise)
    speech = Speech(samples, speech.words, speech.start, speech.end)
    if manner.bend or manner.lilt or manner.laugh:
        speech = bent(speech, manner.bend, manner.lilt, _NOTE * laugh)
    if manner.halting:
        halts = [
            (at, rng.uniform(*_HALT))
            for at in range(len(speech.words) - 1)
            if rng.random() < manner.halting
        ]
        speech, _ = with_pauses(speech, halts)
    return speech


def bent(speech: Speech, bend: float, lilt: float, besides: npt.NDArray[Any] | float = 0) -> Speech:
    """The speech with its pitch gliding up by `bend` semitones from its first word to its last,
    `lilt` semitones higher in the middle of each word than at its ends, and `besides` [N].

    The whole spectrum moves with the pitch, as tape does, and tempo with it; their means stay.
    """
    samples = speech.samples
    time = np.arange(len(samples)) / SAMPLE_RATE
    span = max(speech.end - speech.start, 1e-3)
    semitones = bend * (np.clip((time - speech.start) / span, 0.0, 1.0) - 0.5) + besides
    for _, start, end in speech.words:
        first, last = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
        around = np.linspace(0.0, 2 * np.pi, max(last - first, 1))[: len(samples) - first]
        semitones[first:last] -= lilt / 2 * np.cos(around)
    # When each sample sounds.
    heard: npt.NDArray[np.float64] = np.cumsum(2.0 ** (-semitones / 12.0)) / SAMPLE_RATE
    heard -= heard[:1]

    def moved(seconds: float) -> float:
        return float(np.interp(seconds, time, heard))

    grid = np.arange(round(float(heard[-1]) * SAMPLE_RATE) + 1) / SAMPLE_RATE
    places = np.interp(grid, heard, np.arange(len(samples)))
    glided: Any = ndimage.map_coordinates(  # pyright: ignore[reportUnknownVariableType]
        samples, places[None], mode="nearest"
    )
    words = tuple((text, moved(a), moved(b)) for text, a, b in speech.words)
    return Speech(glided.astype(np.float32), words, moved(speech.start), moved(speech.end))


def roughened(samples: Floats, depth: float, rng: np.random.Generator) -> Floats:
    """The samples [N] with an amplitude that moves by `depth` (0 to 1) at an uneven rough pace."""
    steps = -(-len(samples) // 80) + 1
    pace = np.repeat(rng.uniform(*_ROUGH, size=steps), 80)[: len(samples)]
    phase = 2 * np.pi * (rng.random() + np.cumsum(pace) / SAMPLE_RATE)
    return (samples * (1.0 + depth * np.sin(phase))).astype(np.float32)


def breathed(samples: Floats, share: float, rng: np.random.Generator) -> Floats:
    """The samples [N] with breath: bright noise at `share` of the voice's own level."""
    hiss = np.diff(rng.normal(size=len(samples) + 2), 2) / np.sqrt(6.0)
    level = np.sqrt(
        np.convolve(np.square(samples), np.ones(_ENVELOPE) / _ENVELOPE, mode="same").clip(min=0)
    )
    return (samples + share * level * hiss).astype(np.float32)
