"""`antiphon risk` over the trials of an evaluation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from tests.bar import BAR
from tests.guard.talk import Talk, caller, sentence, tone
from typer.testing import CliRunner

from antiphon.cli.risk import risk
from antiphon.corpus.conversation import Conversation
from antiphon.errors import CorpusError
from antiphon.evaluation.script import Stimulus
from antiphon.evaluation.trial import Costs, Trial, save


class _Nothing:
    def review(self, events: Any) -> Any:
        return events


def run(*words: str) -> Any:
    app = typer.Typer()
    app.command()(risk)
    return CliRunner().invoke(app, list(words))


@pytest.fixture
def trials(tmp_path: Path) -> Path:
    (tmp_path / "bar.yaml").write_text(BAR)
    for number, text in enumerate(("okay a large latte", "okay a large mocha")):
        said = Talk(sentence(text), caller("can i get a large latte"), voice=tone).run(_Nothing())
        told = tuple(e for e in said.events if e.type in ("agent_word", "caller_word"))
        audio = np.stack([said.raw, np.zeros_like(said.raw)])
        stimulus = Stimulus(id=f"order/{number}", suite="task", kind="order", steps=())
        costs = Costs(p50=0, p99=0, mean=0, late=0)
        trial = Trial(stimulus, "test", 0, Conversation(audio), told, costs)
        (tmp_path / "trials").mkdir(exist_ok=True)
        save(trial, tmp_path / "trials" / f"{number}.flac")
    return tmp_path


def test_it_prints_figures_and_findings(trials: Path) -> None:
    out = run(str(trials), "--scenario", str(trials / "bar.yaml"))
    assert out.exit_code == 0, out.output
    assert "2 calls" in out.output
    assert "mocha" in out.output


def test_it_prints_json(trials: Path) -> None:
    out = run(str(trials), "--scenario", str(trials / "bar.yaml"), "--json")
    found = json.loads(out.output)
    assert found["risk"]["hallucination"]["value"] == 0.5
    acts = [[event["action"] for event in call["events"]] for call in found["calls"]]
    assert acts == [[], ["corrected", "blocked"]]


def test_a_folder_without_calls_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bar.yaml").write_text(BAR)
    out = run(str(tmp_path), "--scenario", str(tmp_path / "bar.yaml"))
    assert isinstance(out.exception, CorpusError)
    assert "neither trials" in str(out.exception)
