"""When is end-to-end worth it? Seven lines, each a figure, against the modular cascade."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

from antiphon.evaluation.bootstrap import Estimate, ratio
from antiphon.evaluation.compare.model import Difference, Worth
from antiphon.evaluation.compare.paired import averaged, difference, groups_of, values_of
from antiphon.evaluation.figures import Figure
from antiphon.evaluation.report.model import Case, Report
from antiphon.evaluation.report.numbers import interval, number, show

CORE_HOUR = 0.05  # an assumption: dollars, about what clouds ask for a core on demand
FRAME = 0.08  # s: what `Costs.mean` is the process time of

INSPECTED = {
    "caller_word": "the caller's words",
    "agent_word": "its own words",
    "call": "calls",
    "tone": "the caller's tone",
    "turn": "its part in the turn",
}
"""What can be inspected while a system works, by the events that it tells."""

Winner = Literal["end-to-end", "cascade", "neither", "unknown"]


class Subject(NamedTuple):
    """A line: its name, and the figures that may stand for it, the first that both have."""

    name: str
    figures: tuple[str, ...]


BEFORE = (
    Subject("accuracy", ("task.pass_1", "task.acceptance")),
    Subject("tone", ("tone.flip",)),
    Subject("latency", ("latency.first_audible_p50", "latency.network_first_audible_p50")),
)
AFTER = (
    Subject("robustness", ("robustness.mean", "robustness.worst")),
    Subject("risk", ("risk.hallucination",)),
)


def worth_of(
    ours: Report, cascade: Report, common: Collection[str], *, core_hour: float = CORE_HOUR
) -> tuple[Worth, ...]:
    """The answer's lines, for an end-to-end system and a cascade; `common`: stimuli of both."""
    robustness, risk = (_of_figures(subject, ours, cascade, common) for subject in AFTER)
    return (
        *(_of_figures(subject, ours, cascade, common) for subject in BEFORE),
        _cost(ours, cascade, common, core_hour),
        robustness,
        _inspection(ours, cascade, common),
        risk,
    )


def conclusion(lines: Sequence[Worth]) -> str:
    """The answer in a sentence or three."""
    said: list[str] = []
    for winner, words in (
        ("end-to-end", "End-to-end is better in"),
        ("cascade", "The cascade is better in"),
        ("neither", "The intervals leave open"),
        ("unknown", "Not known for both:"),
    ):
        subjects = [line.subject for line in lines if line.winner == winner]
        if subjects:
            said.append(f"{words} {', '.join(subjects)}.")
    return " ".join(said)


def real_time_factor(cases: Sequence[Case]) -> Estimate:
    """Process time over the time of the calls, with its interval over trials."""
    seconds = [case.seconds for case in cases]
    return ratio([c.costs.mean / FRAME * c.seconds for c in cases], seconds)


def inspected(cases: Sequence[Case]) -> dict[str, float]:
    """For each kind of event, the share of trials in which the system told one."""
    return {
        kind: sum(case.told.get(kind, 0) > 0 for case in cases) / max(1, len(cases))
        for kind in INSPECTED
    }


def _of_figures(subject: Subject, ours: Report, cascade: Report, common: Collection[str]) -> Worth:
    mine, other = ours.figures, cascade.figures
    name = next((name for name in subject.figures if name in mine and name in other), None)
    if name is None:
        asked = " or ".join(subject.figures)
        return _line(subject.name, asked, ("-", "-"), None, "unknown")
    a, b = mine[name], other[name]
    shown = (show(a), show(b))
    if a.value is None or b.value is None or not (a.valid and b.valid):
        return _line(subject.name, name, shown, None, "unknown")
    values = values_of(ours, common).get(name), values_of(cascade, common).get(name)
    paired = None
    if values[0] and values[1]:
        paired = difference(values[1], values[0], groups_of(ours), a.better)
    if paired is None:
        return _line(subject.name, name, shown, None, _apart(a, b))
    return _line(subject.name, name, shown, paired, _winner(paired), a.unit)


def _cost(ours: Report, cascade: Report, common: Collection[str], price: float) -> Worth:
    what = f"an hour of call, at {price:g} an hour of a core"
    shown: list[str] = []
    values: list[dict[str, list[float]]] = []
    for report in (ours, cascade):
        cases = [case for case in report.cases if case.id in common]
        found = real_time_factor(cases)
        tries: dict[str, list[float]] = defaultdict(list)
        for case in cases:
            tries[case.id].append(case.costs.mean / FRAME * price)
        values.append(tries)
        if report.run.live or found.value is None or found.low is None or found.high is None:
            shown.append("- (its machine is not seen)" if report.run.live else "-")
        else:
            shown.append(
                f"{found.value * price:.4f} [{found.low * price:.4f}, {found.high * price:.4f}] "
                f"(real-time factor {found.value:.3f})"
            )
    if ours.run.live or cascade.run.live:
        return _line("cost", what, (shown[0], shown[1]), None, "unknown")
    paired = difference(averaged(values[1]), averaged(values[0]), groups_of(ours), "low")
    told = "" if paired is None else f"{paired.value:+.4f} [{paired.low:.4f}, {paired.high:.4f}]"
    line = _line("cost", what, (shown[0], shown[1]), paired, _winner(paired))
    return line.model_copy(update={"difference": told + _paired(paired)})


def _inspection(ours: Report, cascade: Report, common: Collection[str]) -> Worth:
    shown: list[str] = []
    values: list[dict[str, list[float]]] = []
    for report in (ours, cascade):
        cases = [case for case in report.cases if case.id in common]
        table = inspected(cases)
        parts = ", ".join(f"{INSPECTED[kind]} {part:.2f}" for kind, part in table.items())
        shown.append(f"{sum(table.values()) / len(table):.3f} ({parts})")
        tries: dict[str, list[float]] = defaultdict(list)
        for case in cases:
            told = sum(case.told.get(kind, 0) > 0 for kind in INSPECTED)
            tries[case.id].append(told / len(INSPECTED))
        values.append(tries)
    paired = difference(averaged(values[1]), averaged(values[0]), groups_of(ours), "high")
    what = "share of trials that told each of five things, mean"
    return _line("interpretability", what, (shown[0], shown[1]), paired, _winner(paired))


def _winner(paired: Difference | None) -> Winner:
    """`paired` is end-to-end less the cascade."""
    if paired is None:
        return "unknown"
    if paired.better == "none":
        return "neither"
    return "end-to-end" if paired.better == "other" else "cascade"


def _apart(mine: Figure, other: Figure) -> Winner:
    """Whose figure is better where the two intervals do not meet."""
    if mine.low is None or mine.high is None or other.low is None or other.high is None:
        return "unknown"
    if mine.better == "none" or (mine.low <= other.high and mine.high >= other.low):
        return "neither"
    return "end-to-end" if (mine.low > other.high) == (mine.better == "high") else "cascade"


def _line(
    subject: str,
    figure: str,
    shown: tuple[str, str],
    paired: Difference | None,
    winner: Winner,
    unit: str = "share",
) -> Worth:
    told = ""
    if paired is not None:
        sign = "+" if paired.value > 0 else ""
        told = f"{sign}{number(paired.value, unit)} {interval(paired.low, paired.high, unit)}"
    elif winner in ("end-to-end", "cascade", "neither"):
        told = "not paired: the intervals " + ("meet" if winner == "neither" else "do not meet")
    return Worth(
        subject=subject,
        figure=figure,
        end_to_end=shown[0],
        cascade=shown[1],
        difference=told + _paired(paired),
        winner=winner,
    )


def _paired(paired: Difference | None) -> str:
    return "" if paired is None else f", paired, n = {paired.n}"
