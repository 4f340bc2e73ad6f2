"""Voices without engines: a tenth of a second of tone a word, told apart by their pitch."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import numpy as np

from antiphon.corpus.scenario import Scenario, load_scenario
from antiphon.corpus.voices.speech import Speech
from antiphon.evaluation.script import Clip, Step, Stimulus
from antiphon.evaluation.stimuli.collection import SetFacts, StimulusSet

CAFE = Path(__file__).parents[3] / "scenarios" / "cafe.yaml"
NAMES = ("flite:kal16", "festival:kal_diphone", "espeak:en-gb-scotland+m3")


class Tone:
    """A voice of one pitch; its tone of voice is its tempo."""

    speaker = "caller"

    def __init__(self, name: str) -> None:
        self.name = name

    def speak(self, text: str, rng: random.Random, tone: str = "neutral") -> Speech:
        length = {"annoyed": 0.08, "hesitant": 0.12}.get(tone, 0.1) * rng.uniform(0.99, 1.01)
        words = [word.strip(",.?!") for word in text.split()]
        times = tuple((w, i * length, (i + 1) * length) for i, w in enumerate(words))
        time = np.arange(round(len(words) * length * 16_000)) / 16_000
        hertz = 150 + zlib.crc32(self.name.encode()) % 100
        sound = (0.1 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)
        return Speech(sound, times, 0.0, len(words) * length)


class Tones:
    """All voices."""

    def __enter__(self) -> Tones:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def caller(self, group: str, rng: random.Random) -> Tone:
        assert group == "test"
        return Tone(rng.choice(NAMES))


def cafe() -> Scenario:
    return load_scenario(CAFE)


def one(*texts: str, voice: str = NAMES[0], kinds: tuple[str, ...] = ()) -> StimulusSet:
    """A set of one stimulus that says these; `kinds` are those of its steps, turns by default."""
    steps = tuple(
        Step(
            clip=Clip(path="clips/a.flac", text=text, voice=voice, start=0, end=1),
            kind=(kinds or ("turn",) * len(texts))[index],
        )
        for index, text in enumerate(texts)
    )
    stimulus = Stimulus(id="task/order/000", suite="task", kind="order", steps=steps)
    facts = SetFacts(
        format=1, scenario="cafe", scenario_sha256="", seed=0, size="quick", suites=("task",)
    )
    return StimulusSet(Path(), facts, (stimulus,))
