from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.corpus.disk import Corpus
from antiphon.errors import AntiphonError, CorpusError
from antiphon.evaluation.codec import measure, open_codec, round_trip, utterances
from tests.evaluation.fakes import codec as codec_in
from tests.training.made import corpus, tone


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return codec_in(tmp_path / "codec")


def test_a_turn_of_each_conversation_is_an_utterance(tmp_path: Path) -> None:
    made = Corpus.open(corpus(tmp_path / "corpus", 3))
    agent, voices = utterances(made, "agent", 2)
    assert [len(sound) for sound in agent] == [round(1.45 * 16_000)] * 2
    assert voices == ["unnamed"]
    assert len(utterances(made, "caller", 9)[0]) == 3


def test_a_corpus_of_silence_is_an_error(tmp_path: Path) -> None:
    made = Corpus.open(corpus(tmp_path / "corpus", 1))
    made.entries.clear()
    with pytest.raises(CorpusError, match="no turn of the caller"):
        utterances(made, "caller", 2)


def test_figures_of_a_codec(folder: Path) -> None:
    codec, sounds = open_codec(folder), [tone(1.0, 150), tone(1.2, 220)]
    done: list[None] = []
    figures = measure(
        codec,
        sounds,
        side="agent",
        voices=["tone"],
        natural=False,
        progress=lambda: done.append(None),
    )
    assert len(done) == figures.utterances == 2
    assert len(figures.codes_used) == len(figures.code_bits) == 6
    assert figures.dnsmos_p808_original is None
    assert figures.step_ms > 0
    assert round_trip(codec, sounds[0]).shape == sounds[0].shape


def test_no_codec_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(AntiphonError):
        open_codec(tmp_path / "nowhere" / "here")
