"""Sentences of a text, spoken for the ears to learn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.corpus.conftest import BeepingVoices

from antiphon.audio.io import read
from antiphon.corpus.scenario import Scenario, load_scenario
from antiphon.corpus.sentences import callers_say, revoice, speak
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


def test_what_callers_say_is_written_once_each(bar: Scenario, tmp_path: Path) -> None:
    said = callers_say(bar, 12, seed=1)
    assert len(set(said)) == len(said) == 12
    assert callers_say(bar, 5, seed=1) == said[:5]
    assert callers_say(bar, 12, seed=2) != said
    few = tmp_path / "talk.yaml"
    few.write_text(
        "name: talk\nslots: {}\ntools: {}\n"
        "intents: {hello: {weight: 1, say: (hello | hi | hey), reply: good morning}}\n"
    )
    assert sorted(callers_say(load_scenario(few), 3, seed=1)) == ["hello", "hey", "hi"]
    with pytest.raises(CorpusError, match="say 3 sentences, not 4"):
        callers_say(load_scenario(few), 4, seed=1)


def test_other_voices_say_the_same_and_labels_stay(tmp_path: Path) -> None:
    manifest = tmp_path / "orders.jsonl"
    rows = [
        {"path": "a.wav", "duration": 9.0, "text": "a latte", "slots": {"coffeeDrink": "latte"}},
        {"path": "b.wav", "duration": 9.0, "text": "a mocha please", "slots": {"size": "small"}},
    ]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = revoice(manifest, tmp_path / "again", voices="test")
    again = [json.loads(line) for line in made.read_text().splitlines()]
    assert [(r["text"], r["slots"]) for r in again] == [(r["text"], r["slots"]) for r in rows]
    assert [each.text for each in load([made])] == ["a latte", "a mocha please"]
    assert all(0 < row["duration"] < 9.0 for row in again)
    with pytest.raises(CorpusError, match="choose another folder"):
        revoice(manifest, tmp_path / "again", voices="train")
    for bad, told in (
        ('{"path": "a.wav"}', "have `text`"),
        ("[1]", "have `text`"),
        ("", "nothing"),
    ):
        manifest.write_text(bad)
        with pytest.raises(CorpusError, match=told):
            revoice(manifest, tmp_path / "none", voices="test")
    assert not (tmp_path / "none").exists()
