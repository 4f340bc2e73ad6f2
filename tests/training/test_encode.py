from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from antiphon.codec.model import Codec
from antiphon.corpus.disk import Corpus
from antiphon.training.encode import encode, measure_callers
from antiphon.training.prepare import CODES, PITCH, Flat, prepare
from tests.evaluation.fakes import codec as tiny
from tests.training.made import corpus


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Codec:
    return Codec.load(tiny(tmp_path_factory.mktemp("codec")))


def flat(folder: Path, count: int = 6) -> Path:
    prepare(Corpus.open(corpus(folder / "corpus", count)), folder / "flat")
    return folder / "flat"


def test_two_processes_write_what_one_writes(codec: Codec, tmp_path: Path) -> None:
    one, two = flat(tmp_path / "one"), flat(tmp_path / "two")
    for folder, workers in ((one, 1), (two, 2)):
        encode(folder, codec, workers=workers)
        measure_callers(folder, workers=workers)
    for name in (CODES, PITCH):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_a_cut_off_tail_is_written_again(codec: Codec, tmp_path: Path) -> None:
    folder = flat(tmp_path)
    encode(folder, codec)
    whole = (folder / CODES).read_bytes()
    (folder / CODES).write_bytes(whole[: len(whole) * 2 // 3 + 1])
    told: list[int] = []
    encode(folder, codec, lambda done, total: told.append(done))
    assert (folder / CODES).read_bytes() == whole
    assert 0 < len(told) < 6
    assert told[-1] == 6
    encode(folder, codec, lambda done, total: told.append(0))
    assert 0 not in told


def test_callers_pitch_is_that_of_their_tones(tmp_path: Path) -> None:
    folder = flat(tmp_path, 2)
    measure_callers(folder)
    pitch = np.fromfile(folder / PITCH, "<f2").astype(np.float32)
    for item, hertz in zip(Flat(folder).items, (320, 180), strict=True):
        own = pitch[item.offset : item.offset + item.frames]
        assert 100 * 2 ** np.median(own[own != 0]) == pytest.approx(hertz, rel=0.03)
        assert not own[:5].any()
