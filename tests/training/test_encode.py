from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch

from antiphon.audio import FRAME, HOP
from antiphon.codec.model import Codec
from antiphon.corpus.conversation import Conversation, Event
from antiphon.corpus.disk import Corpus, write_conversation, write_index
from antiphon.training.encode import encode, measure_callers
from antiphon.training.prepare import CODES, PITCH, Flat, prepare
from tests.evaluation.fakes import codec as tiny
from tests.training.made import conversation, corpus, tone


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


class Listening:
    """In place of a codec: its one code is the pitch that it is given, in Hz."""

    config = SimpleNamespace(codebooks=1)

    def encode(self, samples: torch.Tensor, f0: torch.Tensor) -> torch.Tensor:
        return f0.reshape(1, -1, FRAME // HOP)[..., 4:5].round().long()


def test_what_is_said_beside_a_turn_has_its_pitch_too(tmp_path: Path) -> None:
    audio = np.zeros((2, 64_000), dtype=np.float32)
    audio[0, 16_000:24_000] = tone(0.5, 210)  # in the middle of the caller's turn
    audio[1, 8_000:48_000] = tone(2.5, 180)
    turn = conversation().events[0].model_copy(update={"end": 3.0})
    said = Event(kind="backchannel", speaker="agent", start=1.0, end=1.5, data={"text": "okay"})
    whole = Conversation(audio, (), (turn, said))
    write_index(tmp_path / "one", [write_conversation(tmp_path / "one", 0, whole)])
    prepare(Corpus.open(tmp_path / "one"), tmp_path / "flat")
    encode(tmp_path / "flat", cast("Codec", Listening()))
    codes = np.fromfile(tmp_path / "flat" / CODES, "<i2")
    assert codes[14:18] == pytest.approx(210, rel=0.03)
    assert not codes[20:].any()
