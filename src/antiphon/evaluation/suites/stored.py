"""Trials that leave their sound on disk: hundreds of them can be measured at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.io import read
from antiphon.corpus.conversation import Conversation
from antiphon.evaluation.trial import Trial, load

_KEPT = 4  # recordings in memory: a metric looks at one trial several times, then at the next


class StoredConversation(Conversation):
    """A conversation whose sound is read when it is asked for."""

    def __init__(self, path: Path, whole: Conversation) -> None:
        # Frozen: a field is set as dataclasses themselves do it.
        for name, value in (
            ("words", whole.words),
            ("events", whole.events),
            ("_path", path),
            ("_samples", whole.audio.shape[1]),
        ):
            object.__setattr__(self, name, value)

    def __getattribute__(self, name: str) -> Any:
        if name == "audio":
            return _sound(object.__getattribute__(self, "_path"))
        return object.__getattribute__(self, name)

    @property
    def duration(self) -> float:
        """Seconds, without reading the sound."""
        return object.__getattribute__(self, "_samples") / SAMPLE_RATE


def load_all(folder: Path, sounds: Iterable[str]) -> list[Trial]:
    """The trials whose recordings are named, relative to `folder`. Raises CorpusError."""
    return [_without_sound(folder / sound) for sound in sounds]


def _without_sound(path: Path) -> Trial:
    trial = load(path)
    return replace(trial, conversation=StoredConversation(path, trial.conversation))


@lru_cache(maxsize=_KEPT)
def _sound(path: Path) -> npt.NDArray[np.float32]:
    return read(path, mono=False)
