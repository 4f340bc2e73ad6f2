"""English as phonemes, by the dictionary or by somebody who learnt another language first.

In: a line of text. Out: a string in the alphabet of Kokoro's voices (misaki's), which hibari's
dictionary gives. Knows nothing of sounds.
"""

from __future__ import annotations

import random
import re
from functools import cache
from typing import Any

from antiphon.errors import VoiceError

INSTALL = "pip install hibari-tts"

# What the sounds of English become on the tongues of other languages (Swan & Smith 2001, "Learner
# English"; Wells 1982, "Accents of English" 3). Vowels A, I, O, W, Y are diphthongs, T is a flap.
_DENTALS_STOPPED = (("θ", "t"), ("ð", "d"))
_DENTALS_HISSED = (("θ", "s"), ("ð", "z"))
_FINAL_VOICELESS = tuple((f"{a}(?=[ ,.?!]|$)", b) for a, b in ("bp", "dt", "ɡk", "vf", "zs"))
ACCENTS: dict[str, tuple[tuple[str, str], ...]] = {
    "us": (),
    "gb": (),  # the other dictionary
    "in": (*_DENTALS_STOPPED, ("w", "v"), ("ɹ", "ɾ"), ("A", "e"), ("O", "o"), ("T", "t")),
    "es": (
        *(("z", "s"), ("v", "b"), ("ɪ", "i"), ("ʊ", "u"), ("æ", "a"), ("ʌ", "a")),
        *(("ʃ", "ʧ"), ("ð", "d"), ("ɹ", "ɾ"), ("T", "t"), ("ᵊl", "el"), ("h", "x")),
    ),
    "de": (*_DENTALS_HISSED, ("w", "v"), ("ʤ", "ʧ"), ("æ", "ɛ"), ("T", "t"), *_FINAL_VOICELESS),
    "fr": (*_DENTALS_HISSED, ("h", ""), ("ɪ", "i"), ("ʤ", "ʒ"), ("ʧ", "ʃ"), ("ɹ", "ʁ"), ("T", "t")),
    "zh": (("θ", "s"), ("ð", "d"), ("v", "w"), ("ɪ", "i"), ("T", "t"), *_FINAL_VOICELESS),
}


def phonemes(line: str, accent: str, strength: float, rng: random.Random) -> str:
    """How somebody with one of ACCENTS says the line.

    strength: share of the sounds that the accent changes, 0 to 1: few change all of them.
    Raises VoiceError without hibari, or for a line that nothing is read of.
    """
    said = str(_dictionary(accent == "gb")(line))
    for sound, becomes in ACCENTS[accent]:
        said = re.sub(sound, lambda m, to=becomes: to if rng.random() < strength else m[0], said)
    if not said.strip(" ,.?!"):
        raise VoiceError(f'"{line}" has no sound that a dictionary knows')
    return said


@cache
def _dictionary(british: bool) -> Any:
    try:
        from hibari.g2p import G2P
    except ImportError as error:
        raise VoiceError(f"hibari, the dictionary, is not installed; run: {INSTALL}") from error
    return G2P(british=british)
