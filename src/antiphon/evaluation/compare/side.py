"""Reports side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from antiphon.errors import AntiphonError
from antiphon.evaluation.compare.model import Column, Comparison, Row
from antiphon.evaluation.compare.paired import Values, difference, groups_of, mean_of, values_of
from antiphon.evaluation.compare.worth import CORE_HOUR, worth_of
from antiphon.evaluation.figures import Figure
from antiphon.evaluation.report.model import Report

BASELINES = ("silent", "talking", "vad", "echo")


class _Side(NamedTuple):
    name: str
    report: Report
    values: Mapping[str, Values]
    """Figure -> its values over the stimuli in common."""


def compare(reports: Sequence[tuple[str, Report]], *, core_hour: float = CORE_HOUR) -> Comparison:
    """Reports, each with its folder's name, side by side; differences are to the first one.

    Where the systems were not asked the same, means over trials are made again of the stimuli
    that all of them answered, and the others say so. Raises AntiphonError for fewer than two
    reports, or when there is no stimulus in common.
    """
    if len(reports) < 2:
        raise AntiphonError("a comparison needs two reports or more: antiphon compare A B")
    ids = [{case.id for case in report.cases} for _, report in reports]
    common = set[str].intersection(*ids)
    if not common:
        raise AntiphonError(
            "the reports have no stimulus in common, so nothing can be compared; "
            "run the systems on the same --stimuli"
        )
    same = all(own == common for own in ids)
    names = _names(reports)
    sides = [
        _Side(name, report, values_of(report, common))
        for name, (_, report) in zip(names, reports, strict=True)
    ]
    # What none of them could be measured by is no row.
    figures = dict.fromkeys(
        name
        for side in sides
        for name, figure in side.report.figures.items()
        if any(s.report.figures.get(name, figure).value is not None for s in sides)
    )
    pair = _pair(sides)
    return Comparison(
        columns=tuple(
            Column(
                name=side.name,
                folder=folder,
                run=side.report.run,
                trials=len(side.report.cases),
                failures=len(side.report.failures),
            )
            for side, (folder, _) in zip(sides, reports, strict=True)
        ),
        common=len(common),
        rows=tuple(_row(name, sides, same=same) for name in figures),
        pair=None if pair is None else (pair[0].name, pair[1].name),
        worth=()
        if pair is None
        else worth_of(pair[0].report, pair[1].report, common, core_hour=core_hour),
        core_hour=core_hour,
        notes=tuple(_notes(sides, len(common), same=same)),
    )


def _row(name: str, sides: Sequence[_Side], *, same: bool) -> Row:
    figures = [side.report.figures.get(name) for side in sides]
    pattern = next(figure for figure in figures if figure is not None)
    groups = groups_of(sides[0].report)
    values = [side.values.get(name) for side in sides]
    if not same:
        figures = [_again(f, own, groups) for f, own in zip(figures, values, strict=True)]
    first = values[0]
    return Row(
        name=name,
        unit=pattern.unit,
        better=pattern.better,
        figures=tuple(figures),
        differences=tuple(
            None if first is None or own is None else difference(first, own, groups, pattern.better)
            for own in values[1:]
        ),
    )


def _again(
    figure: Figure | None, values: Values | None, groups: Mapping[str, str]
) -> Figure | None:
    """A figure made of the stimuli in common, or, where it is no mean, as it was."""
    if figure is None:
        return None
    if not values:
        return figure.model_copy(update={"note": f"of all its own trials. {figure.note}".strip()})
    again = mean_of(values, groups)
    return figure.model_copy(
        update={"value": again.value, "low": again.low, "high": again.high, "n": len(values)}
    )


def _pair(sides: Sequence[_Side]) -> tuple[_Side, _Side] | None:
    """The end-to-end system and the cascade."""
    cascade = next((s for s in sides if s.report.run.spec.startswith("cascade")), None)
    others = [s for s in sides if not s.report.run.spec.startswith((*BASELINES, "cascade"))]
    return None if cascade is None or not others else (others[0], cascade)


def _names(reports: Sequence[tuple[str, Report]]) -> list[str]:
    """The systems' names, told apart by their folders where two have the same."""
    names = [report.run.system for _, report in reports]
    return [
        f"{name} ({folder})" if names.count(name) > 1 else name
        for name, (folder, _) in zip(names, reports, strict=True)
    ]


def _notes(sides: Sequence[_Side], common: int, *, same: bool) -> list[str]:
    notes: list[str] = []
    if not same:
        counts = [f"{s.name} {len({case.id for case in s.report.cases})}" for s in sides]
        notes.append(
            f"The systems did not answer the same stimuli ({', '.join(counts)}): only the {common} "
            "that all of them answered are compared; a figure that is no mean over trials is that "
            "of each system's own."
        )
    if len({side.report.run.stimuli for side in sides}) > 1:
        notes.append(
            "The reports are of different sets of stimuli; those with the same id are taken to "
            "be the same."
        )
    if len({side.report.run.seed for side in sides}) > 1:
        notes.append("The reports were made with different seeds.")
    lost = [f"{s.name} {len(s.report.failures)}" for s in sides if s.report.failures]
    if lost:
        notes.append(f"Trials that could not be held, in no figure: {', '.join(lost)}.")
    return notes
