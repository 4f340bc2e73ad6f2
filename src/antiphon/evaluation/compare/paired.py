"""Values stimulus by stimulus, and the differences between two systems' ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Literal

from antiphon.evaluation.bootstrap import Estimate, Grouped
from antiphon.evaluation.compare.model import Difference
from antiphon.evaluation.report.model import Report

_NOUGHT = 1e-9  # sums of equal values leave less than this

Values = Mapping[str, float]
"""Stimulus id -> a value, the mean over tries."""


def values_of(report: Report, among: Collection[str]) -> dict[str, Values]:
    """Of each figure that is a mean over trials, every stimulus's own value."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for suite in report.suites:
        for verdict in suite.verdicts:
            for name, value in verdict.values.items():
                if value is not None and verdict.trial in among:
                    full = name if "." in name else f"{suite.suite}.{name}"
                    found[full][verdict.trial].append(value)
    return {name: averaged(by_trial) for name, by_trial in found.items()}


def averaged(tries: Mapping[str, list[float]]) -> Values:
    """One value a stimulus."""
    return {trial: sum(values) / len(values) for trial, values in tries.items()}


def groups_of(report: Report) -> dict[str, str]:
    """What each stimulus is drawn together with: its voice, its pair."""
    return {case.id: case.group or case.id for case in report.cases}


def mean_of(values: Values, groups: Mapping[str, str]) -> Estimate:
    """The mean over stimuli; its interval draws whole groups."""
    return Grouped([groups.get(trial, trial) for trial in values]).mean(list(values.values()))


def difference(
    first: Values,
    other: Values,
    groups: Mapping[str, str],
    better: Literal["high", "low", "none"],
) -> Difference | None:
    """`other` less `first` over the stimuli of both; None where there is none of them."""
    # In one order whoever is first, so that the same draws are made of both directions.
    less = {trial: other[trial] - first[trial] for trial in sorted(first) if trial in other}
    found = mean_of(less, groups)
    if found.value is None or found.low is None or found.high is None:
        return None
    whose: Literal["first", "other", "none"] = "none"
    if better != "none" and (found.low > _NOUGHT or found.high < -_NOUGHT):
        whose = "other" if (found.low > 0) == (better == "high") else "first"
    return Difference(value=found.value, low=found.low, high=found.high, n=len(less), better=whose)
