from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from antiphon.bundle.judge import export_judge
from antiphon.errors import BundleError
from antiphon.evaluation.judge import GraphJudge, bundled_judge, load_judge
from antiphon.model.encoder import Encoder
from antiphon.training.judge import Judge
from antiphon.training.judge_card import JudgeCard
from antiphon.training.streams import CHARACTERS
from tests.model.tiny import CONFIG


@pytest.fixture
def judge() -> Judge:
    torch.manual_seed(3)
    card = JudgeCard(
        hears="callers",
        encoder=CONFIG.encoder,
        characters=CHARACTERS,
        voice="beeps",
        scenario="cafe",
        seed=7,
        minutes=1.0,
        cer=0.02,
        wer=0.04,
    )
    return Judge(card, Encoder(CONFIG.encoder, len(CHARACTERS) + 1))


@pytest.mark.parametrize("samples", [0, 1, 20_001, 70_000])
def test_the_graph_reads_what_the_network_reads(judge: Judge, tmp_path: Path, samples: int) -> None:
    export_judge(judge, tmp_path)
    read = load_judge(tmp_path)
    assert isinstance(read, GraphJudge)
    assert read.card == judge.card
    sound = np.random.default_rng(samples).normal(0, 0.1, samples).astype(np.float32)
    ours, theirs = read.transcribe(sound), judge.transcribe(sound)
    if samples > 1:
        assert len(theirs) > 3
    assert ours == theirs


def test_without_a_graph_the_weights_are_read(judge: Judge, tmp_path: Path) -> None:
    judge.save(tmp_path)
    assert isinstance(load_judge(tmp_path), Judge)


def test_a_broken_graph_and_an_empty_folder_are_said_in_a_sentence(
    judge: Judge, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match="no judge here"):
        load_judge(tmp_path)
    export_judge(judge, tmp_path).write_bytes(b"not a graph")
    with pytest.raises(BundleError, match="onnxruntime cannot run it"):
        load_judge(tmp_path)


def test_bundled_judges_are_found_by_whom_they_hear(
    judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "judge-callers"
    folder.mkdir()
    export_judge(judge, folder)
    monkeypatch.setenv("ANTIPHON_BUNDLES", str(tmp_path))
    found = bundled_judge("callers")
    assert found is not None
    assert found.card.voice == "beeps"
