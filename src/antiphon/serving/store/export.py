"""Chosen calls as files: a corpus that `antiphon corpus import` reads, with all that was kept.

    index.jsonl          {"path": "000/000000.flac", "duration": 21.44, "id": "call_..."} a line
    000/000000.flac      16 kHz; left the agent, right the caller, as in every corpus
    000/000000.json      words and turns as the corpus has them, and the whole call under "record"
    words/call_....json  calls that have no recording: the whole call alone

The layout is `antiphon.corpus.disk`'s. Words of a call have no measured length on one side or the
other, so each is taken to last until the next one begins, at most LONGEST_WORD seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from antiphon.audio.io import read as read_audio
from antiphon.corpus.conversation import Conversation, Event, Speaker, Word
from antiphon.corpus.disk import INDEX, put, write_conversation
from antiphon.corpus.tokenizer import normalise
from antiphon.errors import AudioError
from antiphon.serving.store.errors import StoreError
from antiphon.serving.store.reading import CallRecord, TurnView

LONGEST_WORD = 0.6  # seconds


class Export:
    """Calls being written into a new folder; `close` completes it."""

    def __init__(self, folder: Path) -> None:
        """Raises StoreError when the folder is not empty."""
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            raise StoreError(f"{folder} is not empty; export into a new folder")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self.recorded = 0
        """Calls with sound: conversations of the corpus."""
        self.unrecorded = 0
        """Calls of which only words are kept."""
        self._index: list[dict[str, Any]] = []

    def add(self, record: CallRecord, recording: Path | None) -> None:
        """One call, with its recording if it has one. Raises StoreError, CorpusError."""
        content, call = record.model_dump(mode="json"), record.call
        if recording is None:
            name = self.folder / "words" / f"{call.id}.json"
            put(name, json.dumps(content, ensure_ascii=False, indent=1).encode())
            self.unrecorded += 1
            return
        try:
            stereo = read_audio(recording, mono=False)
        except AudioError as error:
            raise StoreError(f"call {call.id}: {error}") from None
        made = conversation(record, stereo[::-1])
        entry = write_conversation(self.folder, self.recorded, made, {"record": content})
        facts = {"id": call.id, "bundle": call.bundle, "started": content["call"]["started"]}
        self._index.append(entry.model_dump() | facts)
        self.recorded += 1

    def close(self) -> None:
        """Write the index: from now on the folder is a corpus."""
        rows = "".join(json.dumps(row) + "\n" for row in self._index)
        put(self.folder / INDEX, rows.encode())


def conversation(record: CallRecord, audio: Any) -> Conversation:
    """A call as the corpus has conversations; audio: float32 [2, N] 16 kHz, agent first."""
    made = Conversation(audio)
    seconds = made.duration
    words = sorted(_words(record.turns, seconds), key=lambda word: word.start)
    events = sorted(_events(record, seconds), key=lambda event: event.start)
    return Conversation(audio, tuple(words), tuple(events))


def _words(turns: Iterable[TurnView], seconds: float) -> Iterator[Word]:
    for turn in turns:
        starts = [word[1] for word in turn.words[1:]] + [turn.end]
        for (text, start, end), following in zip(turn.words, starts, strict=True):
            last = end if end is not None else min(max(following, start), start + LONGEST_WORD)
            spoken = normalise(text)
            if spoken and start < seconds:
                begin, over = _inside(start, last, seconds)
                yield Word(text=spoken, start=begin, end=over, speaker=turn.speaker)


def _events(record: CallRecord, seconds: float) -> Iterator[Event]:
    ends: dict[Speaker, float] = {"agent": 0.0, "caller": 0.0}
    for turn in record.turns:
        start, end = _inside(turn.start, turn.end, seconds)
        if turn.text:
            data = {"intent": "", "text": turn.text, "tone": turn.tone or "neutral"}
            yield Event(kind="turn", speaker=turn.speaker, start=start, end=end, data=data)
        asked = ends["caller"] if turn.speaker == "agent" else end
        for tool in record.tool_calls:
            if tool.turn == turn.index:
                what = {"name": tool.name, "arguments": tool.arguments}
                yield Event(kind="call", speaker="agent", start=asked, end=asked, data=what)
        ends[turn.speaker] = end
    for pause in record.pauses:
        start, end = _inside(pause.start, seconds if pause.end is None else pause.end, seconds)
        yield Event(kind="not_recorded", speaker="caller", start=start, end=end)


def _inside(start: float, end: float, seconds: float) -> tuple[float, float]:
    begin = min(max(start, 0.0), seconds)
    return begin, min(max(end, begin), seconds)
