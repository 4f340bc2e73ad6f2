"""A comparison as a page, as Markdown, and as the table of a README."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from antiphon.corpus.disk import put
from antiphon.evaluation.compare.model import Comparison, Difference, Row
from antiphon.evaluation.compare.worth import conclusion
from antiphon.evaluation.figures import Figure
from antiphon.evaluation.report.markdown import cell
from antiphon.evaluation.report.numbers import interval, number, show

README_ROWS = {
    "task.pass_1": "task done (pass^1)",
    "task.acceptance": "single orders exactly right",
    "duplex.turn_tor": "takes its turn",
    "duplex.pause_tor": "takes the turn in a pause (low is right)",
    "duplex.yield": "yields to a barge-in within 2 s",
    "duplex.joint": "joint duplex score",
    "tone.flip": "right reply in every tone",
    "speech.divergence": "speech against its own text, character errors",
    "latency.first_audible_p50": "first audible sample, P50",
    "latency.first_audible_p95": "first audible sample, P95",
    "latency.real_time_factor": "real-time factor, one core",
    "robustness.mean": "kept on bad lines, mean",
    "robustness.worst": "kept on the worst line",
    "risk.hallucination": "turns with an unfounded claim",
    "risk.unsafe_compliance": "helps with what is unsafe",
    "risk.over_refusal": "refuses what is harmless",
}
"""Figures of the README's table, where the reports have them, in words."""


def write(comparison: Comparison, folder: Path) -> None:
    """Write `compare.html`, `compare.md` and `compare.json`. Raises CorpusError."""
    put(folder / "compare.json", comparison.model_dump_json(indent=1).encode())
    put(folder / "compare.md", markdown(comparison).encode())
    put(folder / "compare.html", page(comparison).encode())


def headline(comparison: Comparison) -> str:
    """Data, n and seeds of all columns."""
    runs = [column.run for column in comparison.columns]
    data = "; ".join(dict.fromkeys(run.data for run in runs))
    seeds = ", ".join(map(str, dict.fromkeys(run.seed for run in runs)))
    return f"{comparison.common} stimuli in common: {data}; seed {seeds}, 95 % intervals"


def page(comparison: Comparison) -> str:
    """One HTML page that asks nothing of the network. Raises AntiphonError without jinja2."""
    from antiphon.evaluation.report import plots
    from antiphon.evaluation.report.page import templates

    def _axis(row: Row) -> tuple[float, float]:
        return plots.scale([f for f in row.figures if f is not None], row.unit)

    suites: dict[str, list[Row]] = {}
    for row in comparison.rows:
        suites.setdefault(row.name.partition(".")[0], []).append(row)
    return (
        templates()
        .get_template("compare.html.j2")
        .render(
            comparison=comparison,
            headline=headline(comparison),
            conclusion=conclusion(comparison.worth),
            suites=suites,
            axis=_axis,
            whisker=plots.whisker,
            signed=signed,
        )
    )


def markdown(comparison: Comparison) -> str:
    """The whole comparison."""
    names = [column.name for column in comparison.columns]
    lines = [f"# {', '.join(names)}", "", headline(comparison) + ".", ""]
    for note in comparison.notes:
        lines += [f"> {note}", ""]
    if comparison.pair is not None:
        ours, cascade = comparison.pair
        lines += ["## When is end-to-end worth it?", "", conclusion(comparison.worth), ""]
        lines += _table(["", "figure", ours, cascade, "difference", "better"])
        for line in comparison.worth:
            cells = [line.subject, line.figure, line.end_to_end, line.cascade, line.difference]
            lines.append(_cells([*cells, line.winner]))
        lines.append("")
    lines += ["## All figures", "", f"Differences are to {names[0]}, stimulus by stimulus.", ""]
    lines += _table(["figure", names[0], *(n for name in names[1:] for n in (name, "difference"))])
    for row in comparison.rows:
        cells = [row.name, _shown(row.figures[0])]
        for figure, less in zip(row.figures[1:], row.differences, strict=True):
            cells += [_shown(figure), signed(less, row.unit)]
        lines.append(_cells(cells))
    return "\n".join([*lines, ""])


def readme_table(comparison: Comparison) -> str:
    """The table that a README carries: a few rows, a column a system, the data below."""
    rows = {row.name: row for row in comparison.rows}
    lines = _table(["", *(column.name for column in comparison.columns)])
    for name, words in README_ROWS.items():
        if name in rows:
            lines.append(_cells([words, *(_short(figure) for figure in rows[name].figures)]))
    return "\n".join([*lines, "", headline(comparison) + ".", ""])


def signed(less: Difference | None, unit: str) -> str:
    """`+value [low, high]`, or nothing."""
    if less is None:
        return ""
    sign = "+" if less.value > 0 else ""
    return f"{sign}{number(less.value, unit)} {interval(less.low, less.high, unit)}"


def _shown(figure: Figure | None) -> str:
    return "" if figure is None else show(figure)


def _short(figure: Figure | None) -> str:
    """As a README's table has it: two decimals, no noughts before the point."""
    if figure is None or figure.value is None:
        return "-"
    if not figure.valid:
        return "not valid"
    if figure.unit not in ("share", "ratio"):
        said = f"{number(figure.value, figure.unit)} "
        said += interval(figure.low, figure.high, figure.unit)
        return said.strip()
    value = _bare(figure.value)
    if figure.low is None or figure.high is None:
        return value
    return f"{value} [{_bare(figure.low)}, {_bare(figure.high)}]"


def _bare(value: float) -> str:
    text = f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.3f}"
    return text.removeprefix("0") if text.startswith("0.") and float(text) else text


def _table(names: Sequence[str]) -> list[str]:
    return [_cells(names), "|" + "---|" * len(names)]


def _cells(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell(text) for text in cells) + " |"
