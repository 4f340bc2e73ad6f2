"""One system through the suites: stimuli, trials, figures, report."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

import antiphon
from antiphon.corpus.disk import put
from antiphon.errors import AntiphonError, CorpusError
from antiphon.evaluation.report import Report, Run, assemble, write
from antiphon.evaluation.script import Stimulus
from antiphon.evaluation.suites.hold import hold_all
from antiphon.evaluation.suites.measure import judge_of, measure_all
from antiphon.evaluation.suites.plan import SUITES, Suite, plan
from antiphon.evaluation.suites.stage import Subject, need, scenario_at, scenario_for
from antiphon.evaluation.suites.stored import load_all

if TYPE_CHECKING:
    from antiphon.evaluation.stimuli import StimulusSet

Watch = Callable[[str, int], Callable[[], None]]
"""Told that a phase of so many steps begins; what it gives is called after each of them."""

WHOSE = "run.json"  # whose trials lie in a folder


class Wanted(BaseModel):
    """What is asked of a run."""

    model_config = ConfigDict(frozen=True)

    spec: str
    """As `systems.open_system` takes it."""
    suites: tuple[Suite, ...] = SUITES
    size: Literal["quick", "full"] = "full"
    seed: int = 0
    seeds: int = 1
    stimuli: Path | None = None
    """A set that is built already; None builds one in `stimuli` of the run's folder."""
    scenario: Path | None = None
    conditions: tuple[str, ...] | None = None
    """States of the line for robustness; None: those that are in the set."""
    data: Path | None = None
    """A manifest of real orders."""
    other: Path | None = None
    """A folder of speech that asks for nothing."""
    judge: Path | None = None
    workers: int = 1
    calls: int = 1
    """Calls at a time to a system whose clock is the wall's."""


def _quiet(_what: str, _steps: int) -> Callable[[], None]:
    return lambda: None


def evaluate(
    wanted: Wanted, out: Path, watch: Watch = _quiet, *, stimuli: Path | None = None
) -> Report:
    """Judge a system and write the report to `out`; trials that lie there are not held again.

    stimuli: where a set is built if none was named, `out`/stimuli if not said.

    Raises AntiphonError where the system, the stimuli or the judge cannot be had, `out` holds
    another system's trials, or no trial at all could be held.
    """
    need("jinja2", "eval", "a report")
    began = time.monotonic()
    path = scenario_for(wanted.spec, wanted.scenario)
    folder = wanted.stimuli or stimuli or out / "stimuli"
    subject = Subject(wanted.spec, path, folder, wanted.judge)
    system = subject.system()
    judge_of(subject)  # one that cannot be read is told of now, not after an hour of calls
    own_out(out, subject)
    asked, told = gathered(wanted, path, folder, watch)
    jobs = plan(asked.stimuli, wanted.suites, seed=wanted.seed, seeds=wanted.seeds)
    if not jobs:
        raise AntiphonError(f"{folder} has no stimulus for {', '.join(wanted.suites)}")
    held = hold_all(
        jobs,
        subject,
        out,
        workers=wanted.calls if system.live else wanted.workers,
        progress=watch(f"calling {system.name}", len(jobs)),
    )
    if not held.sounds:
        first = held.failures[0]
        raise AntiphonError(
            f"{system.name}: not one of {len(jobs)} trials could be held; "
            f"{first.trial}: {first.why}"
        )
    there = set(held.sounds)
    kept = [job for job in jobs if job.sound in there]
    measured = measure_all(
        wanted.suites,
        kept,
        subject,
        out,
        live=system.live,
        workers=wanted.workers,
        progress=watch("measuring", len(wanted.suites)),
    )
    run = Run(
        system=system.name,
        spec=wanted.spec,
        live=system.live,
        data=told,
        stimuli=digest(asked.stimuli),
        seed=wanted.seed,
        seeds=wanted.seeds,
        size=wanted.size,
        version=antiphon.__version__,
        machine=_machine(),
        date=datetime.now(UTC).date().isoformat(),
        seconds=round(time.monotonic() - began, 1),
    )
    sounds = [job.sound for job in kept]
    trials = zip(load_all(out, sounds), sounds, strict=True)
    report = assemble(run, measured, trials, held.failures)
    write(report, out)
    return report


def gathered(
    wanted: Wanted, scenario_path: Path, folder: Path, watch: Watch = _quiet
) -> tuple[StimulusSet, str]:
    """The stimuli, built where they are not, with recordings and conditions; and in words."""
    from antiphon.evaluation.stimuli import (
        StimulusSet,
        build,
        from_folder,
        from_manifest,
        stressed,
    )

    scenario = scenario_at(scenario_path)
    if wanted.stimuli is None:
        step = _Counted(watch, "making stimuli")
        made = build(scenario, folder, seed=wanted.seed, size=wanted.size, progress=step)
    else:
        made = StimulusSet.open(folder)
        if made.facts.scenario != scenario.name:
            raise CorpusError(
                f"{folder} holds stimuli of the scenario {made.facts.scenario}, and "
                f"{wanted.spec} is judged in {scenario.name}; name one with --scenario"
            )
    more: list[Stimulus] = []
    told = f"stimuli of the scenario {made.facts.scenario} made with seed {made.facts.seed} "
    told += "in held-out voices"
    if wanted.data is not None:
        recorded = from_manifest(scenario, wanted.data)
        more += recorded
        told += f", {len(recorded)} recordings of {_short(wanted.data)}"
    if wanted.other is not None:
        strangers = from_folder(scenario, wanted.other)
        more += strangers
        told += f", {len(strangers)} of other speech from {_short(wanted.other)}"
    if wanted.conditions is not None:
        asked = _known(wanted.conditions)
        clean = [s for s in made.stimuli if s.condition == "clean"]
        there = {s.condition for s in made.stimuli}
        count = max((_count(made.stimuli, name) for name in there if name != "clean"), default=14)
        kept = [*clean, *(s for s in made.stimuli if s.condition in asked)]
        missing = [name for name in asked if name not in there]
        made = StimulusSet(made.folder, made.facts, kept)
        more += stressed(clean, missing, count)
    return made.joined(more), told


def own_out(out: Path, subject: Subject) -> None:
    """Note in `out` whose trials it holds. Raises CorpusError where they are another system's."""
    mine = {"spec": subject.spec, "identity": subject.identity}
    if (out / WHOSE).exists():
        try:
            theirs: Any = json.loads((out / WHOSE).read_text(encoding="utf-8"))
            whose = str(theirs["spec"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CorpusError(f"{out / WHOSE} cannot be read; choose another --out") from error
        if theirs != mine:
            what = "an earlier build of it" if whose == subject.spec else whose
            raise CorpusError(
                f"{out} holds trials of {what}, not of {subject.spec} as it is now; "
                "choose another --out, or remove that folder"
            )
        return
    put(out / WHOSE, json.dumps(mine).encode())


def digest(stimuli: Sequence[Stimulus]) -> str:
    """Twelve characters that tell one set of stimuli from another."""
    rows = "".join(stimulus.model_dump_json() for stimulus in stimuli)
    return hashlib.sha256(rows.encode()).hexdigest()[:12]


class _Counted:
    """Turns (done, of how many) into steps of a phase."""

    def __init__(self, watch: Watch, what: str) -> None:
        self._watch, self._what = watch, what
        self._advance: Callable[[], None] | None = None

    def __call__(self, _done: int, of: int) -> None:
        if self._advance is None:
            self._advance = self._watch(self._what, of)
        self._advance()


def _machine() -> str:
    return f"{os.cpu_count()} cores of {platform.machine()}, Python {platform.python_version()}"


def _known(conditions: Sequence[str]) -> tuple[str, ...]:
    from antiphon.evaluation.conditions import CONDITIONS

    names = list(CONDITIONS) if "all" in conditions else list(conditions)
    unknown = [name for name in names if name not in CONDITIONS]
    if unknown:
        raise AntiphonError(
            f'--conditions: there is no condition "{unknown[0]}"; there is {", ".join(CONDITIONS)}'
        )
    return tuple(name for name in names if name != "clean")


def _count(stimuli: Sequence[Stimulus], condition: str) -> int:
    return sum(stimulus.condition == condition for stimulus in stimuli)


def _short(path: Path) -> str:
    """The last two parts of a path: a report names data, not somebody's disk."""
    return "/".join(path.parts[-2:])
