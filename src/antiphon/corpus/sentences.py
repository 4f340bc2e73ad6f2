"""Sentences of text files, spoken by callers' voices: recordings with a manifest for the ears.

A scenario's callers use few words; an encoder that has heard no others learns them as wholes, and a
new voice, which says the same sounds otherwise, is lost on it. Every clip is made from (seed,
number) alone, and after a kill only what is missing is made. Knows nothing of conversations.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.io import write
from antiphon.corpus.disk import put
from antiphon.corpus.real import read_sentences
from antiphon.corpus.voices import Group, Voices
from antiphon.corpus.voices.manner import TONES
from antiphon.corpus.workers import made
from antiphon.errors import CorpusError

_FOLDER = 1_000  # clips


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
    digest = hashlib.sha256("\n".join(sentences).encode()).hexdigest()
    _agree(folder, {"seed": seed, "voices": voices, "sentences_sha256": digest})
    speaker = Speaker(sentences, folder, seed, voices)
    rows: list[str] = []
    for row in made(speaker, clips, workers):
        rows.append(json.dumps(row))
        if progress:
            progress(len(rows), clips)
    manifest = folder / "manifest.jsonl"
    put(manifest, ("\n".join(rows) + "\n").encode())
    return manifest


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
        text, tone = rng.choice(self.sentences), rng.choice(TONES)
        voice = self._voices.caller(self.group, rng)
        speech = voice.speak(text, rng, tone)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, speech.samples)
        said = {
            "path": name,
            "duration": round(len(speech.samples) / SAMPLE_RATE, 2),
            "text": text,
            "voice": voice.name,
            "tone": tone,
        }
        put(row, json.dumps(said).encode())
        return said

    def close(self) -> None:
        """End the voices."""
        if self._voices is not None:
            self._voices.close()


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
