"""What do the agent's own transcripts ask for, where its calls are right, and where they are wrong?

    antiphon eval cafe --suite task --scenario scenarios/cafe.yaml --out runs/report
    python benchmarks/readings.py --scenario scenarios/cafe.yaml --report runs/report

Takes the calls of one turn on a clean line out of a report's trials, and counts for each kind, by
whether the last call that the agent made was the one that was wanted, what the guard's check
`reading` makes of its transcript: nothing (the words are no sentence of the scenario's, or they say
what was called), or another call, which is right or wrong too.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from antiphon.corpus.scenario import Scenario, load_scenario
from antiphon.errors import AntiphonError
from antiphon.evaluation.trial import Trial, load
from antiphon.guard.checks import Rulebook
from antiphon.guard.reading import Second, SecondReading
from antiphon.guard.state import CallState
from antiphon.runtime.events import CallerWordEvent, CallEvent

COLUMNS = ("as it is", "other, right", "other, wrong")


class Found(NamedTuple):
    """A turn: its kind, whether the agent's call was right, and one of COLUMNS."""

    kind: str
    right: bool
    column: str


def trials(report: Path) -> Iterator[Trial]:
    """Calls of one turn that wants a tool's call, on a clean line."""
    for path in sorted((report / "trials" / "task").glob("*/*.flac")):
        trial = load(path)
        steps = trial.stimulus.steps
        if trial.stimulus.condition == "clean" and len(steps) == 1 and steps[0].expects:
            yield trial


def second_of(check: SecondReading, trial: Trial, scenario: Scenario) -> Second | None:
    """What the check would have done by the end of the turn, if anything."""
    state = CallState(scenario)
    for event in trial.told:
        if isinstance(event, CallerWordEvent):
            state.hear(event)
    second = check.of(state, state.waiting)
    if second is None:
        return None
    if trial.calls:
        last = trial.calls[-1]
        made = CallEvent(time=last.time, name=last.name, arguments=last.arguments)
        return second if check.of_call(made, state) is not None else None
    return second if not second.skipped else None


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenario", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True, help="what `antiphon eval` wrote")
    given = parser.parse_args()
    if not (given.report / "trials" / "task").is_dir():
        parser.error(f"{given.report}: there are no trials of the suite task")
    try:
        scenario = load_scenario(given.scenario)
        found_all = list(trials(given.report))
    except AntiphonError as problem:
        parser.error(str(problem))
    if not found_all:
        parser.error(f"{given.report}: holds no calls of one turn that want a tool's call")
    check = Rulebook(scenario).reading()
    assert check is not None
    counts = Counter(found(check, trial, scenario) for trial in found_all)
    print(f"{'':24}" + "".join(f"{column:>16}" for column in COLUMNS))
    for kind in sorted({key.kind for key in counts}):
        for right in (True, False):
            row = [counts[Found(kind, right, column)] for column in COLUMNS]
            name = f"{kind}, {'right' if right else 'wrong'}"
            print(f"{name:24}" + "".join(f"{count:16}" for count in row))


def found(check: SecondReading, trial: Trial, scenario: Scenario) -> Found:
    """One trial's place in the table."""
    wanted = trial.stimulus.steps[0].expects
    assert wanted is not None
    right = bool(trial.calls) and trial.calls[-1].arguments == wanted.arguments
    second = second_of(check, trial, scenario)
    if second is None:
        return Found(trial.stimulus.kind, right, COLUMNS[0])
    return Found(
        trial.stimulus.kind, right, COLUMNS[1 + (second.call.arguments != wanted.arguments)]
    )


if __name__ == "__main__":
    main()
