"""A report as data: what `report.json` holds."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from antiphon.evaluation.figures import Figure, Measured, Verdict
from antiphon.evaluation.trial import Costs


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Run(_Frozen):
    """How the trials were made; a headline names the data, n and the seed from here."""

    system: str
    """How the report calls it."""
    spec: str
    """What was asked for: a bundle's name, "cascade", "ws://..."."""
    live: bool = False
    """Whether its clock was the wall's: then its process time is not known."""
    data: str
    """What the stimuli are, in words."""
    stimuli: str = ""
    """A digest of the stimuli: reports with the same one were asked the same."""
    seed: int = 0
    seeds: int = 1
    """Tries of each task, with seeds from `seed` on."""
    size: str = "full"
    version: str = ""
    machine: str = ""
    date: str = ""
    seconds: float = 0.0
    """Wall time of trials and measuring, of this call alone where a run was resumed."""


class Failure(_Frozen):
    """A trial that could not be held, and why."""

    trial: str
    seed: int
    why: str


class Case(_Frozen):
    """One trial, without its sound: whose, what came of it, where it lies."""

    id: str
    """Stimulus id."""
    seed: int
    suite: str
    kind: str
    condition: str
    group: str = ""
    sound: str
    """Its recording, relative to the report."""
    seconds: float
    verdicts: tuple[Verdict, ...] = ()
    caller: str = ""
    """What the caller said, by the stimulus."""
    heard: str = ""
    """What the system says that the caller said."""
    agent: str = ""
    """What the system says that it said."""
    calls: tuple[str, ...] = ()
    told: dict[str, int] = {}
    """How many events of each type the system told beside its voice."""
    costs: Costs

    @property
    def ok(self) -> bool | None:
        """False where any suite says so; None where none had anything to say."""
        said = [verdict.ok for verdict in self.verdicts if verdict.ok is not None]
        return all(said) if said else None


class Report(_Frozen):
    """All that a run found."""

    format: Literal["antiphon-report-1"] = "antiphon-report-1"
    run: Run
    suites: tuple[Measured, ...]
    cases: tuple[Case, ...] = ()
    failures: tuple[Failure, ...] = ()

    @property
    def figures(self) -> dict[str, Figure]:
        """Every figure by its name."""
        return {figure.name: figure for suite in self.suites for figure in suite.figures}
