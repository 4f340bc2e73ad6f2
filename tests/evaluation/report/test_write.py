from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.errors import CorpusError
from antiphon.evaluation.figures import Measured, Verdict
from antiphon.evaluation.report import Run, assemble, read, write
from tests.evaluation.report.made import report, trial


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = report(tmp_path)
    write(made, tmp_path)
    assert read(tmp_path) == made
    assert read(tmp_path / "report.json") == made


def test_a_folder_without_a_report_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"is no report .*antiphon eval SYSTEM"):
        read(tmp_path)
    (tmp_path / "report.json").write_text('{"format": "antiphon-report-1"}')
    with pytest.raises(CorpusError, match=r"report\.json: .*run"):
        read(tmp_path)


def test_the_summary_has_the_headline_every_figure_and_what_went_wrong(tmp_path: Path) -> None:
    write(report(tmp_path), tmp_path)
    text = (tmp_path / "summary.md").read_text()
    assert "tiny: 6 trials" in text
    assert "seed 3" in text
    assert "| pass 1 | 0.667 | [0.300, 0.900] | 6 | high |" in text
    assert "**not valid**" in text
    assert "- `task/order/000` (clean): heard a small latte" in text
    assert "Could not be held: 1 of 7 trials" in text


def test_verdicts_of_several_tries_go_to_their_own_seed() -> None:
    tries = [(trial(seed=seed), f"t.{seed}.flac") for seed in (0, 1)]
    verdicts = [
        Verdict(trial="task/order/000", suite="task", ok=True),
        Verdict(trial="task/order/000", suite="task", ok=False, why="not twice"),
    ]
    whole = Verdict(trial="task/order/000", suite="tone", ok=True)
    measured = [
        Measured(suite="task", figures=(), verdicts=tuple(verdicts)),
        Measured(suite="tone", figures=(), verdicts=(whole,)),
    ]
    made = assemble(Run(system="a", spec="a", data="two tries"), measured, tries)
    assert [case.ok for case in made.cases] == [True, False]
    assert [len(case.verdicts) for case in made.cases] == [2, 2]
