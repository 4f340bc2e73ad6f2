"""What keeps stimuli apart from training: whose sentences and whose voices these are.

A corpus holds a whole dialogue in one split (`corpus.build.split_of`), by the words of its callers.
So a script is made such that the caller's words in it, as far as they have come at any of its
turns, are a dialogue of the test split; or they hold a sentence that the scenario's callers cannot
say at all. Given a training corpus, its own sentences are looked at too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antiphon.corpus.build import split_of
from antiphon.corpus.dialogue import Dialogue, Turn
from antiphon.corpus.disk import Corpus
from antiphon.corpus.voices import GROUPS
from antiphon.corpus.voices.espeak import HELD_OUT_ACCENT, HELD_OUT_VARIANTS
from antiphon.errors import CorpusError
from antiphon.evaluation.stimuli.reader import SentenceReader


def of_test(sentences: Sequence[str]) -> bool:
    """Whether a dialogue in which callers say these, in this order, is kept from training."""
    turns = (Turn(speaker="caller", text=text, intent="", gap=0.0) for text in sentences)
    return split_of(Dialogue(turns=tuple(turns), tail=0.0)) == "test"


def is_test_voice(name: str) -> bool:
    """Whether a voice, as a corpus names it, is of the test group and so not of training's."""
    if name in GROUPS["train"]:
        return False
    if not name.startswith("espeak:"):
        return name in GROUPS["test"]
    accent, _, variant = name.removeprefix("espeak:").partition("+")
    return accent == HELD_OUT_ACCENT or variant in HELD_OUT_VARIANTS


@dataclass(frozen=True)
class Trained:
    """What the callers of training corpora say, without punctuation and fillers, and in whose
    voices."""

    sentences: frozenset[str]
    voices: frozenset[str]


def trained(folders: Sequence[Path], reader: SentenceReader) -> Trained:
    """Read the notes (not the sound) of corpora. Raises CorpusError naming the file."""
    sentences: set[str] = set()
    voices: set[str] = set()
    for folder in folders:
        for data in _turns(folder):
            sentences.add(reader.bare(str(data.get("text", ""))))
            voices.add(str(data.get("voice", "")))
    return Trained(frozenset(sentences), frozenset(voices - {"", "recorded"}))


def _turns(folder: Path) -> Iterator[dict[str, Any]]:
    corpus = Corpus.open(folder)
    for entry in corpus.entries:
        path = (corpus.path.parent / entry.path).with_suffix(".json")
        try:
            events = json.loads(path.read_text(encoding="utf-8")).get("events", [])
            for event in events:
                if event["kind"] == "turn" and event["speaker"] == "caller":
                    yield event["data"]
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise CorpusError(f"{path}: is no notes of a conversation: {error}") from error
