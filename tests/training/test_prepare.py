from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from antiphon.corpus.disk import Corpus
from antiphon.errors import CorpusError
from antiphon.training.prepare import ITEMS, Flat, prepare, read_items
from tests.training.made import corpus


def test_flat_files_hold_what_the_corpus_holds(tmp_path: Path) -> None:
    source = Corpus.open(corpus(tmp_path / "corpus", 3))
    assert prepare(source, tmp_path / "flat") == 3
    flat = Flat(tmp_path / "flat")
    for index, item in enumerate(flat.items):
        made = source[index]
        caller = flat.caller(item.offset, item.frames)
        np.testing.assert_allclose(caller[: made.audio.shape[1]], made.audio[1], atol=1e-4)
        agent = flat.agent(item.offset, item.frames)
        np.testing.assert_allclose(agent[: made.audio.shape[1]], made.audio[0], atol=1e-4)
        assert item.words == made.words


def test_a_grown_corpus_is_appended_and_a_cut_off_tail_overwritten(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "corpus", 2)
    prepare(Corpus.open(folder), tmp_path / "flat")
    with (tmp_path / "flat" / "caller.i16").open("ab") as file:
        file.write(b"half a conversation")
    prepare(Corpus.open(corpus(folder, 5)), tmp_path / "flat")
    prepare(Corpus.open(folder), tmp_path / "again")
    for name in ("caller.i16", "agent.i16", ITEMS):
        assert (tmp_path / "flat" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_folder_without_a_prepared_corpus_says_so(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no prepared corpus"):
        read_items(tmp_path)


def test_codes_that_were_never_made_are_asked_for(tmp_path: Path) -> None:
    prepare(Corpus.open(corpus(tmp_path / "corpus", 1)), tmp_path / "flat")
    with pytest.raises(CorpusError, match="encode stage"):
        Flat(tmp_path / "flat").codes(0, 1, 6)
