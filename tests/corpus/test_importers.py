from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from antiphon.corpus.conversation import Conversation
from antiphon.corpus.disk import Corpus, write_conversation, write_index
from antiphon.corpus.importers import import_corpus
from antiphon.errors import CorpusError


def _recording(folder: Path, name: str = "call.wav", rate: int = 16_000) -> Path:
    time = np.arange(3 * rate) / rate
    left, right = 0.2 * np.sin(2 * np.pi * 300 * time), 0.1 * np.sin(2 * np.pi * 500 * time)
    folder.mkdir(exist_ok=True)
    sf.write(folder / name, np.stack([left, right], axis=1), rate)
    return folder / name


def test_our_own_corpus_survives_the_round_trip(tmp_path: Path, conversation: Conversation) -> None:
    ours = tmp_path / "ours"
    write_index(ours, [write_conversation(ours, i, conversation) for i in range(2)])
    import_corpus(ours, tmp_path / "again")
    before, after = list(Corpus(ours)), list(Corpus(tmp_path / "again"))
    assert len(after) == 2
    for one, other in zip(before, after, strict=True):
        assert np.array_equal(one.audio, other.audio)
        assert (one.words, one.events) == (other.words, other.events)


def test_a_moshi_finetune_corpus_gets_turns_from_its_words(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    path = _recording(theirs, "sub.wav", rate=24_000)
    rows = [
        ["hello", [0.1, 0.5], "SPEAKER_MAIN"],
        ["there", [0.5, 0.9], "SPEAKER_MAIN"],
        ["hi", [1.0, 1.2], "SPEAKER_00"],
        ["bye", [2.2, 2.6], "SPEAKER_MAIN"],
    ]
    path.with_suffix(".json").write_text(json.dumps({"alignments": rows}))
    (theirs / "data.jsonl").write_text(json.dumps({"path": "sub.wav", "duration": 3.0}) + "\n")
    import_corpus(theirs / "data.jsonl", tmp_path / "out")
    (made,) = Corpus(tmp_path / "out")
    assert made.audio.shape == (2, 48_000)
    assert [(t.speaker, t.data["text"]) for t in made.turns()] == [
        ("agent", "hello there"),
        ("caller", "hi"),
        ("agent", "bye"),
    ]


CSV = "start,end,speaker,text\n0.5,1.5,customer,a latte please\n1.8,2.4,agent,sure\n"


@pytest.mark.parametrize("agent", ["left", "right"])
def test_recordings_with_segments_come_in_with_the_agent_left(tmp_path: Path, agent: str) -> None:
    path = _recording(tmp_path / "calls")
    path.with_suffix(".csv").write_text(CSV)
    side = "left" if agent == "left" else "right"
    import_corpus(tmp_path / "calls", tmp_path / "out", agent=side)
    (made,) = Corpus(tmp_path / "out")
    assert np.abs(made.audio[0]).max() == pytest.approx(0.2 if side == "left" else 0.1, abs=0.01)
    assert [w.text for w in made.words] == ["a", "latte", "please", "sure"]
    assert made.words[0].start == 0.5
    assert made.words[2].end == 1.5
    turns = [(t.speaker, t.start, t.end) for t in made.turns()]
    assert turns == [("caller", 0.5, 1.5), ("agent", 1.8, 2.4)]


def test_a_json_transcript_of_words_keeps_their_times(tmp_path: Path) -> None:
    path = _recording(tmp_path / "calls")
    words = [{"start": 0.5, "end": 0.7, "speaker": "user", "word": "hi"}]
    path.with_suffix(".json").write_text(json.dumps({"words": words}))
    import_corpus(tmp_path / "calls", tmp_path / "out")
    (made,) = Corpus(tmp_path / "out")
    assert [(w.text, w.start, w.end, w.speaker) for w in made.words] == [("hi", 0.5, 0.7, "caller")]


@pytest.mark.parametrize(
    ("transcript", "sentence"),
    [
        ("start,end,speaker,text\n0.5,9,agent,hi\n", r"row 1: 0\.50 to 9\.00 s does not fit"),
        ("start,end,speaker,text\n0.5,1,bob,hi\n", 'speaker "bob" is neither'),
        ("start,end,speaker,text\nx,1,agent,hi\n", "needs start and end"),
        ("start,end,speaker\n0,1,agent\n", "needs a text"),
    ],
)
def test_a_wrong_transcript_names_file_and_row(
    tmp_path: Path, transcript: str, sentence: str
) -> None:
    path = _recording(tmp_path / "calls")
    path.with_suffix(".csv").write_text(transcript)
    with pytest.raises(CorpusError, match=rf"call\.csv.*{sentence}"):
        import_corpus(tmp_path / "calls", tmp_path / "out")


def test_a_recording_without_transcript_or_second_channel_is_refused(tmp_path: Path) -> None:
    path = _recording(tmp_path / "calls")
    with pytest.raises(CorpusError, match="no transcript beside it"):
        import_corpus(tmp_path / "calls", tmp_path / "out")
    path.with_suffix(".csv").write_text(CSV)
    sf.write(path, np.zeros(48_000), 16_000)
    with pytest.raises(CorpusError, match="two channels are needed"):
        import_corpus(tmp_path / "calls", tmp_path / "out")


def test_nothing_is_imported_over_what_is_there(tmp_path: Path) -> None:
    path = _recording(tmp_path / "calls")
    path.with_suffix(".csv").write_text(CSV)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(CorpusError, match="not empty"):
        import_corpus(tmp_path / "calls", tmp_path / "out")
    with pytest.raises(CorpusError, match="holds no recordings"):
        import_corpus(tmp_path / "nothing", tmp_path / "new")
