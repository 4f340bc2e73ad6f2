from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from antiphon.corpus import disk
from antiphon.corpus.build import build, imagine
from antiphon.corpus.disk import Corpus
from antiphon.corpus.scenario import load_scenario
from antiphon.corpus.tokenizer import normalise
from antiphon.errors import CorpusError

needs_engines = pytest.mark.skipif(
    not (shutil.which("flite") and shutil.which("festival") and shutil.which("espeak-ng")),
    reason="the speech engines are not installed",
)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.mark.usefixtures("beeping")
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(
    tmp_path: Path, scenario: Path
) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        build(scenario, tmp_path / name, conversations=5, seed=seed)
    assert _bytes(tmp_path / "a") == _bytes(tmp_path / "b")
    for path in ("000/000000.flac", "000/000003.json"):
        assert _bytes(tmp_path / "a")[path] != _bytes(tmp_path / "c")[path]


@pytest.mark.usefixtures("beeping")
def test_only_what_is_missing_is_made(tmp_path: Path, scenario: Path) -> None:
    out = tmp_path / "corpus"
    build(scenario, out, conversations=4)
    whole = _bytes(out)
    (out / "000" / "000002.json").unlink()
    (out / "000" / "000003.flac").unlink()
    kept = (out / "000" / "000001.flac").stat().st_mtime_ns
    build(scenario, out, conversations=4)
    assert _bytes(out) == whole
    assert (out / "000" / "000001.flac").stat().st_mtime_ns == kept


@pytest.mark.usefixtures("beeping")
def test_a_corpus_grows_and_never_shrinks(tmp_path: Path, scenario: Path) -> None:
    out = tmp_path / "corpus"
    small = build(scenario, out, conversations=2)
    large = build(scenario, out, conversations=5)
    assert large[:2] == small
    assert build(scenario, out, conversations=1) == large
    assert len(Corpus(out)) == 5


@pytest.mark.usefixtures("beeping")
def test_the_index_grows_shard_by_shard(
    tmp_path: Path, scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon.corpus.build.SHARD", 2)
    out = tmp_path / "corpus"
    seen: list[int] = []

    def look(done: int, total: int) -> None:
        assert total == 5
        seen.append(len(Corpus(out)) if (out / "index.jsonl").exists() else 0)

    build(scenario, out, conversations=5, progress=look)
    assert seen == [0, 2, 2, 4, 4]


@pytest.mark.usefixtures("beeping")
def test_splits_share_no_dialogue(tmp_path: Path, scenario: Path) -> None:
    said: dict[str, set[str]] = {}
    for split in ("train", "valid", "test"):
        voices = "test" if split == "test" else "train"
        build(scenario, tmp_path / split, conversations=40, split=split, voices=voices)
        said[split] = {
            text
            for conversation in Corpus(tmp_path / split)
            if (text := "|".join(t.data["text"] for t in conversation.turns("caller")))
        }
    assert all(said.values())
    assert not said["train"] & said["valid"]
    assert not said["train"] & said["test"]
    assert not said["valid"] & said["test"]


def test_a_conversation_that_nobody_speaks_has_its_words_and_no_sound(scenario: Path) -> None:
    read = load_scenario(scenario)
    made = [imagine(read, "train", random.Random(seed)) for seed in range(30)]
    again = imagine(read, "train", random.Random(7))
    assert (again.words, again.events) == (made[7].words, made[7].events)
    assert not any(each.audio.any() for each in made)
    turns = [(each, turn) for each in made for turn in each.turns()]
    assert len(turns) > 30
    for each, turn in turns:
        said = [
            w.text
            for w in each.words
            if w.speaker == turn.speaker and turn.start - 0.01 <= w.start < turn.end
        ]
        assert " ".join(said) in normalise(turn.data["text"])
        assert turn.end > turn.start + 0.1 * len(said)
    assert any(event.kind == "call" for each in made for event in each.events)
    # Held-out dialogues stay held out.
    own = {tuple(w.text for w in each.words) for each in made}
    held = {
        tuple(w.text for w in imagine(read, "valid", random.Random(seed)).words)
        for seed in range(30)
    }
    assert not own & held - {()}


@pytest.mark.usefixtures("beeping")
def test_another_corpus_in_the_folder_is_left_alone(tmp_path: Path, scenario: Path) -> None:
    out = tmp_path / "corpus"
    build(scenario, out, conversations=2, seed=1)
    before = _bytes(out)
    with pytest.raises(CorpusError, match="made with another seed"):
        build(scenario, out, conversations=2, seed=2)
    scenario.write_text(scenario.read_text() + "\n")
    with pytest.raises(CorpusError, match="another scenario"):
        build(scenario, out, conversations=2, seed=1)
    assert _bytes(out) == before
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(CorpusError, match="no corpus of this build"):
        build(scenario, other, conversations=2)
    assert _bytes(other) == {"thesis.txt": b"mine"}


@pytest.mark.usefixtures("beeping")
def test_a_full_disk_leaves_what_is_finished_and_the_build_goes_on_later(
    tmp_path: Path, scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "corpus", tmp_path / "whole"
    build(scenario, whole, conversations=4)
    real_put = disk.put

    def full(path: Path, content: bytes) -> None:
        if path.name == "000002.json":
            monkeypatch.setattr(
                Path, "write_bytes", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full"))
            )
        real_put(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(disk, "put", full)
        with pytest.raises(CorpusError, match="the disk is full"):
            build(scenario, out, conversations=4)
    monkeypatch.undo()
    assert (out / "000" / "000001.json").exists()
    assert not (out / "000" / "000002.json").exists()
    monkeypatch.setattr("antiphon.corpus.build.Voices", _voices())
    build(scenario, out, conversations=4)
    assert _bytes(out) == _bytes(whole)


def _voices() -> object:
    from tests.corpus.conftest import BeepingVoices

    return BeepingVoices


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    clip = np.zeros(16_000)
    clip[4000:12_000] = 0.2 * np.sin(np.arange(8000))
    sf.write(folder / "one.wav", clip, 16_000)
    sf.write(folder / "two.wav", clip, 16_000)
    rows = [{"path": "one.wav", "text": "Hey, there!"}, {"path": "two.wav"}]
    path = folder / "manifest.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.usefixtures("beeping")
def test_recordings_stand_in_for_out_of_domain_callers_only(
    tmp_path: Path, scenario: Path, manifest: Path
) -> None:
    out = tmp_path / "corpus"
    build(scenario, out, conversations=30, real=[manifest], real_share=1.0)
    texts: set[str] = set()
    for conversation in Corpus(out):
        for turn in conversation.turns("caller"):
            recorded = turn.data["voice"] == "recorded"
            assert recorded == (turn.data["intent"] == "out_of_domain")
            if recorded:
                texts.add(turn.data["text"])
                assert turn.end - turn.start == pytest.approx(0.5, abs=0.03)
                assert turn.data.get("recorded_without_text", False) == (not turn.data["text"])
                inside = [w.text for w in conversation.words if turn.start <= w.start < turn.end]
                assert " ".join(inside) == turn.data["text"]
    assert texts == {"hey there", ""}


@pytest.mark.usefixtures("beeping")
def test_a_manifest_that_names_a_missing_clip_is_refused(
    tmp_path: Path, scenario: Path, manifest: Path
) -> None:
    (manifest.parent / "two.wav").unlink()
    with pytest.raises(CorpusError, match=r"manifest\.jsonl:2"):
        build(scenario, tmp_path / "corpus", conversations=1, real=[manifest])


@pytest.mark.usefixtures("beeping")
def test_sentences_stand_in_for_out_of_domain_callers_and_never_name_what_is_served(
    tmp_path: Path, scenario: Path, manifest: Path
) -> None:
    talk = tmp_path / "talk.txt"
    talk.write_text("Who wrote that book\n\nset 2 timers\nthe latte is cold\nis it far\n")
    out = tmp_path / "corpus"
    build(scenario, out, conversations=30, talk=[talk], talk_share=1.0)
    texts = {
        turn.data["text"]
        for conversation in Corpus(out)
        for turn in conversation.turns("caller")
        if turn.data["intent"] == "out_of_domain"
    }
    assert texts == {"who wrote that book", "is it far"}
    both = tmp_path / "both"
    build(
        scenario, both, conversations=30, real=[manifest], real_share=0.5, talk=[talk], talk_share=1
    )
    voices = {
        turn.data["voice"] == "recorded"
        for conversation in Corpus(both)
        for turn in conversation.turns("caller")
        if turn.data["intent"] == "out_of_domain"
    }
    assert voices == {True, False}


@pytest.mark.usefixtures("beeping")
@pytest.mark.parametrize(
    ("text", "said"), [(None, "cannot be read"), (b"12\n\n", "no sentence of letters")]
)
def test_talk_that_has_no_sentence_is_refused(
    tmp_path: Path, scenario: Path, text: bytes | None, said: str
) -> None:
    talk = tmp_path / "talk.txt"
    if text is not None:
        talk.write_bytes(text)
    with pytest.raises(CorpusError, match=said):
        build(scenario, tmp_path / "corpus", conversations=1, talk=[talk])


@pytest.mark.usefixtures("beeping")
def test_a_corpus_of_before_there_was_talk_grows(tmp_path: Path, scenario: Path) -> None:
    out = tmp_path / "corpus"
    build(scenario, out, conversations=2)
    plan = json.loads((out / "build.json").read_text())
    del plan["talk"], plan["talk_share"]
    (out / "build.json").write_text(json.dumps(plan))
    assert len(build(scenario, out, conversations=3)) == 3


@needs_engines
def test_any_number_of_workers_gives_the_same_bytes(tmp_path: Path, scenario: Path) -> None:
    build(scenario, tmp_path / "one", conversations=5, workers=1)
    build(scenario, tmp_path / "two", conversations=5, workers=2)
    assert _bytes(tmp_path / "one") == _bytes(tmp_path / "two")
    spoken = {t.data["voice"] for c in Corpus(tmp_path / "one") for t in c.turns("agent")}
    assert spoken == {"festival:slt-hts"}


@needs_engines
def test_a_build_that_was_killed_goes_on_to_the_same_bytes(tmp_path: Path, scenario: Path) -> None:
    out = tmp_path / "corpus"
    code = f"from antiphon.corpus.build import build; build({str(scenario)!r}, {str(out)!r}"
    (tmp_path / "scratch").mkdir()
    child = subprocess.Popen(
        [sys.executable, "-c", f"{code}, conversations=500)"],
        env={**os.environ, "TMPDIR": str(tmp_path / "scratch")},
    )
    deadline = time.monotonic() + 120
    while not (out / "000" / "000002.json").exists() and child.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    done = sorted((out / "000").glob("[0-9]*.json"))
    assert 3 <= len(done) < 500
    for notes in done:
        disk.read_conversation(notes.with_suffix(".flac"))
    build(scenario, out, conversations=len(done) + 1)
    build(scenario, tmp_path / "whole", conversations=len(done) + 1)
    assert _bytes(out) == _bytes(tmp_path / "whole")
