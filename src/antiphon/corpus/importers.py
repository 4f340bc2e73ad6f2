"""Other people's conversations as a corpus: moshi-finetune's, and two-channel recordings.

Recordings come with a transcript beside each, of the same name. CSV: a header with start, end,
speaker, text. JSON: {"alignments": [...]} as moshi-finetune has it, or a list (perhaps under
"segments" or "words") of {start, end, speaker, text}; "word" will do for "text". Times are in
seconds; a row may be a word or a whole segment, whose words are then spread by their letters.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, cast

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.io import read as read_audio
from antiphon.corpus.conversation import Conversation, Speaker, Word, turns_of
from antiphon.corpus.disk import (
    Corpus,
    Entry,
    read_conversation,
    write_conversation,
    write_index,
)
from antiphon.corpus.real import as_words, spread
from antiphon.errors import AudioError, CorpusError

AUDIO = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif")

Side = Literal["left", "right"]
Progress = Callable[[int, int], None]

_AGENT = ("agent", "assistant", "system", "bot", "speaker_main", "left", "0")
_CALLER = ("caller", "user", "customer", "human", "client", "right", "1")


def import_corpus(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    agent: Side = "left",
    progress: Progress | None = None,
) -> list[Entry]:
    """Whatever `source` is: an index (.jsonl) or a folder with one, or a folder of recordings.

    agent: the agent's channel in recordings; a corpus always has it left. Raises CorpusError.
    """
    path = Path(source)
    indices = sorted(path.glob("*.jsonl")) if path.is_dir() else []
    if len(indices) > 1:
        names = ", ".join(index.name for index in indices)
        raise CorpusError(f"{path} holds several indices ({names}); name the one to import")
    if indices or path.suffix == ".jsonl":
        return import_moshi(indices[0] if indices else path, out, progress=progress)
    return import_recordings(path, out, agent=agent, progress=progress)


def import_moshi(
    index: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
) -> list[Entry]:
    """A moshi-finetune corpus, at any rate and in any audio format, as one of ours.

    Turns that it does not name are made from the words. Raises CorpusError.
    """
    corpus = Corpus(index)
    folder = _empty(Path(out))
    entries: list[Entry] = []
    for number in range(len(corpus)):
        entries.append(write_conversation(folder, number, _with_turns(corpus[number])))
        if progress:
            progress(number + 1, len(corpus))
    write_index(folder, entries)
    return entries


def import_recordings(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    agent: Side = "left",
    progress: Progress | None = None,
) -> list[Entry]:
    """Two-channel recordings below `source`, each with a .json or .csv transcript beside it.

    Raises CorpusError naming the file: no transcript, not two channels, times past the end.
    """
    root = Path(source)
    found = sorted(p for p in root.rglob("*") if p.suffix.lower() in AUDIO) if root.is_dir() else []
    if not found:
        raise CorpusError(f"{root} holds no recordings ({', '.join(AUDIO)})")
    folder = _empty(Path(out))
    entries: list[Entry] = []
    for number, path in enumerate(found):
        conversation = read_recording(path, agent=agent)
        facts = {"source": path.relative_to(root).as_posix()}
        entries.append(write_conversation(folder, number, conversation, facts))
        if progress:
            progress(number + 1, len(found))
    write_index(folder, entries)
    return entries


def read_recording(path: Path, *, agent: Side = "left") -> Conversation:
    """One recording with the transcript beside it. Raises CorpusError naming the file."""
    notes = next((n for s in (".json", ".csv") if (n := path.with_suffix(s)).exists()), None)
    if notes is None:
        raise CorpusError(f"{path}: there is no transcript beside it ({path.stem}.json or .csv)")
    if notes.suffix == ".json" and _is_moshi(notes):
        conversation = read_conversation(path)
        if agent == "right":
            conversation = Conversation(
                conversation.audio[::-1].copy(), conversation.words, conversation.events
            )
        return _with_turns(conversation)
    try:
        audio = read_audio(path, mono=False)
    except AudioError as error:
        raise CorpusError(str(error)) from error
    if audio.ndim != 2 or audio.shape[0] != 2:
        raise CorpusError(
            f"{path}: two channels are needed, agent and caller, and this file has "
            f"{1 if audio.ndim == 1 else audio.shape[0]}"
        )
    if agent == "right":
        audio = audio[::-1].copy()
    words: list[Word] = []
    seconds = audio.shape[1] / SAMPLE_RATE
    for number, row in enumerate(_rows(notes), 1):
        words += _row_words(row, f"{notes}: row {number}", seconds)
    words.sort(key=lambda word: word.start)
    return Conversation(audio, tuple(words), turns_of(words))


def _rows(path: Path) -> list[Mapping[str, Any]]:
    try:
        if path.suffix == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as lines:
                return list(csv.DictReader(lines))
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        raise CorpusError(f"{path} is no readable transcript: {error}") from error
    if isinstance(content, dict):
        named = cast("dict[str, Any]", content)
        content = named.get("segments") or named.get("words")
    rows: list[Any] = cast("list[Any]", content) if isinstance(content, list) else [None]
    if not all(isinstance(row, dict) for row in rows):
        raise CorpusError(f"{path}: expected a list of {{start, end, speaker, text}}")
    return rows


def _row_words(row: Mapping[str, Any], where: str, seconds: float) -> list[Word]:
    text = row.get("text", row.get("word"))
    try:
        start, end = float(row["start"]), float(row["end"])
    except (KeyError, TypeError, ValueError) as error:
        raise CorpusError(f"{where} needs start and end in seconds") from error
    if not isinstance(text, str):
        raise CorpusError(f"{where} needs a text")
    if not 0 <= start <= end <= seconds + 0.1:
        raise CorpusError(
            f"{where}: {start:.2f} to {end:.2f} s does not fit into {seconds:.2f} s of audio"
        )
    speaker = _speaker(str(row.get("speaker", "")), where)
    return as_words(spread(text.split(), start, min(end, seconds)), speaker)


def _speaker(label: str, where: str) -> Speaker:
    plain = label.strip().lower()
    if plain in _AGENT:
        return "agent"
    if plain in _CALLER:
        return "caller"
    raise CorpusError(f'{where}: speaker "{label}" is neither agent nor caller')


def _is_moshi(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise CorpusError(f"{path} is not readable JSON: {error}") from error
    return isinstance(content, dict) and "alignments" in content


def _with_turns(conversation: Conversation) -> Conversation:
    if any(conversation.turns()):
        return conversation
    events = (*conversation.events, *turns_of(conversation.words))
    ordered = tuple(sorted(events, key=lambda event: event.start))
    return Conversation(conversation.audio, conversation.words, ordered)


def _empty(folder: Path) -> Path:
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise CorpusError(f"{folder} is not empty; import into a new folder")
    return folder
