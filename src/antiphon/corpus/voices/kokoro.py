"""Kokoro-82M: fifty-four natural speakers, and those between any two of them.

Slow (a second of speech takes about a second of a core) and large, so it is for clips that the
ears learn from, and it is not installed: `PLACE` says where its files lie (`make kokoro` fetches
them). Its times are carried over from a voice of flite that says the same.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from antiphon.corpus.conversation import Speaker
from antiphon.corpus.voices.engine import EngineVoice
from antiphon.corpus.voices.flite import timed_by
from antiphon.corpus.voices.manner import AS_MADE, Manner
from antiphon.corpus.voices.phonemes import ACCENTS, phonemes
from antiphon.corpus.voices.speech import CASUAL, Sound, Spellings
from antiphon.errors import VoiceError

PLACE = "ANTIPHON_KOKORO"  # names the folder of kokoro.onnx and voices.npz; else .kokoro
HELD_OUT = ("af_bella", "am_puck", "bf_emma", "bm_george", "hf_beta", "hm_psi", "im_nicola")
SPEAKERS = (
    *("af_alloy", "af_aoede", "af_heart", "af_jessica", "af_kore", "af_nicole", "af_nova"),
    *("af_river", "af_sarah", "af_sky", "am_adam", "am_echo", "am_eric", "am_fenrir", "am_liam"),
    *("am_michael", "am_onyx", "am_santa", "bf_alice", "bf_isabella", "bf_lily", "bm_daniel"),
    *("bm_fable", "bm_lewis", "ef_dora", "em_alex", "em_santa", "ff_siwis", "hf_alpha"),
    *("hm_omega", "if_sara", "jf_alpha", "jf_gongitsune", "jf_nezumi", "jf_tebukuro", "jm_kumo"),
    *("pf_dora", "pm_alex", "pm_santa", "zf_xiaobei", "zf_xiaoni", "zf_xiaoxiao", "zf_xiaoyi"),
    *("zm_yunjian", "zm_yunxi", "zm_yunxia", "zm_yunyang"),
)
_RATE = 24_000
_TIMED_BY = "rms"
# A speaker's letter tells the language of the recordings: whose accent it may have.
_ACCENT = {"a": "us", "b": "gb", "e": "es", "p": "es", "i": "es", "f": "fr", "h": "in", "z": "zh"}


@dataclass(frozen=True)
class KokoroVoice(EngineVoice):
    """A speaker, or somebody half way between two ("am_adam+bf_alice"), in a manner."""

    person: str
    manner: Manner = AS_MADE
    speaker: Speaker = "caller"
    spellings: ClassVar[Spellings] = CASUAL

    @property
    def name(self) -> str:
        """As the corpus records it."""
        return f"kokoro:{self.person}"

    def sound(self, line: str, manner: Manner, rng: random.Random) -> Sound:
        """See EngineVoice. Pitch cannot be asked for: half of it is made with the tract."""
        accent = _ACCENT.get(self.person[0], "us")
        foreign = ACCENTS[accent] and rng.random() < 0.5
        said = phonemes(line, accent, rng.uniform(0.2, 0.8) if foreign else 0.0, rng)
        raised = manner.pitch**0.5
        stretch = manner.stretch * manner.tract
        samples = _spoken(self.person, said, min(2.0, max(0.5, 1 / (stretch * raised))))
        rate = round(_RATE * raised)
        return samples, rate, timed_by(_TIMED_BY, samples, rate, line, stretch)


def anybody(rng: random.Random) -> str:
    """One of SPEAKERS, or as often somebody between two."""
    first, second = rng.choice(SPEAKERS), rng.choice(SPEAKERS)
    return first if first == second or rng.random() < 0.5 else f"{first}+{second}"


def known(person: str) -> bool:
    """Whether it names one of the speakers, or two."""
    names = person.split("+")
    return 0 < len(names) <= 2 and all(name in (*SPEAKERS, *HELD_OUT) for name in names)


def _spoken(person: str, said: str, speed: float) -> npt.NDArray[np.float32]:
    """Samples [N] of phonemes."""
    session, styles, vocabulary = engine()
    tokens = [vocabulary[c] for c in said if c in vocabulary][:508]
    style = np.mean([styles[name].reshape(-1, 256)[len(tokens)] for name in person.split("+")], 0)
    given = {
        "tokens": np.asarray([[0, *tokens, 0]], np.int64),
        "style": style[None].astype(np.float32),
        "speed": np.asarray([speed], np.float32),
    }
    return np.asarray(session.run(None, given)[0], np.float32).ravel()


@cache
def engine() -> tuple[Any, Any, dict[str, int]]:
    """The network, every speaker's styles by length of the line, and the phonemes' numbers.

    Raises VoiceError where `PLACE` does not hold them.
    """
    folder = Path(os.environ.get(PLACE, ".kokoro"))
    model, voices = folder / "kokoro.onnx", folder / "voices.npz"
    if not (model.exists() and voices.exists()):
        raise VoiceError(
            f"{folder} has no kokoro.onnx and voices.npz; run `make kokoro`, or set {PLACE}"
        )
    import onnxruntime

    from antiphon.corpus.voices.hibari import vocabulary

    ort: Any = onnxruntime
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        styles = np.load(voices)
    except Exception as error:  # onnxruntime's and numpy's have no base in common
        raise VoiceError(
            f"{folder}: kokoro.onnx or voices.npz is broken; remove both and run `make kokoro`"
        ) from error
    return session, styles, vocabulary()
