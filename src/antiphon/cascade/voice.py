"""The cascade's voice: flite where it is installed, else espeak-ng from its package.

In: a reply's text. Out: speech with the time of every word. flite is the library of the system
(a clearer voice, 30 ms a sentence); espeakng-loader comes with pip on every platform.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from antiphon.corpus.conversation import Speaker
from antiphon.corpus.voices import espeak_once
from antiphon.corpus.voices.flite import FliteVoice
from antiphon.corpus.voices.speech import Speech, Timed, Voice, bare, finish, sayable
from antiphon.errors import VoiceError

Engine = Literal["auto", "flite", "espeak"]

_PERSON = "slt"
_TIMEOUT = 20  # s
_WORD = 1  # espeak_once's mark of a word event


def open_voice(engine: Engine = "auto") -> Voice:
    """The agent's voice. Raises VoiceError where the engine asked for is not there."""
    if engine != "espeak":
        try:
            voice = FliteVoice(_PERSON, speaker="agent")
            voice.speak("ready", random.Random(0))  # the library is loaded when it first speaks
            return voice
        except VoiceError:
            if engine == "flite":
                raise
    voice = PackagedEspeak()
    voice.speak("ready", random.Random(0))
    return voice


@dataclass(frozen=True)
class PackagedEspeak:
    """espeak-ng as espeakng-loader brings it; each utterance is a process of its own, 40 ms."""

    speed: int = 165  # words a minute
    pitch: int = 45
    speaker: Speaker = "agent"

    @property
    def name(self) -> str:
        """As voices are named."""
        return "espeak:packaged"

    def speak(self, text: str, rng: random.Random, tone: str = "neutral") -> Speech:
        """Say the text, alike every time. Raises VoiceError without the package."""
        text = sayable(text)
        ask = {"text": text, "voice": "en-us", "speed": self.speed, "pitch": self.pitch}
        head, pcm = _ask({**ask, "range": 50})
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
        if not len(samples):
            raise VoiceError(f'espeak-ng gave no sound for "{text}"')
        length = len(samples) / head["rate"]
        return finish(samples, head["rate"], _timed(text, head["events"], length))


def _ask(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    try:
        loader: Any = importlib.import_module("espeakng_loader")
    except ImportError:
        raise VoiceError(
            "there is no voice to speak with; run: pip install 'antiphon[cascade]' "
            "(or apt-get install flite)"
        ) from None
    folder = str(Path(loader.get_library_path()).parent)
    where = {"LD_LIBRARY_PATH": folder, "ESPEAK_DATA_PATH": str(loader.get_data_path())}
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(espeak_once.__file__)],
        input=json.dumps(request).encode(),
        capture_output=True,
        timeout=_TIMEOUT,
        check=False,
        env={**os.environ, **where},
    )
    if done.returncode or b"\n" not in done.stdout:
        raise VoiceError(f'espeak-ng could not say "{request["text"]}"')
    head, _, pcm = done.stdout.partition(b"\n")
    return json.loads(head), pcm


def _timed(text: str, events: list[list[Any]], length: float) -> list[Timed]:
    """Every word with its times (s); a word without an event of its own shares the one before."""
    starts = {position - 1: ms / 1000 for kind, position, ms in events if kind == _WORD}
    words: list[tuple[str, float]] = []
    at, time = 0, 0.0
    for token in text.split():
        time = next((starts[i] for i in range(at, at + len(token)) if i in starts), time)
        words.append((bare(token), time))
        at += len(token) + 1
    ends = [start for _, start in words[1:]] + [length]
    return [(word, start, end) for (word, start), end in zip(words, ends, strict=True)]
