"""Phrases in the agent's own voice, made before they are needed.

In: an agent and the texts that a guard may say. Out: a recording of each. An agent does not say
every text well that it is given; with a judge several tries are read back and the best is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from antiphon.audio.io import read, write
from antiphon.corpus.edits import distance
from antiphon.errors import AntiphonError
from antiphon.guard.events import Judge
from antiphon.guard.replace import key_of
from antiphon.runtime.agent import Agent
from antiphon.runtime.events import Samples

GOOD = 0.1  # character errors at which no further try is made


class Phrase(NamedTuple):
    """A phrase, its recording, and how much of it the judge misread (None: there was no judge)."""

    text: str
    samples: Samples
    error: float | None


def prepare(
    agent: Agent,
    texts: Iterable[str],
    *,
    judge: Judge | None = None,
    tries: int = 6,
    style: str | None = None,
) -> list[Phrase]:
    """Say each text, about half a second of work a second of speech and try.

    style: one of `antiphon.STYLES`; a bundle that knows none says it in its own way.
    Raises AntiphonError for a text that the agent's voice cannot say.
    """
    if style is not None and not agent.engine().styled:
        style = None
    return [_best(agent, text, judge, tries, style) for text in dict.fromkeys(texts)]


def _best(agent: Agent, text: str, judge: Judge | None, tries: int, style: str | None) -> Phrase:
    best: Phrase | None = None
    for seed in range(tries if judge is not None else 1):
        samples = agent.say(text, seed=seed, style=style)
        if judge is None:
            return Phrase(text, samples, None)
        wanted = key_of(text)
        error = distance(judge(samples), wanted) / max(len(wanted), 1)
        if best is None or error < (best.error or 0.0):
            best = Phrase(text, samples, error)
        if error <= GOOD:
            break
    if best is None:
        raise AntiphonError(f"there was no try to say {text!r}; give at least one")
    return best


def save(phrases: Iterable[Phrase], folder: Path) -> None:
    """Write recordings as WAV files, named by their texts; `load` reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    for phrase in phrases:
        write(folder / f"{key_of(phrase.text)}.wav", phrase.samples)


def load(folder: Path) -> Mapping[str, Samples]:
    """Recordings by text, of a folder that `save` wrote, or somebody with a microphone. Raises
    AudioError for a file that is no recording."""
    return {path.stem: read(path) for path in sorted(folder.glob("*.wav"))}


def as_ready(phrases: Iterable[Phrase], *, worst: float = 0.5) -> dict[str, Samples]:
    """What a `Filter` takes: by text, those that the judge could read."""
    return {p.text: p.samples for p in phrases if p.error is None or p.error <= worst}
