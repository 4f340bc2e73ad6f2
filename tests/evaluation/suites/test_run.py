from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.errors import AntiphonError, CorpusError
from antiphon.evaluation.report import Report, read
from antiphon.evaluation.suites import suites_of
from antiphon.evaluation.suites.run import Wanted, evaluate
from tests.evaluation.suites.made import stimulus_set


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stimulus_set(tmp_path_factory.mktemp("set") / "stimuli")


def wanted(spec: str | Path, stimuli: Path, suites: str = "task,risk,robustness") -> Wanted:
    return Wanted(
        spec=str(spec),
        suites=suites_of(suites),
        stimuli=stimuli,
        scenario=stimuli / "tiny.yaml",
    )


@pytest.fixture(scope="module")
def judged(
    stimuli: Path, _tiny_once: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Report]:
    out = tmp_path_factory.mktemp("judged")
    return out, evaluate(wanted(_tiny_once, stimuli), out)


def test_an_agent_is_judged_from_stimuli_to_report(judged: tuple[Path, Report]) -> None:
    out, report = judged
    assert [suite.suite for suite in report.suites] == ["task", "robustness", "risk"]
    assert report.figures["task.pass_1"].value == 1.0
    assert report.figures["robustness.mulaw"].value == 1.0
    assert report.figures["risk.silence_answers"].value == 0.0
    assert len(report.cases) == 5
    assert read(out) == report
    assert {path.name for path in out.iterdir()} == {
        "index.html", "report.json", "summary.md", "run.json", "trials",
    }  # fmt: skip


def test_two_runs_agree_to_the_digit(
    judged: tuple[Path, Report], stimuli: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    again = evaluate(wanted(tiny_bundle, stimuli), tmp_path)
    assert again.suites == judged[1].suites
    assert again.run.stimuli == judged[1].run.stimuli


def test_a_run_of_more_suites_holds_only_what_is_missing(stimuli: Path, tmp_path: Path) -> None:
    phases: list[tuple[str, int]] = []

    def watch(what: str, steps: int):
        phases.append((what, steps))
        return lambda: None

    evaluate(wanted("silent", stimuli, "task"), tmp_path, watch)
    first = (tmp_path / "trials/task/order/000.0.flac").stat().st_mtime_ns
    report = evaluate(wanted("silent", stimuli, "task,risk"), tmp_path, watch)
    assert (tmp_path / "trials/task/order/000.0.flac").stat().st_mtime_ns == first
    assert phases == [
        ("calling silent", 2), ("measuring", 1), ("calling silent", 3), ("measuring", 2),
    ]  # fmt: skip
    assert report.figures["task.pass_1"].value == 0.0


def test_another_systems_folder_is_refused(stimuli: Path, tmp_path: Path) -> None:
    evaluate(wanted("silent", stimuli, "task"), tmp_path)
    with pytest.raises(CorpusError, match="holds trials of silent, not of echo"):
        evaluate(wanted("echo", stimuli, "task"), tmp_path)


def test_an_earlier_build_of_a_bundle_is_another_system(
    stimuli: Path, own_bundle: Path, tmp_path: Path
) -> None:
    evaluate(wanted(own_bundle, stimuli, "task"), tmp_path / "out")
    text = (own_bundle / "manifest.json").read_text()
    (own_bundle / "manifest.json").write_text(text + "\n")
    with pytest.raises(CorpusError, match="an earlier build of it"):
        evaluate(wanted(own_bundle, stimuli, "task"), tmp_path / "out")


def test_conditions_can_be_chosen_and_added(stimuli: Path, tmp_path: Path) -> None:
    asked = wanted("silent", stimuli, "robustness").model_copy(
        update={"conditions": ("gain-24", "clean")}
    )
    report = evaluate(asked, tmp_path)
    assert {case.condition for case in report.cases} == {"clean", "gain-24"}
    with pytest.raises(AntiphonError, match='no condition "fog"'):
        evaluate(asked.model_copy(update={"conditions": ("fog",)}), tmp_path)


def test_stimuli_of_another_scenario_are_refused(stimuli: Path, tmp_path: Path) -> None:
    asked = wanted("silent", stimuli).model_copy(update={"scenario": Path("scenarios/cafe.yaml")})
    with pytest.raises(CorpusError, match="name one with --scenario"):
        evaluate(asked, tmp_path)


def test_a_suite_without_stimuli_is_one_sentence(stimuli: Path, tmp_path: Path) -> None:
    with pytest.raises(AntiphonError, match="no stimulus for tone"):
        evaluate(wanted("silent", stimuli, "tone"), tmp_path)


def test_a_system_that_answers_no_call_is_one_sentence(stimuli: Path, tmp_path: Path) -> None:
    with pytest.raises(AntiphonError, match="not one of 2 trials could be held"):
        evaluate(wanted("ws://127.0.0.1:9/none", stimuli, "task"), tmp_path)


def test_a_judge_that_is_none_is_told_of_before_anybody_calls(
    stimuli: Path, tmp_path: Path
) -> None:
    asked = wanted("silent", stimuli).model_copy(update={"judge": tmp_path / "none"})
    with pytest.raises(AntiphonError, match="no judge here"):
        evaluate(asked, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.flac"))
