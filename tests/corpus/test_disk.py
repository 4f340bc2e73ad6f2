from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from antiphon.corpus.conversation import Conversation
from antiphon.corpus.disk import (
    Corpus,
    Entry,
    put,
    read_conversation,
    write_conversation,
    write_index,
    written,
)
from antiphon.errors import CorpusError


@pytest.fixture
def corpus(tmp_path: Path, conversation: Conversation) -> Path:
    folder = tmp_path / "corpus"
    write_index(folder, [write_conversation(folder, i, conversation) for i in range(2)])
    return folder


def test_what_is_written_is_read(corpus: Path, conversation: Conversation) -> None:
    there = Corpus.open(corpus)
    assert len(there) == 2
    assert there.duration == pytest.approx(4.0)
    for read in there:
        assert np.abs(read.audio - conversation.audio).max() <= 0.51 / 32768
        assert read.words == conversation.words
        assert read.events == conversation.events


def test_the_layout_is_that_of_moshi_finetune(corpus: Path) -> None:
    lines = (corpus / "index.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {"path": "000/000000.flac", "duration": 2.0}
    notes = json.loads((corpus / "000" / "000000.json").read_text())
    assert notes["alignments"][0] == ["a", [0.2, 0.4], "SPEAKER_CALLER"]
    assert notes["alignments"][2] == ["sure", [1.1, 1.5], "SPEAKER_MAIN"]
    samples, rate = sf.read(corpus / "000" / "000000.flac")
    assert rate == 16_000
    assert np.abs(samples[17_600:24_000, 0]).max() > 0 == np.abs(samples[:17_000, 0]).max()


def test_an_index_or_its_folder_or_the_folder_above_train_opens(
    corpus: Path, tmp_path: Path
) -> None:
    assert len(Corpus(corpus / "index.jsonl")) == 2
    above = tmp_path / "runs"
    above.mkdir()
    corpus.rename(above / "train")
    assert len(Corpus(above)) == 2


def test_a_conversation_counts_as_written_when_both_files_are_there(corpus: Path) -> None:
    assert written(corpus, 1) == Entry(path="000/000001.flac", duration=2.0)
    (corpus / "000" / "000001.json").unlink()
    assert written(corpus, 1) is None


def _notes(corpus: Path) -> dict[str, Any]:
    return json.loads((corpus / "000" / "000000.json").read_text())


def _break(corpus: Path, **changed: Any) -> None:
    (corpus / "000" / "000000.json").write_text(json.dumps(_notes(corpus) | changed))


def test_a_word_past_the_end_is_refused(corpus: Path) -> None:
    _break(corpus, alignments=[["late", [1.9, 2.4], "SPEAKER_MAIN"]])
    with pytest.raises(CorpusError, match=r'000000\.json: the word "late" from 1\.90 to 2\.40'):
        Corpus(corpus)[0]


@pytest.mark.parametrize("row", [["a"], ["a", [1], "SPEAKER_MAIN"], "abc", ["a", ["x", "y"], "z"]])
def test_a_word_of_another_shape_is_refused(corpus: Path, row: Any) -> None:
    _break(corpus, alignments=[row])
    with pytest.raises(CorpusError, match=r"000000\.json"):
        Corpus(corpus)[0]


def test_one_channel_is_refused(corpus: Path) -> None:
    sf.write(corpus / "000" / "000000.flac", np.zeros(32_000), 16_000)
    with pytest.raises(CorpusError, match="2 channels, this file has 1"):
        Corpus(corpus)[0]


def test_another_length_than_the_index_says_is_refused(corpus: Path) -> None:
    sf.write(corpus / "000" / "000000.flac", np.zeros((48_000, 2)), 16_000)
    with pytest.raises(CorpusError, match=r"lasts 3\.00 s, its index says 2\.00 s"):
        Corpus(corpus)[0]


@pytest.mark.parametrize("name", ["000000.flac", "000000.json"])
def test_a_missing_file_is_named(corpus: Path, name: str) -> None:
    (corpus / "000" / name).unlink()
    with pytest.raises(CorpusError, match=name):
        Corpus(corpus)[0]


def test_a_broken_index_names_its_line(corpus: Path) -> None:
    with (corpus / "index.jsonl").open("a") as index:
        index.write('{"path": 3}\n')
    with pytest.raises(CorpusError, match=r"index\.jsonl:3"):
        Corpus(corpus)


def test_no_corpus_is_said(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="holds no corpus"):
        Corpus(tmp_path)
    with pytest.raises(CorpusError, match="does not exist"):
        Corpus(tmp_path / "nowhere")


def test_a_full_disk_is_one_sentence_and_leaves_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "file"
    put(target, b"old")

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as half:
            half.write(content[:1])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CorpusError, match="the disk is full"):
        put(target, b"new")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_audio_of_another_rate_is_brought_to_the_house_rate(
    tmp_path: Path, conversation: Conversation
) -> None:
    write_conversation(tmp_path, 0, conversation)
    path = tmp_path / "000" / "000000.flac"
    sf.write(path, np.zeros((48_000, 2)), 24_000)
    assert read_conversation(path).audio.shape == (2, 32_000)
