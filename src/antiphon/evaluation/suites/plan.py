"""Which trials the suites ask for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Literal, NamedTuple, get_args

from antiphon.errors import AntiphonError, CorpusError
from antiphon.evaluation.script import Stimulus

Suite = Literal["task", "duplex", "tone", "speech", "latency", "robustness", "risk"]
SUITES: tuple[Suite, ...] = get_args(Suite)

READS: dict[Suite, tuple[str, ...]] = {
    "task": ("task",),
    "duplex": ("duplex",),
    "tone": ("tone",),
    "speech": ("task", "speech"),
    "latency": ("task", "duplex"),
    "robustness": ("task",),
    "risk": ("risk", "task"),
}
"""Whose stimuli each suite measures."""


class Job(NamedTuple):
    """A stimulus to be tried with a seed."""

    stimulus: Stimulus
    seed: int

    @property
    def sound(self) -> str:
        """Where its recording lies, relative to the report."""
        return f"trials/{self.stimulus.id}.{self.seed}.flac"


def suites_of(text: str) -> tuple[Suite, ...]:
    """The suites that "all" or "task,duplex" names, in a report's order. Raises AntiphonError."""
    asked = [name.strip() for name in text.split(",") if name.strip()]
    if "all" in asked:
        return SUITES
    unknown = sorted(set(asked).difference(SUITES))
    if unknown or not asked:
        raise AntiphonError(
            f'--suite {text}: there is no suite "{", ".join(unknown)}"; '
            f"name all, or some of {', '.join(SUITES)}"
        )
    return tuple(name for name in SUITES if name in asked)


def plan(
    stimuli: Sequence[Stimulus], suites: Collection[Suite], *, seed: int = 0, seeds: int = 1
) -> list[Job]:
    """The trials that `suites` need, each once, in the order of the set.

    seeds: tries of every clean task, for pass^k; all else is tried once, with `seed`.
    Raises CorpusError for an id that is no path inside a folder, or stands there twice.
    """
    wanted = {source for suite in suites for source in READS[suite]}
    jobs: list[Job] = []
    for stimulus in stimuli:
        _check(stimulus.id)
        clean = stimulus.condition == "clean"
        if stimulus.suite in wanted and (clean or "robustness" in suites):
            tries = seeds if clean and stimulus.suite == "task" else 1
            jobs += [Job(stimulus, seed + nth) for nth in range(tries)]
    sounds = [job.sound for job in jobs]
    if len(set(sounds)) < len(sounds):
        twice = next(sound for at, sound in enumerate(sounds) if sound in sounds[:at])
        raise CorpusError(f"two stimuli would be kept as {twice}; names must differ")
    return jobs


def reads(suite: Suite, job: Job) -> bool:
    """Whether a suite measures this trial."""
    clean = job.stimulus.condition == "clean"
    return job.stimulus.suite in READS[suite] and (clean or suite == "robustness")


def _check(name: str) -> None:
    path = PurePosixPath(name)
    inside = not path.is_absolute() and ".." not in path.parts and not PureWindowsPath(name).drive
    if not name or not inside or "\\" in name:
        raise CorpusError(
            f'the stimulus id "{name}" is no path inside a folder, such as task/order/007'
        )
