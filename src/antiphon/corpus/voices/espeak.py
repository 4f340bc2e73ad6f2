"""espeak-ng's voices: formant synthesis, many accents, hard to understand, so used sparingly.

Word times come from the library's word events, ends from its pauses.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from antiphon.corpus.conversation import Speaker
from antiphon.corpus.voices.engine import EngineVoice
from antiphon.corpus.voices.manner import AS_MADE, Manner
from antiphon.corpus.voices.speech import CASUAL, Sound, Spellings, Timed
from antiphon.errors import VoiceError

ACCENTS = {  # name here -> voice of espeak-ng
    "en-us": "en-us",
    "en-gb": "gmw/en",
    "en-gb-scotland": "en-gb-scotland",
    "en-gb-x-rp": "en-gb-x-rp",
    "en-029": "en-029",
    "en-us-nyc": "en-us-nyc",
    "en-gb-x-gbclan": "en-gb-x-gbclan",
}
VARIANTS = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4", "f5", "klatt2", "klatt4"),
    *("steph", "linda", "Andy", "Gene", "max", "Annie", "anika"),
)
HELD_OUT_ACCENT = "en-gb-scotland"
HELD_OUT_VARIANTS = ("f5", "m7", "klatt4")
INSTALL = "apt-get install espeak-ng"

SPELLINGS = CASUAL | {"latte": (0.2, ("lah tay",))}

_WORDS_PER_MINUTE = 172  # espeak-ng's own tempo
_SLOWEST, _FASTEST = 135, 240
_TIMEOUT = 60  # s


@dataclass(frozen=True)
class EspeakVoice(EngineVoice):
    """An accent (ACCENTS) with a variant (VARIANTS) in somebody's manner."""

    accent: str
    variant: str
    manner: Manner = AS_MADE
    speaker: Speaker = "caller"
    spellings: ClassVar[Spellings] = SPELLINGS

    @property
    def name(self) -> str:
        """As the corpus records it."""
        return f"espeak:{self.accent}+{self.variant}"

    def sound(self, line: str, manner: Manner, rng: random.Random) -> Sound:
        """See EngineVoice."""
        speed = _WORDS_PER_MINUTE / (manner.stretch * manner.tract)
        ask = {
            "text": line,
            "voice": f"{ACCENTS[self.accent]}+{self.variant}",
            "speed": min(_FASTEST, max(_SLOWEST, speed)),
            "pitch": min(95, max(5, 50 + 150 * (manner.pitch - 1))),
            "range": min(99, max(5, 50 * manner.swing)),
        }
        head, pcm = _ask(ask)
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
        tokens = _tokens(line, head["events"], 1000 * len(samples) / head["rate"])
        return samples, head["rate"], tokens


def _ask(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    program = Path(__file__).with_name("espeak_once.py")
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(program)],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise VoiceError(f'espeak-ng took over {_TIMEOUT} s for "{request["text"]}"') from error
    if b"libespeak-ng" in done.stderr:
        raise VoiceError(f"espeak-ng's library is not installed; run: {INSTALL}")
    if done.returncode or b"\n" not in done.stdout:
        why = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
        raise VoiceError(f'espeak-ng could not say "{request["text"]}": {why[0]}')
    head, _, pcm = done.stdout.partition(b"\n")
    return json.loads(head), pcm


def _tokens(line: str, events: list[list[Any]], length: float) -> list[Timed]:
    """Every token of the line with its times (s); events at ms, positions from 1, length in ms.

    espeak-ng says some pairs ("of the") as one word with one event: they share its span.
    """
    pauses = [time for kind, _, time in events if kind == "_"]
    starts = {position - 1: time for kind, position, time in events if kind == 1}
    groups: list[tuple[float, list[str]]] = []
    at = 0
    for token in line.split():
        time = next((starts[i] for i in range(at, at + len(token)) if i in starts), None)
        if time is None and groups:
            groups[-1][1].append(token)
        else:
            groups.append((time or 0.0, [token]))
        at += len(token) + 1
    tokens: list[Timed] = []
    for index, (start, members) in enumerate(groups):
        following = groups[index + 1][0] if index + 1 < len(groups) else length
        end = min([p for p in pauses if start < p < following] or [following])
        per_letter = (end - start) / sum(len(member) for member in members)
        for member in members:
            tokens.append((member, start / 1000, (start + per_letter * len(member)) / 1000))
            start += per_letter * len(member)
    return tokens
