from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.evaluation.fakes import SAID, Ear, OneVoice, codec
from tests.training.made import corpus

from antiphon.corpus import voices
from antiphon.evaluation import judge

Run = Callable[..., tuple[int, str, str]]


def test_speech_is_read_back_and_told(
    run: Run, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "load_judge", lambda _: Ear(SAID))
    monkeypatch.setattr(voices, "Voices", OneVoice)
    made = corpus(tmp_path / "corpus", 2)
    words = ("eval", "speech", tiny_bundle, "--judge", tmp_path, "--data", made, "--mos", "0")
    status, out, _ = run(*words, "--details", tmp_path / "details.jsonl")
    assert status == 0
    assert "all three agree on every slot" in out
    assert len((tmp_path / "details.jsonl").read_text().splitlines()) == 2
    status, out, _ = run(*words, "--answers", "1", "--json")
    assert status == 0
    assert json.loads(out)["answered"]["n"] == 1


def test_a_missing_judge_and_a_missing_codec_are_one_sentence(
    run: Run, tiny_bundle: Path, tmp_path: Path
) -> None:
    status, _, err = run("eval", "speech", tiny_bundle, "--judge", tmp_path)
    assert status == 2
    assert "antiphon train recipes/judge.yaml" in err
    assert err.count("\n") == 1
    made = corpus(tmp_path / "corpus", 1)
    status, _, err = run("eval", "codec", "--codec", tmp_path / "no", "--corpus", made)
    assert status == 2
    assert err.count("\n") == 1


def test_a_codec_is_measured_on_both_sides(run: Run, tmp_path: Path) -> None:
    made = corpus(tmp_path / "corpus", 1)
    words = ("eval", "codec", "--codec", codec(tmp_path / "codec"), "--corpus", made, "--no-mos")
    status, out, _ = run(*words)
    assert status == 0
    assert "STOI" in out
    assert "callers, n = 1" in out
    status, out, _ = run(*words, "--voice", "agent", "--json")
    assert status == 0
    figures = json.loads(out)["figures"]
    assert [f["side"] for f in figures] == ["agent"]
    assert np.isfinite(figures[0]["stoi"])
