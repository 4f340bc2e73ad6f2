"""Sentences of text files, spoken by callers' voices: recordings with a manifest for the ears.

A scenario's callers use few words; an encoder that has heard no others learns them as wholes, and a
new voice, which says the same sounds otherwise, is lost on it. Natural voices, too slow for whole
conversations, say them too. Every clip is made from (seed,
number) alone, and after a kill only what is missing is made. Knows nothing of what
conversations are made of.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.io import write
from antiphon.corpus.build import imagine
from antiphon.corpus.disk import put
from antiphon.corpus.real import read_sentences
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.voices import Group, Voices
from antiphon.corpus.voices.manner import TONES
from antiphon.corpus.workers import made
from antiphon.errors import CorpusError

_FOLDER = 1_000  # clips
_TRIES = 500  # conversations without a new sentence: there are no more


def speak(
    texts: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    clips: int,
    seed: int = 1,
    voices: Group = "train",
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make `clips` clips in `out`, or those that are not there yet; returns their manifest.

    texts: files of a sentence a line. voices: whose; each clip has a voice, a tone and a manner of
    its own. progress is told (done, of how many).

    Raises CorpusError (a bad file, none at all, another set in the folder) and VoiceError.
    """
    sentences = read_sentences([Path(text) for text in texts])
    if not sentences or clips < 1:
        raise CorpusError("there is nothing to say: name a text, and one clip at least")
    folder = Path(out)
    _agree(folder, {"seed": seed, "voices": voices, "sentences_sha256": _digest(sentences)})
    speaker = Speaker(sentences, folder, seed, voices)
    rows: list[str] = []
    for row in made(speaker, clips, workers):
        rows.append(json.dumps(row))
        if progress:
            progress(len(rows), clips)
    manifest = folder / "manifest.jsonl"
    put(manifest, ("\n".join(rows) + "\n").encode())
    return manifest


def revoice(
    manifest: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    voices: Group,
    seed: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Have other voices say what a manifest's recordings say; returns the new manifest.

    Its rows are those of `manifest`, each with a path, a duration, a voice and a tone of its own:
    what is measured on both differs by the voices alone.

    Raises CorpusError (no manifest with texts) and VoiceError.
    """
    try:
        lines = Path(manifest).read_text(encoding="utf-8").splitlines()
        rows: list[dict[str, Any]] = [json.loads(line) for line in lines if line.strip()]
        texts = [str(row["text"]) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"{manifest} is no manifest: JSON lines that have `text` each") from error
    if not rows:
        raise CorpusError(f"{manifest} names no recording; there is nothing to say")
    folder = Path(out)
    _agree(folder, {"seed": seed, "voices": voices, "sentences_sha256": _digest(texts)})
    with closing(Voices()) as people:
        for index, row in enumerate(rows):
            name = f"{index:06d}.flac"
            row |= _said(
                people, texts[index], voices, random.Random(f"{seed} {index}"), folder / name
            )
            row["path"] = name
            if progress:
                progress(index + 1, len(rows))
    whole = folder / "manifest.jsonl"
    put(whole, ("\n".join(map(json.dumps, rows)) + "\n").encode())
    return whole


def callers_say(scenario: Scenario, count: int, seed: int) -> list[str]:
    """What callers say in conversations of the scenario's training split, each sentence once, in
    the order in which they come; `count` of them.

    Raises CorpusError for a scenario whose callers say fewer.
    """
    rng = random.Random(f"{seed} callers say")
    found: dict[str, None] = {}
    since = 0  # conversations that brought nothing new
    while len(found) < count:
        before = len(found)
        for turn in imagine(scenario, "train", rng).turns("caller"):
            if text := str(turn.data.get("text", "")).strip():
                found[text] = None
        since = 0 if len(found) > before else since + 1
        if since > _TRIES:
            raise CorpusError(f"the scenario's callers say {len(found)} sentences, not {count}")
    return list(found)[:count]


class Speaker:
    """One worker's share; its voices start with the first clip it makes."""

    def __init__(self, sentences: Sequence[str], folder: Path, seed: int, group: Group) -> None:
        self.sentences, self.folder, self.seed = sentences, folder, seed
        self.group: Group = group
        self._voices: Voices | None = None

    def make(self, index: int) -> dict[str, Any]:
        """Clip `index` and its row of the manifest, made unless they are there already."""
        name = f"{index // _FOLDER:03d}/{index:06d}.flac"
        path, row = self.folder / name, (self.folder / name).with_suffix(".json")
        if row.exists() and path.exists():
            return json.loads(row.read_text(encoding="utf-8"))
        if self._voices is None:
            self._voices = Voices()
        rng = random.Random(f"{self.seed} {index}")
        text = rng.choice(self.sentences)
        said = {"path": name, "text": text, **_said(self._voices, text, self.group, rng, path)}
        put(row, json.dumps(said).encode())
        return said

    def close(self) -> None:
        """End the voices."""
        if self._voices is not None:
            self._voices.close()


def _said(
    voices: Voices, text: str, group: Group, rng: random.Random, path: Path
) -> dict[str, Any]:
    """Have somebody of the group say a text in some tone, into `path`; returns what a manifest has
    of it."""
    tone = rng.choice(TONES)
    voice = voices.caller(group, rng)
    speech = voice.speak(text, rng, tone)
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, speech.samples)
    seconds = round(len(speech.samples) / SAMPLE_RATE, 2)
    return {"duration": seconds, "voice": voice.name, "tone": tone}


def _digest(sentences: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sentences).encode()).hexdigest()


def _agree(folder: Path, facts: dict[str, Any]) -> None:
    """Refuse to mix two sets in one folder."""
    path = folder / "sentences.json"
    wanted = json.dumps(facts).encode()
    if path.exists():
        if path.read_bytes() != wanted:
            raise CorpusError(f"{folder} holds other sentences or voices; choose another folder")
        return
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise CorpusError(f"{folder} exists and holds no spoken sentences; choose another folder")
    put(path, wanted)
