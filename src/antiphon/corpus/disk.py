"""A corpus on disk, in the layout that moshi-finetune reads.

    index.jsonl            {"path": "000/000000.flac", "duration": 21.44} a line
    000/000000.flac        16 kHz, 16 bit; left the agent, right the caller
    000/000000.json        {"alignments": [[word, [start, end], speaker], ...], "events": [...]}

500 conversations a folder. moshi-finetune learns the words of "SPEAKER_MAIN", our agent, and
ignores other speakers and keys (its `finetune/data/interleaver.py`). Files appear whole or not at
all, and the index only ever lists whole ones, so a corpus can be read while it is being built.
"""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import soundfile as sf
from pydantic import BaseModel, ConfigDict, ValidationError

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.io import read as read_audio
from antiphon.corpus.conversation import Conversation, Event, Speaker, Word
from antiphon.errors import AudioError, CorpusError

INDEX = "index.jsonl"
SHARD = 500  # conversations a folder
LABELS: dict[Speaker, str] = {"agent": "SPEAKER_MAIN", "caller": "SPEAKER_CALLER"}

_SLACK = 0.1  # s that a time may lie past the end of the audio: rounding, decay


class Entry(BaseModel):
    """A line of the index: the recording, relative to the index, and its length in seconds."""

    model_config = ConfigDict(frozen=True)

    path: str
    duration: float


def place(index: int) -> str:
    """Where conversation `index` lies, relative to the corpus."""
    return f"{index // SHARD:03d}/{index:06d}.flac"


def write_conversation(
    folder: Path, index: int, conversation: Conversation, facts: dict[str, Any] | None = None
) -> Entry:
    """Write conversation number `index`, the audio first; `facts` are further keys of its JSON.

    Raises CorpusError when the disk is full or the folder cannot be written.
    """
    entry = Entry(path=place(index), duration=round(conversation.duration, 3))
    pcm = np.clip(np.round(conversation.audio.T * 32768), -32768, 32767).astype(np.int16)
    sound = io.BytesIO()
    sf.write(sound, pcm, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    text = {
        "alignments": [[w.text, [w.start, w.end], LABELS[w.speaker]] for w in conversation.words],
        "events": [event.model_dump() for event in conversation.events],
        "duration": entry.duration,
        **(facts or {}),
    }
    path = folder / entry.path
    put(path, sound.getvalue())
    put(path.with_suffix(".json"), json.dumps(text, ensure_ascii=False).encode())
    return entry


def written(folder: Path, index: int) -> Entry | None:
    """Conversation `index` if it is whole on disk: its JSON is written last."""
    path = folder / place(index)
    if not (path.exists() and path.with_suffix(".json").exists()):
        return None
    return Entry(path=place(index), duration=float(_json(path.with_suffix(".json"))["duration"]))


def put(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. Raises CorpusError, a full disk said as such."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise CorpusError(
                f"the disk is full: {path} could not be written; what was finished before it "
                "stays, so free some space and run the same command again"
            ) from error
        raise CorpusError(f"{path} could not be written: {error.strerror or error}") from error


def write_index(folder: Path, entries: Iterable[Entry]) -> None:
    """Replace the corpus's index."""
    rows = "".join(json.dumps(entry.model_dump()) + "\n" for entry in entries)
    put(folder / INDEX, rows.encode())


class Corpus(Sequence[Conversation]):
    """The conversations of an index, each read from disk when it is asked for.

    Raises CorpusError, naming the file, when a conversation's JSON and audio disagree.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """path: a folder with index.jsonl (or train/index.jsonl), or an index itself."""
        self.path = _find(Path(path))
        self.entries = read_index(self.path)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Corpus:
        """The corpus at `path`; the same as `Corpus(path)`."""
        return cls(path)

    @property
    def duration(self) -> float:
        """Seconds of all conversations."""
        return sum(entry.duration for entry in self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Conversation:  # type: ignore[override]
        entry = self.entries[index]
        return read_conversation(self.path.parent / entry.path, entry.duration)

    def __iter__(self) -> Iterator[Conversation]:
        for index in range(len(self)):
            yield self[index]


def read_index(path: Path) -> list[Entry]:
    """The lines of an index. Raises CorpusError naming the line that is wrong."""
    entries: list[Entry] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path} is no readable index: {error}") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                entries.append(Entry.model_validate_json(line))
            except ValidationError as error:
                raise CorpusError(
                    f'{path}:{number}: expected {{"path": ..., "duration": ...}}'
                ) from error
    return entries


def read_conversation(path: Path, duration: float | None = None) -> Conversation:
    """A recording and the JSON beside it; `duration` (s) is what an index says of it.

    Audio of any rate comes back at 16 kHz. Words without turn events are left so (`turns_of`).
    Raises CorpusError when a file is missing or broken, or the two disagree.
    """
    try:
        audio = read_audio(path, mono=False)
    except AudioError as error:
        raise CorpusError(str(error)) from error
    if audio.ndim != 2 or audio.shape[0] != 2:
        count = 1 if audio.ndim == 1 else audio.shape[0]
        raise CorpusError(f"{path}: a conversation has 2 channels, this file has {count}")
    seconds = audio.shape[1] / SAMPLE_RATE
    if duration is not None and abs(seconds - duration) > _SLACK:
        raise CorpusError(f"{path}: lasts {seconds:.2f} s, its index says {duration:.2f} s")
    notes = path.with_suffix(".json")
    content = _json(notes)
    try:
        words = tuple(_word(row) for row in content.get("alignments", []))
        events = tuple(Event.model_validate(row) for row in content.get("events", []))
    except (ValidationError, ValueError, TypeError, IndexError, KeyError) as error:
        raise CorpusError(f"{notes}: a word or an event is not of the format: {error}") from error
    for word in words:
        _inside(notes, f'the word "{word.text}"', word.start, word.end, seconds)
    for event in events:
        _inside(notes, f"the event {event.kind}", event.start, event.end, seconds)
    return Conversation(audio, words, events)


def _find(path: Path) -> Path:
    if path.is_dir():
        for candidate in (path / INDEX, path / "train" / INDEX):
            if candidate.exists():
                return candidate
        raise CorpusError(f"{path} holds no corpus ({INDEX} is missing); build or import one")
    if not path.exists():
        raise CorpusError(f"{path} does not exist; build or import a corpus first")
    return path


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CorpusError(f"{path} is missing: the audio has no words beside it") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CorpusError(f"{path} is not readable JSON: {error}") from error
    if not isinstance(content, dict):
        raise CorpusError(f"{path}: expected a JSON object with alignments and events")
    return cast("dict[str, Any]", content)


def _word(row: Any) -> Word:
    """One alignment; any label but "SPEAKER_MAIN" is the caller's."""
    text, (start, end), label = row
    speaker: Speaker = "agent" if label == LABELS["agent"] else "caller"
    return Word(text=text, start=start, end=end, speaker=speaker)


def _inside(path: Path, what: str, start: float, end: float, seconds: float) -> None:
    if not (-_SLACK <= start <= end + 1e-6 and end <= seconds + _SLACK):
        raise CorpusError(
            f"{path}: {what} from {start:.2f} to {end:.2f} s does not fit into "
            f"{seconds:.2f} s of audio"
        )
