"""flite's voices, through its own library: word times come from its segments.

The library is loaded when the first voice is; a missing one is a VoiceError. Not thread safe:
one process, one thread.
"""

from __future__ import annotations

import ctypes
import random
from ctypes import POINTER, c_char_p, c_float, c_int, c_short, c_uint, c_void_p
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from antiphon.corpus.conversation import Speaker
from antiphon.corpus.voices.engine import EngineVoice
from antiphon.corpus.voices.forced import carried_over
from antiphon.corpus.voices.manner import AS_MADE, Manner
from antiphon.corpus.voices.speech import CASUAL, Sound, Spellings, Timed
from antiphon.errors import VoiceError

VOICES = ("rms", "awb", "slt", "kal16")
INSTALL = "apt-get install flite"

# How people say what cmulex gets wrong (it has "latte" as L AE T).
SPELLINGS = CASUAL | {"latte": (1.0, ("latay",))}

_AUDIBLE = 0.02  # of the loudest sample

# flite keeps the pointers to these names, not copies: they must live as long as the process.
_STRETCH, _SHIFT = b"duration_stretch", b"f0_shift"
_MEAN, _DEVIATION = b"int_f0_target_mean", b"int_f0_target_stddev"

_FIRST = b"R:SylStructure.daughter1.daughter1.R:Segment.p.end"
_LAST = b"R:SylStructure.daughtern.daughtern.R:Segment.end"


class _Wave(ctypes.Structure):
    _fields_ = (
        ("type", c_char_p),
        ("rate", c_int),
        ("count", c_int),
        ("channels", c_int),
        ("samples", POINTER(c_short)),
    )


class _Voice(ctypes.Structure):
    _fields_ = (("name", c_char_p), ("features", c_void_p))


_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "flite_synth_text": (c_void_p, [c_char_p, c_void_p]),
    "utt_wave": (POINTER(_Wave), [c_void_p]),
    "utt_relation": (c_void_p, [c_void_p, c_char_p]),
    "relation_head": (c_void_p, [c_void_p]),
    "item_next": (c_void_p, [c_void_p]),
    "item_daughter": (c_void_p, [c_void_p]),
    "item_feat_string": (c_char_p, [c_void_p, c_char_p]),
    "ffeature_float": (c_float, [c_void_p, c_char_p]),
    "feat_set_float": (None, [c_void_p, c_char_p, c_float]),
    "delete_utterance": (None, [c_void_p]),
}


@dataclass(frozen=True)
class FliteVoice(EngineVoice):
    """One of flite's speakers (VOICES) in somebody's manner."""

    person: str
    manner: Manner = AS_MADE
    speaker: Speaker = "caller"
    spellings: ClassVar[Spellings] = SPELLINGS

    @property
    def name(self) -> str:
        """As the corpus records it."""
        return f"flite:{self.person}"

    def sound(self, line: str, manner: Manner, rng: random.Random) -> Sound:
        """See EngineVoice."""
        features = {_STRETCH: manner.stretch * manner.tract, _SHIFT: manner.pitch}
        if self.person == "kal16":
            features |= {_SHIFT: 1.0, _MEAN: 110 * manner.pitch, _DEVIATION: 15 * manner.swing}
        samples, rate, tokens = synthesise(self.person, line, features, rng.getrandbits(31))
        return samples / 32768, rate, tokens


def synthesise(
    person: str, line: str, features: dict[bytes, float], seed: int
) -> tuple[npt.NDArray[np.int16], int, list[Timed]]:
    """Samples int16 [N], their rate, and every token with its start and end in seconds."""
    lib, voice = _library(), _voice(person)
    for name, value in features.items():
        lib.feat_set_float(voice.contents.features, name, value)
    _c().srand(seed)  # flite's noise excitation is drawn from the C library's generator
    utterance = lib.flite_synth_text(line.encode("ascii"), ctypes.cast(voice, c_void_p))
    if not utterance:
        raise VoiceError(f'flite could not say "{line}"')
    wave = lib.utt_wave(utterance).contents
    samples = np.ctypeslib.as_array(wave.samples, (wave.count,)).copy()
    rate = int(wave.rate)
    tokens: list[Timed] = []
    token = lib.relation_head(lib.utt_relation(utterance, b"Token"))
    while token:
        start = end = -1.0
        word = lib.item_daughter(token)
        while word:
            end = float(lib.ffeature_float(word, _LAST))
            start = float(lib.ffeature_float(word, _FIRST)) if start < 0 else start
            word = lib.item_next(word)
        if end >= 0:
            tokens.append((lib.item_feat_string(token, b"name").decode(), start, end))
        token = lib.item_next(token)
    lib.delete_utterance(utterance)
    return samples, rate, tokens


def timed_by(
    person: str, samples: npt.NDArray[Any], rate: int, line: str, stretch: float
) -> list[Timed]:
    """Times of the line's tokens in `samples` [N], carried over from `person`, who says it too.

    Nothing warps silence well, so the first and the last are cut back to where there is sound: when
    a turn ends is what an agent learns to hear.
    """
    known, known_rate, times = synthesise(person, line, {_STRETCH: stretch}, 1)
    tokens = carried_over(samples, rate, known / 32768, known_rate, times)
    loudness = np.abs(samples)
    loud = np.flatnonzero(loudness > _AUDIBLE * loudness.max(initial=0.0)) / rate
    if tokens and len(loud):
        text, start, end = tokens[0]
        tokens[0] = text, min(max(start, float(loud[0])), end), end
        text, start, end = tokens[-1]
        tokens[-1] = text, start, max(min(end, float(loud[-1])), start)
    return tokens


def _load(name: str, mode: int = ctypes.DEFAULT_MODE) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(name, mode=mode)
    except OSError as error:
        raise VoiceError(f"flite's library {name} is not installed; run: {INSTALL}") from error


@cache
def _c() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    libc.srand.argtypes = [c_uint]
    return libc


@cache
def _library() -> ctypes.CDLL:
    lib = _load("libflite.so.1", ctypes.RTLD_GLOBAL)
    for part in ("usenglish", "cmulex"):  # the voices look these up by symbol
        _load(f"libflite_{part}.so.1", ctypes.RTLD_GLOBAL)
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    lib.flite_init()
    return lib


@cache
def _voice(person: str) -> Any:
    _library()
    register = getattr(_load(f"libflite_cmu_us_{person}.so.1"), f"register_cmu_us_{person}")
    register.restype, register.argtypes = POINTER(_Voice), [c_char_p]
    return register(None)
