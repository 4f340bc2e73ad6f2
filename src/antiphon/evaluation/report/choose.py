"""Which cases a page carries with their sound: it must stay small, and failures come first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from antiphon.evaluation.report.model import Case


def chosen(cases: Sequence[Case]) -> list[Case]:
    """All cases in the order in which they deserve room: failing ones, those that were only slow,
    then the others; within each, one of every kind and condition before a second of any."""
    ranked = [(_rank(case), case) for case in cases]
    return [case for rank in range(3) for case in _in_turn(c for r, c in ranked if r == rank)]


def _rank(case: Case) -> int:
    wrong = {verdict.suite for verdict in case.verdicts if verdict.ok is False}
    return 2 if not wrong else 1 if wrong == {"latency"} else 0


def _in_turn(cases: Iterable[Case]) -> list[Case]:
    piles: dict[tuple[str, str, str], list[Case]] = defaultdict(list)
    for case in cases:
        piles[case.suite, case.kind, case.condition].append(case)
    ranked = [
        (rank, pile, case) for pile, key in enumerate(piles) for rank, case in enumerate(piles[key])
    ]
    return [case for _, _, case in sorted(ranked, key=lambda row: row[:2])]
