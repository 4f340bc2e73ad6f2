"""Sentences of a text, spoken for the ears to learn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.corpus.conftest import BeepingVoices

from antiphon.audio.io import read
from antiphon.corpus.sentences import speak
from antiphon.errors import CorpusError
from antiphon.training.recordings import load


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "talk.txt"
    path.write_text("who wrote that book\nis it far\nplay some jazz\n4 hours\n")
    return path


@pytest.fixture(autouse=True)
def beeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.corpus.sentences.Voices", BeepingVoices)


def _sounds(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.rglob("*.flac"))}


def test_clips_are_what_the_ears_train_on(tmp_path: Path, text: Path) -> None:
    manifest = speak([text], tmp_path / "talk", clips=12)
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert len(rows) == 12
    assert {row["text"] for row in rows} == {"who wrote that book", "is it far", "play some jazz"}
    assert len({row["tone"] for row in rows}) > 1
    for row in rows:
        seconds = len(read(manifest.parent / row["path"])) / 16_000
        assert row["duration"] == pytest.approx(seconds, abs=0.01)
    assert [each.text for each in load([manifest])] == [row["text"] for row in rows]


def test_the_same_seed_gives_the_same_clips_and_only_what_is_missing_is_made(
    tmp_path: Path, text: Path
) -> None:
    told: list[tuple[int, int]] = []
    speak([text], tmp_path / "a", clips=5, progress=lambda *done: told.append(done))
    assert told == [(n, 5) for n in range(1, 6)]
    manifest = speak([text], tmp_path / "b", clips=3)
    kept = (manifest.parent / "000/000001.flac").stat().st_mtime_ns
    (manifest.parent / "000/000002.json").unlink()
    (manifest.parent / "000/000000.flac").unlink()
    speak([text], tmp_path / "b", clips=5)
    assert _sounds(tmp_path / "a") == _sounds(tmp_path / "b")
    assert (manifest.parent / "000/000001.flac").stat().st_mtime_ns == kept
    speak([text], tmp_path / "c", clips=5, seed=2)
    assert _sounds(tmp_path / "a") != _sounds(tmp_path / "c")


def test_another_set_in_the_folder_is_left_alone(tmp_path: Path, text: Path) -> None:
    speak([text], tmp_path / "a", clips=1)
    with pytest.raises(CorpusError, match="other sentences or voices"):
        speak([text], tmp_path / "a", clips=1, seed=2)
    text.write_text(text.read_text().replace("jazz", "blues"))
    with pytest.raises(CorpusError, match="other sentences or voices"):
        speak([text], tmp_path / "a", clips=1)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("mine")
    with pytest.raises(CorpusError, match="holds no spoken sentences"):
        speak([text], mine, clips=1)
    with pytest.raises(CorpusError, match="nothing to say"):
        speak([], tmp_path / "b", clips=1)
