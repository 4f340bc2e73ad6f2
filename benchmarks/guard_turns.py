"""Callers' turns for the guard's benchmarks: spoken by voices kept from training, or recorded.

In: a scenario and a seed, or a folder with manifest.jsonl (`path`, `slots`, perhaps `text`). Out:
sounds with what a right agent makes of them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.audio.io import read
from antiphon.corpus.calls import Call
from antiphon.corpus.grammar import plain
from antiphon.corpus.order import fold
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.voices import Voices
from antiphon.evaluation.stimuli.maker import Maker, Said
from antiphon.runtime.events import CallEvent, Samples
from antiphon.runtime.latency import speech_end

_WAYS = 16  # drawings of a reply in each tone


@dataclass(frozen=True)
class CallerTurn:
    """What somebody says to the agent. `call`, `slots`: what a right agent makes of it; `replies`:
    what it says, plain, where that is known."""

    name: str
    samples: Samples
    text: str
    call: Call | None = None
    slots: dict[str, str] | None = None
    replies: frozenset[str] = frozenset()

    @property
    def end(self) -> float:
        """Where the speech ends, seconds."""
        return speech_end(self.samples) or len(self.samples) / SAMPLE_RATE

    def right(self, calls: Sequence[CallEvent], scenario: Scenario, said: str) -> bool:
        """Whether these calls, and what the agent said, plain, are what the caller wanted."""
        if self.replies and said not in self.replies:
            return False
        if self.slots is not None:
            items = (fold(calls, scenario) or {"items": []})["items"]
            return len(items) == 1 and scenario.manifest_slots(items[0]) == self.slots
        made = [(call.name, call.arguments) for call in calls]
        return made == ([] if self.call is None else [(self.call.name, self.call.arguments)])


class Speakers:
    """Strangers to training who call a scenario's line. Needs the voices' engines."""

    def __init__(self, scenario: Scenario, voices: Voices, folder: Path, seed: int) -> None:
        self._maker, self._folder, self._seed = Maker(scenario, voices, folder, seed), folder, seed

    def ask(self, number: int, intents: Sequence[str], name: str = "turn") -> CallerTurn:
        """A sentence of one of these intents that training has not seen."""
        rng = random.Random(f"{self._seed} {name} {number}")
        said = self._maker.say(list(intents), rng)
        turn = self._spoken(f"{name}{number}", said.text, rng, said.call)
        return replace(turn, replies=frozenset(self._replies(said)))

    def _replies(self, said: Said) -> Iterator[str]:
        """The ways to answer what leads to no call: a price, an hour."""
        scenario, spoken = self._maker.scenario, said.spoken
        if said.call is not None:
            return
        for tone in scenario.intents[said.intent].reply:
            for number in range(_WAYS):
                rng = random.Random(number)
                text = scenario.reply(said.intent, spoken.slots, spoken.items, [], rng, tone)
                yield plain(text or "")

    def speak(
        self, number: int, text: str, name: str = "text", call: Call | None = None
    ) -> CallerTurn:
        """A text, and the call that it wants."""
        rng = random.Random(f"{self._seed} {name} {number}")
        return self._spoken(f"{name}{number}", text, rng, call)

    def _spoken(
        self, name: str, text: str, rng: random.Random, call: Call | None = None
    ) -> CallerTurn:
        clip = self._maker.clip(name, self._maker.person(rng), text, rng)
        return CallerTurn(name, read(self._folder / clip.path), text, call)


@contextmanager
def speakers(scenario: Scenario, seed: int) -> Iterator[Speakers]:
    """Voices that are open while the context lasts."""
    with TemporaryDirectory() as folder, Voices() as voices:
        yield Speakers(scenario, voices, Path(folder), seed)


def recorded(folder: Path, seed: int) -> list[CallerTurn]:
    """A folder's recordings, shuffled."""
    lines = (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    entries: list[dict[str, Any]] = [json.loads(line) for line in lines]
    random.Random(seed).shuffle(entries)
    return [
        CallerTurn(
            entry["path"],
            read(folder / entry["path"]),
            str(entry.get("text") or " ".join(entry["slots"].values())),
            slots=entry["slots"],
        )
        for entry in entries
    ]


def with_silence(samples: Samples, seconds: float) -> Samples:
    """Whole frames, with so much silence after them."""
    whole = np.concatenate((samples, np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32)))
    return whole[: len(whole) // FRAME * FRAME]
