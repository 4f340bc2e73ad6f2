"""A corpus as training reads it: one flat file of caller audio, one of the agent's codes.

Random crops of thousands of small FLAC files would keep a core busy decoding; a memory map
costs nothing. Conversations are appended as a corpus grows, so training can start early.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from antiphon.audio import FRAME
from antiphon.corpus.conversation import SPOKEN, Event, Word
from antiphon.corpus.disk import Corpus
from antiphon.errors import CorpusError

CALLER, AGENT, ITEMS = "caller.i16", "agent.i16", "items.jsonl"
CODES, PITCH = "codes.i16", "pitch.f16"


@dataclass(frozen=True)
class Item:
    """One prepared conversation: `frames` frames from `offset` on in the flat files."""

    offset: int
    frames: int
    words: tuple[Word, ...]
    events: tuple[Event, ...]

    def turns(self, speaker: str) -> Iterator[Event]:
        """The turns of one side, in order."""
        return (e for e in self.events if e.kind == "turn" and e.speaker == speaker)

    def spoken(self, speaker: str) -> Iterator[Event]:
        """All that one side says: its turns, and what it says beside the other's."""
        return (e for e in self.events if e.kind in SPOKEN and e.speaker == speaker)


def _line(item: Item, source: int) -> str:
    row: dict[str, Any] = {
        "source": source,
        "offset": item.offset,
        "frames": item.frames,
        "words": [word.model_dump() for word in item.words],
        "events": [event.model_dump() for event in item.events],
    }
    return json.dumps(row)


def read_items(folder: Path) -> list[Item]:
    """The prepared conversations of a folder.

    Raises:
        CorpusError: nothing was prepared there.
    """
    path = folder / ITEMS
    if not path.exists():
        raise CorpusError(f"{folder} holds no prepared corpus; run the recipe's corpus stage first")
    items: list[Item] = []
    for line in path.read_text().splitlines():
        row = json.loads(line)
        words = tuple(Word.model_validate(w) for w in row["words"])
        events = tuple(Event.model_validate(e) for e in row["events"])
        items.append(Item(row["offset"], row["frames"], words, events))
    return items


def prepare(
    corpus: Corpus, folder: Path, progress: Callable[[int, int], None] | None = None
) -> int:
    """Append the corpus's conversations that `folder` lacks; returns how many it holds.

    A kill leaves at most bytes past the last listed item, which the next call overwrites.
    """
    folder.mkdir(parents=True, exist_ok=True)
    listed = folder / ITEMS
    rows = listed.read_text().splitlines() if listed.exists() else []
    end = 0
    if rows:
        last = json.loads(rows[-1])
        end = last["offset"] + last["frames"]
    for name in (CALLER, AGENT):
        (folder / name).touch()
    with (
        (folder / CALLER).open("r+b") as caller,
        (folder / AGENT).open("r+b") as agent,
        listed.open("a") as items,
    ):
        caller.truncate(end * FRAME * 2)
        agent.truncate(end * FRAME * 2)
        caller.seek(0, 2)
        agent.seek(0, 2)
        for index in range(len(rows), len(corpus)):
            conversation = corpus[index]
            frames = -(-conversation.audio.shape[1] // FRAME)
            samples = np.zeros((2, frames * FRAME), dtype=np.float32)
            samples[:, : conversation.audio.shape[1]] = conversation.audio
            pcm = np.clip(np.round(samples * 32767), -32768, 32767).astype("<i2")
            agent.write(pcm[0].tobytes())
            caller.write(pcm[1].tobytes())
            item = Item(end, frames, conversation.words, conversation.events)
            caller.flush()
            agent.flush()
            items.write(_line(item, index) + "\n")
            items.flush()
            end += frames
            if progress:
                progress(index + 1, len(corpus))
    return len(corpus)


class Flat:
    """The flat files of a prepared folder, memory mapped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.items = read_items(folder)
        self._caller = np.memmap(folder / CALLER, dtype="<i2", mode="r")
        self._agent = np.memmap(folder / AGENT, dtype="<i2", mode="r")
        codes = folder / CODES
        self._codes = np.memmap(codes, dtype="<i2", mode="r") if codes.exists() else None
        pitch = folder / PITCH
        self._pitch = np.memmap(pitch, dtype="<f2", mode="r") if pitch.exists() else None

    def caller(self, start: int, frames: int) -> npt.NDArray[np.float32]:
        """The caller's samples of `frames` frames from flat frame `start`: [frames * 1280]."""
        return self._samples(self._caller, start, frames)

    def agent(self, start: int, frames: int) -> npt.NDArray[np.float32]:
        """The agent's samples, likewise."""
        return self._samples(self._agent, start, frames)

    def codes(self, start: int, frames: int, codebooks: int) -> npt.NDArray[np.int64]:
        """The agent's codes [frames, codebooks].

        Raises:
            CorpusError: the corpus was not encoded, or only in part.
        """
        if self._codes is None or len(self._codes) < (start + frames) * codebooks:
            raise CorpusError(
                f"{self.folder} is not encoded as far as frame {start + frames}; "
                "run the recipe's encode stage"
            )
        part = self._codes[start * codebooks : (start + frames) * codebooks]
        return part.reshape(frames, codebooks).astype(np.int64)

    def pitch(self, start: int, frames: int) -> npt.NDArray[np.float32]:
        """The caller's pitch [frames], log2(Hz / 100), 0 where unvoiced or not measured."""
        if self._pitch is None or len(self._pitch) < start + frames:
            return np.zeros(frames, dtype=np.float32)
        return self._pitch[start : start + frames].astype(np.float32)

    @staticmethod
    def _samples(flat: npt.NDArray[np.int16], start: int, frames: int) -> npt.NDArray[np.float32]:
        part = flat[start * FRAME : (start + frames) * FRAME]
        return part.astype(np.float32) / 32768.0
