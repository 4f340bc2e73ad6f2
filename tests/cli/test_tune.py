"""`antiphon tune` as a user runs it; the tuning itself is tested beside its module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from antiphon.training import tune as tuning
from antiphon.training.tune import Outcome
from antiphon.training.tune_report import Report

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "cafe.yaml"
Run = Callable[..., tuple[int, str, str]]

REPORT = Report(
    exchanges=8,
    reward=1.5,
    terms={"gap": 0.75},
    right=0.5,
    early=0.125,
    answered=1.0,
    gap_median=0.32,
    gap_p95=0.8,
    yielded=None,
    held=1.0,
    risk=0.0,
    codes=3.0,
    text=0.2,
)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is exported; nothing is trained, and speech falls by a tenth."""
    exported: list[dict[str, Any]] = []

    class Tuned:
        def __init__(self, shop: Any, config: Any, start: Any) -> None:
            self.shop, self.duplex, self.config = shop, None, config

        def run(self, tell: Any) -> Outcome:
            assert self.config.steps == 3
            assert self.config.optimiser.learning_rate == 1e-6
            return Outcome(before=REPORT, after=REPORT.model_copy(update={"codes": 3.3}))

    def write(*_: Any, **told: Any) -> dict[str, float]:
        if told:
            exported.append(told)
        return {"megabytes": 1.0}

    monkeypatch.setattr(tuning, "Tuning", Tuned)
    monkeypatch.setattr("antiphon.bundle.export.write", write)
    monkeypatch.setattr("antiphon.training.pipeline.Workshop.codec", write)
    return exported


OPTIONS = ("--steps", "3", "--learning-rate", "1e-6")


def test_a_network_whose_speech_fell_is_not_exported(
    run: Run, written: list[dict[str, Any]]
) -> None:
    status, out, err = run("tune", RECIPE, *OPTIONS)
    assert status == 2
    assert written == []
    assert "speech fell" in err
    assert "--force" in err
    assert "orders called exactly" in out
    assert "0.320" in out


def test_it_is_exported_all_the_same_when_forced(
    run: Run, written: list[dict[str, Any]], tmp_path: Path
) -> None:
    status, _, err = run("tune", RECIPE, *OPTIONS, "--force", "--work", tmp_path)
    assert status == 0
    assert [told["folder"] for told in written] == [tmp_path / "cafe" / "bundle-tuned"]
    assert "Forced" in err


def test_nothing_trained_is_one_sentence(run: Run, tmp_path: Path) -> None:
    status, _, err = run("tune", RECIPE, "--work", tmp_path)
    assert status == 2
    assert "Traceback" not in err
    assert str(tmp_path) in err


def test_a_bundle_that_is_not_there_is_one_sentence(run: Run, tmp_path: Path) -> None:
    status, _, err = run("tune", RECIPE, "--work", tmp_path, "--start", tmp_path / "none")
    assert status == 2
    assert "is not there" in err
