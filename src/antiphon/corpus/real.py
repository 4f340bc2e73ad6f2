"""Real recordings that stand in for callers: read from manifests, cut to their speech.

A manifest is jsonl: "path", relative to the manifest, and perhaps "text".
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.io import read
from antiphon.corpus.conversation import Speaker, Word
from antiphon.corpus.tokenizer import normalise
from antiphon.corpus.voices.speech import Speech, Timed, faded, levelled
from antiphon.errors import AudioError, CorpusError

_LONGEST = 20.0  # s; a caller's turn is not longer
_MOST_WORDS = 16  # of a sentence that somebody says
_SENTENCE = re.compile(r"[a-z][a-z', ]*[a-z]")
_LOUD = 10**-3.0  # of the loudest 10 ms: what counts as speech


@dataclass(frozen=True)
class Recording:
    """One clip; text: normalised words, "" where nobody wrote down what is said."""

    path: Path
    text: str

    def speech(self) -> Speech:
        """The clip as speech, its words (if known) spread over it by their letters."""
        samples = _clip(self.path)
        frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
        power = np.square(frames).mean(axis=1)
        loud = np.flatnonzero(power > power.max() * _LOUD)
        start, end = loud[0] / 100, (loud[-1] + 1) / 100
        first = max(0, round((start - 0.05) * SAMPLE_RATE))
        last = round((end + 0.1) * SAMPLE_RATE)
        start, end = start - first / SAMPLE_RATE, end - first / SAMPLE_RATE
        words = tuple(spread(self.text.split(), start, end))
        return Speech(faded(samples[first:last]), words, start, end)


def spread(words: Sequence[str], start: float, end: float) -> list[Timed]:
    """Words spread over start to end (s), each as long as its letters."""
    total = sum(len(word) + 1 for word in words)
    out: list[Timed] = []
    for word in words:
        length = (end - start) * (len(word) + 1) / total
        out.append((word, start, start + length))
        start, total = start + length, total - len(word) - 1
    return out


def as_words(timed: Sequence[Timed], speaker: Speaker) -> list[Word]:
    """The same as corpus words."""
    return [
        Word(text=text, start=round(start, 3), end=round(end, 3), speaker=speaker)
        for text, start, end in timed
    ]


def read_recordings(manifests: Sequence[Path]) -> list[Recording]:
    """The clips of all manifests. Raises CorpusError naming the manifest and the line."""
    recordings: list[Recording] = []
    for manifest in manifests:
        try:
            lines = manifest.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise CorpusError(f"{manifest} is no readable manifest: {error}") from error
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                path = manifest.parent / row["path"]
            except (ValueError, KeyError, TypeError) as error:
                raise CorpusError(f'{manifest}:{number}: expected {{"path": ...}}') from error
            if not path.exists():
                raise CorpusError(f"{manifest}:{number}: {path} does not exist")
            if float(row.get("duration") or 0.0) <= _LONGEST:
                recordings.append(Recording(path, normalise(str(row.get("text") or ""))))
    return recordings


def read_sentences(files: Sequence[Path]) -> list[str]:
    """The sentences of all text files, one a line, as voices take them: what has digits, other
    signs than letters and commas, or more than so many words is left out.

    Raises CorpusError naming the file.
    """
    sentences: list[str] = []
    for path in files:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise CorpusError(f"{path} is no readable text file: {error}") from error
        plain = [line.strip().lower() for line in lines]
        short = (line for line in plain if len(line.split()) <= _MOST_WORDS)
        found = [line for line in short if _SENTENCE.fullmatch(line)]
        if not found:
            raise CorpusError(
                f"{path} has no sentence of letters alone, of {_MOST_WORDS} words at most; "
                "it needs one a line"
            )
        sentences += found
    return sentences


@lru_cache(maxsize=128)
def _clip(path: Path) -> np.ndarray:
    try:
        return levelled(read(path, max_seconds=4 * _LONGEST))
    except AudioError as error:
        raise CorpusError(str(error)) from error
