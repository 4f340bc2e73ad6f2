"""A report as Markdown: for a terminal, a pull request, a card."""

from __future__ import annotations

from antiphon.evaluation.figures import Measured
from antiphon.evaluation.report.choose import chosen
from antiphon.evaluation.report.model import Report
from antiphon.evaluation.report.numbers import interval, number, title

_WORST = 12  # failing cases that a summary lists


def headline(report: Report) -> str:
    """What was measured, on what, with which n and seed: the line above every table."""
    run = report.run
    tries = (
        f"seeds {run.seed} to {run.seed + run.seeds - 1}" if run.seeds > 1 else f"seed {run.seed}"
    )
    return f"{run.system}: {len(report.cases)} trials, {run.data}; {tries}, 95 % intervals"


def summary(report: Report) -> str:
    """The whole report without its recordings."""
    lines = [f"# {report.run.system} under the standard evaluation", "", headline(report) + ".", ""]
    if report.failures:
        first, most = report.failures[0], len(report.failures) + len(report.cases)
        lines.append(f"**Could not be held: {len(report.failures)} of {most} trials**, the first")
        lines += [f"`{first.trial}`: {cell(first.why)}", ""]
    for suite in report.suites:
        lines += _table(suite)
    wrong = [case for case in chosen(report.cases) if case.ok is False]
    if wrong:
        lines += [f"## What went wrong ({len(wrong)} of {len(report.cases)} trials)", ""]
        for case in wrong[:_WORST]:
            why = "; ".join(v.why for v in case.verdicts if v.ok is False and v.why)
            lines.append(f"- `{case.id}` ({case.condition}): {cell(why) or 'not right'}")
        if len(wrong) > _WORST:
            lines.append(f"- and {len(wrong) - _WORST} more, in the page beside this file")
        lines.append("")
    return "\n".join(lines)


def cell(text: str) -> str:
    """Text that breaks no table: one line, no bars."""
    return " ".join(text.split()).replace("|", "\\|")


def _table(suite: Measured) -> list[str]:
    lines = [f"## {suite.suite}", "", "| figure | value | 95 % | n | better | |"]
    lines.append("|---|---|---|---|---|---|")
    for f in suite.figures:
        note = f.note if f.valid else f"**not valid** {f.note}".strip()
        better = "" if f.better == "none" else f.better
        lines.append(
            f"| {title(f.name)} | {number(f.value, f.unit)} | {interval(f.low, f.high, f.unit)} "
            f"| {f.n} | {better} | {cell(note)} |"
        )
    return [*lines, ""]
