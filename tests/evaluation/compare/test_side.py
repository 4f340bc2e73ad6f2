from __future__ import annotations

import pytest

from antiphon.errors import AntiphonError
from antiphon.evaluation.compare import compare
from antiphon.evaluation.figures import Figure
from antiphon.evaluation.report import Report
from tests.evaluation.report.made import report


def named(made: Report, spec: str, **changes: object) -> Report:
    run = made.run.model_copy(update={"spec": spec, "system": spec, **changes})
    return made.model_copy(update={"run": run})


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    folder = tmp_path_factory.mktemp("reports")
    return {
        "cafe": named(report(folder, count=12, wrong=1, gap=0.4), "cafe"),
        "cascade": named(report(folder, count=12, wrong=9, gap=0.9), "cascade"),
        "silent": named(report(folder, count=12, wrong=12), "silent"),
    }


def pairs(reports: dict[str, Report], *names: str) -> list[tuple[str, Report]]:
    return [(name, reports[name]) for name in names]


def test_differences_are_to_the_first_stimulus_by_stimulus(reports: dict[str, Report]) -> None:
    made = compare(pairs(reports, "cafe", "cascade"))
    rows = {row.name: row for row in made.rows}
    (less,) = rows["task.pass_1"].differences
    assert less is not None
    assert less.value == pytest.approx(-8 / 12)
    assert less.low <= less.value <= less.high < 0
    assert (less.n, less.better) == (12, "first")
    (gap,) = rows["task.gap"].differences  # lower is better, and it is higher
    assert gap is not None
    assert (gap.value, gap.low, gap.high, gap.better) == (
        pytest.approx(500), pytest.approx(500), pytest.approx(500), "first",
    )  # fmt: skip
    assert rows["task.judge_cer"].differences == (None,)
    assert "task.nothing" not in rows


def test_a_system_beside_itself_has_no_difference(reports: dict[str, Report]) -> None:
    made = compare([("a", reports["cafe"]), ("b", reports["cafe"])])
    (less,) = next(row for row in made.rows if row.name == "task.pass_1").differences
    assert less is not None
    assert (less.value, less.low, less.high, less.better) == (0, 0, 0, "none")
    assert [column.name for column in made.columns] == ["cafe (a)", "cafe (b)"]
    assert made.pair is None


def test_only_what_all_answered_is_compared_and_said_so(reports: dict[str, Report]) -> None:
    less = reports["cascade"]
    some = less.model_copy(update={"cases": less.cases[3:]})
    made = compare([("a", reports["cafe"]), ("b", some)])
    assert made.common == 9
    assert "only the 9 that all of them answered" in made.notes[0]
    row = next(row for row in made.rows if row.name == "task.pass_1")
    first = row.figures[0]
    assert first is not None
    assert (first.value, first.n) == (1.0, 9)  # the one that it had wrong is not in common
    judge = next(row for row in made.rows if row.name == "task.judge_cer").figures[0]
    assert judge is not None
    assert judge.note.startswith("of all its own trials")


def test_nothing_in_common_and_too_few_reports_are_one_sentence(
    reports: dict[str, Report],
) -> None:
    other = reports["cascade"].model_copy(update={"cases": ()})
    with pytest.raises(AntiphonError, match="no stimulus in common"):
        compare([("a", reports["cafe"]), ("b", other)])
    with pytest.raises(AntiphonError, match="two reports or more"):
        compare(pairs(reports, "cafe"))


def test_end_to_end_is_held_against_the_cascade_in_seven_lines(
    reports: dict[str, Report],
) -> None:
    made = compare(pairs(reports, "silent", "cascade", "cafe"), core_hour=0.5)
    assert made.pair == ("cafe", "cascade")
    lines = {line.subject: line for line in made.worth}
    assert list(lines) == [
        "accuracy", "tone", "latency", "cost", "robustness", "interpretability", "risk",
    ]  # fmt: skip
    assert lines["accuracy"].winner == "end-to-end"
    assert lines["accuracy"].difference.startswith("+0.667")
    assert lines["tone"].winner == "unknown"
    # 8 ms of every 80 ms are a tenth of a core.
    assert lines["cost"].end_to_end.startswith("0.0500 [0.0500, 0.0500]")
    assert lines["cost"].winner == "neither"
    assert lines["interpretability"].end_to_end.startswith("0.800")


def test_a_live_systems_cost_is_not_known(reports: dict[str, Report]) -> None:
    live = named(reports["cafe"], "ws://x", live=True)
    made = compare([("a", live), ("b", reports["cascade"])])
    cost = next(line for line in made.worth if line.subject == "cost")
    assert (cost.winner, cost.end_to_end) == ("unknown", "- (its machine is not seen)")


def test_a_figure_that_is_not_valid_decides_nothing(reports: dict[str, Report]) -> None:
    def broken(made: Report) -> Report:
        suite = made.suites[0]
        figures = [
            f.model_copy(update={"valid": False}) if f.name == "task.pass_1" else f
            for f in suite.figures
        ]
        suites = (suite.model_copy(update={"figures": tuple(figures)}),)
        return made.model_copy(update={"suites": suites})

    made = compare([("a", broken(reports["cafe"])), ("b", reports["cascade"])])
    assert made.worth[0].winner == "unknown"


@pytest.mark.parametrize(
    ("mine", "other", "better", "winner"),
    [
        ((0.8, 0.9), (0.5, 0.7), "high", "end-to-end"),
        ((0.8, 0.9), (0.5, 0.7), "low", "cascade"),
        ((0.6, 0.9), (0.5, 0.7), "high", "neither"),
        ((0.6, 0.9), (0.1, 0.2), "none", "neither"),
    ],
)
def test_without_pairs_intervals_must_not_meet(
    reports: dict[str, Report],
    mine: tuple[float, float],
    other: tuple[float, float],
    better: str,
    winner: str,
) -> None:
    def with_risk(made: Report, ends: tuple[float, float]) -> Report:
        figure = Figure(
            name="risk.hallucination", value=sum(ends) / 2, low=ends[0], high=ends[1], n=9,
            better=better,  # pyright: ignore
        )  # fmt: skip
        suite = made.suites[0].model_copy(update={"suite": "risk", "figures": (figure,)})
        return made.model_copy(update={"suites": (*made.suites, suite)})

    made = compare(
        [("a", with_risk(reports["cafe"], mine)), ("b", with_risk(reports["cascade"], other))]
    )
    assert next(line for line in made.worth if line.subject == "risk").winner == winner
