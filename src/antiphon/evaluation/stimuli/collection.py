"""A set of stimuli on disk: `set.json`, a stimulus a line in `stimuli.jsonl`, and `clips/`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from antiphon.audio.io import read
from antiphon.errors import CorpusError
from antiphon.evaluation.conditions import VOICE
from antiphon.evaluation.script import Stimulus
from antiphon.runtime.events import Samples

FACTS, STIMULI = "set.json", "stimuli.jsonl"
Size = Literal["quick", "full"]


class SetFacts(BaseModel):
    """What a set is made of; a build into its folder must be of the same."""

    model_config = ConfigDict(frozen=True)

    format: int
    """Raised when the same seed no longer gives the same bytes."""
    scenario: str
    scenario_sha256: str
    seed: int
    size: Size
    suites: tuple[str, ...]
    voices: str = "test"
    """The group of `corpus.voices`, which shares no speaker with training's."""
    training: tuple[str, ...] = ()
    """Training corpora (the digests of their indices) whose sentences were avoided."""
    left_out: dict[str, str] = {}
    """Kinds that the scenario has no sentences for, and why."""


class StimulusSet:
    """The stimuli of a set and their clips. Build one with `build`, or open one."""

    def __init__(self, folder: Path, facts: SetFacts, stimuli: Iterable[Stimulus]) -> None:
        self.folder, self.facts = folder, facts
        self.stimuli: tuple[Stimulus, ...] = tuple(stimuli)
        self._sounds: dict[str, Samples] = {}

    @classmethod
    def open(cls, folder: Path) -> StimulusSet:
        """The set in `folder`. Raises CorpusError where there is none, or half of one."""
        return cls(folder, read_facts(folder), read_stimuli(folder / STIMULI))

    def joined(self, more: Iterable[Stimulus]) -> StimulusSet:
        """This set with others beside it, of recordings say. Raises CorpusError on a second id."""
        both = StimulusSet(self.folder, self.facts, (*self.stimuli, *more))
        seen: set[str] = set()
        for stimulus in both.stimuli:
            if stimulus.id in seen:
                raise CorpusError(f"two stimuli are called {stimulus.id}; names must differ")
            seen.add(stimulus.id)
        return both

    def load(self, path: str) -> Samples:
        """A clip, float32 [N] at 16 kHz; path is relative to the set, or absolute. Remembered.

        Raises AudioError where it cannot be read.
        """
        if path not in self._sounds:
            self._sounds[path] = read(self.folder / path)
        return self._sounds[path]

    def voice(self, stimulus: Stimulus) -> float:
        """How loud the caller speaks, as `conditions.effect` wants to know: the effective value
        of the loud parts of the turns; that of made voices where nobody speaks."""
        turns = [step.clip for step in stimulus.steps if step.kind in ("turn", "barge_in")]
        sounds = [self.load(clip.path) for clip in turns]
        return loudness(np.concatenate(sounds)) if sounds else VOICE


def loudness(samples: Samples) -> float:
    """Effective value of the 10 ms pieces within 25 dB of the loudest: speech without pauses."""
    pieces = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    power = np.square(pieces).mean(axis=1)
    loud = power[power > power.max(initial=0.0) * 10**-2.5]
    return float(np.sqrt(loud.mean())) if len(loud) else VOICE


def read_facts(folder: Path) -> SetFacts:
    """`set.json`. Raises CorpusError."""
    try:
        return SetFacts.model_validate_json((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{folder} holds no set of stimuli ({FACTS} cannot be read)") from error
    except ValidationError as error:
        raise CorpusError(f"{folder / FACTS} is of another format; build the set anew") from error


def read_stimuli(path: Path) -> list[Stimulus]:
    """The stimuli of a file, one a line. Raises CorpusError naming the line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path} cannot be read; build the set to its end") from error
    found: list[Stimulus] = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(Stimulus.model_validate_json(line))
        except ValidationError as error:
            raise CorpusError(f"{path}:{number}: is no stimulus; build the set anew") from error
    return found
