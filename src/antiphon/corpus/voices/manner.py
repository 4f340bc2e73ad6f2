"""How somebody speaks, and what a mood or a style does to it.

Knows nothing of sounds: engines and `speech.finish` are asked for tempo, pitch, tract, tilt and
loudness, `expression` for the rest.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Manner:
    """How something is said; the defaults are the voice as its maker left it.

    stretch: duration. pitch, swing: mean of F0 and its movement. tract: frequencies of the
    finished sound are multiplied by it (a shorter vocal tract), its duration is kept.
    tilt: dB an octave above 500 Hz: a tense voice is brighter, a tired one duller. loud: dB.
    bend: semitones from the first word to the last. lilt: semitones by which the middle of a word
    is above its ends. laugh: depth, 0 to 1, of a laughing voice's notes. rough: depth of an uneven
    fast movement of the loudness. breath: noise, relative to the voice. halting: share of the words
    with a short silence after them.
    """

    stretch: float = 1.0
    pitch: float = 1.0
    swing: float = 1.0
    tract: float = 1.0
    tilt: float = 0.0
    loud: float = 0.0
    bend: float = 0.0
    lilt: float = 0.0
    laugh: float = 0.0
    rough: float = 0.0
    breath: float = 0.0
    halting: float = 0.0

    def varied(self, rng: random.Random, tone: str = "neutral") -> Manner:
        """This manner in one utterance: nobody speaks twice alike, and tone shows in all of it."""
        mood = _TONES.get(tone, AS_MADE)
        return Manner(
            stretch=self.stretch * mood.stretch * rng.uniform(0.93, 1.07),
            pitch=self.pitch * mood.pitch * rng.uniform(0.97, 1.03),
            swing=self.swing * mood.swing * rng.uniform(0.9, 1.1),
            tract=self.tract,
            tilt=self.tilt + mood.tilt,
            loud=self.loud + mood.loud + rng.uniform(-3.0, 3.0),
            bend=self.bend + mood.bend + rng.uniform(-1.0, 1.0),
            lilt=self.lilt + mood.lilt * rng.uniform(0.8, 1.2),
            laugh=self.laugh + mood.laugh * rng.uniform(0.8, 1.2),
            rough=self.rough + mood.rough * rng.uniform(0.8, 1.2),
            breath=self.breath + mood.breath * rng.uniform(0.8, 1.2),
            halting=self.halting + mood.halting,
        )


AS_MADE = Manner()

# What a tone does to a manner: tempo, pitch and loudness by the signs and the rough size of
# Murray & Arnott 1993 (table 1: anger, sadness, happiness), tilt by their voice quality; the rest
# is what can be told of a voice that was never heard before, over any line (`expression`).
_TONES = {
    "annoyed": Manner(
        stretch=0.78, pitch=1.16, swing=1.6, tilt=4.0, loud=6.0, bend=-3.0, rough=0.55
    ),
    "hesitant": Manner(
        stretch=1.35, pitch=0.9, swing=0.5, tilt=-4.0, loud=-6.0, bend=-1.0, breath=0.4, halting=0.4
    ),
    "cheerful": Manner(
        stretch=0.95, pitch=1.38, swing=2.0, tilt=1.0, loud=1.5, bend=5.0, lilt=3.5, laugh=0.4
    ),
}

TONES = ("neutral", *_TONES)

# The agent's styles, a step apart from one another in tempo, pitch and loudness: each can be told
# by each. Pitch moves with the tract (lips spread in a smile, rounded in an apology; Ohala 1980).
DELIVERIES = {
    "neutral": AS_MADE,
    "calm": Manner(stretch=1.16, tract=0.965, loud=-2.0),
    "warm": Manner(stretch=0.93, tract=1.07, loud=1.5),
    "brisk": Manner(stretch=0.86, tract=1.035, loud=3.0),
    "apologetic": Manner(stretch=1.08, tract=0.93, loud=-4.0),
}


def any_manner(rng: random.Random) -> Manner:
    """A caller: somebody's tempo, pitch, vocal tract and voice."""
    return Manner(
        stretch=rng.uniform(0.64, 1.1),
        pitch=rng.uniform(0.82, 1.24),
        swing=rng.uniform(0.6, 1.8),
        tract=rng.uniform(0.85, 1.18),
        tilt=rng.uniform(-1.5, 1.5),
        rough=rng.uniform(0.0, 0.15),
        breath=rng.uniform(0.0, 0.12),
    )
