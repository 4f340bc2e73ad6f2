"""What suites measure with beside the trials, and how they write their figures down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

import numpy as np
import numpy.typing as npt

from antiphon.audio import SAMPLE_RATE
from antiphon.bundle.manifest import BundleManifest
from antiphon.corpus.scenario import Scenario
from antiphon.evaluation.bootstrap import Estimate, Grouped
from antiphon.evaluation.figures import Figure, Measured
from antiphon.evaluation.judge import Judge
from antiphon.evaluation.speech import VALID, Natural
from antiphon.evaluation.statistics import share as wilson
from antiphon.evaluation.trial import Trial
from antiphon.runtime.events import Samples

Better = Literal["high", "low", "none"]
Unit = Literal["share", "ms", "s", "per minute", "ratio", "score", "count", "bits"]
Score = Callable[[Samples], float]
Embed = Callable[[Samples], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Tools:
    """All that a suite may need to know beside the trials; what is None is not measured."""

    scenario: Scenario
    judge: Judge | None = None
    """Reads the agent's voice."""
    judge_cer: float | None = None
    """Its own character error rate on that voice; None takes its card's."""
    listener: Judge | None = None
    """Reads callers, whatever is on their line."""
    natural: Natural | None = None
    """DNSMOS of samples (`evaluation.codec.naturalness`)."""
    distill: Score | None = None
    """distillmos of samples, 1 to 5; needs torch, so it is handed in where there is one."""
    embed: Embed | None = None
    """A speaker's vector, float32 [D] (Resemblyzer); see `speaker_vectors`."""
    algorithmic: float | None = None
    """Seconds of delay by construction; see `algorithmic_delay`."""
    live: bool = False
    """Whether the system ran on the wall's clock: then its times include the network."""
    backchannels: Mapping[str, Sequence[float]] = field(
        default_factory=lambda: cast("dict[str, Sequence[float]]", {})
    )
    """When people gave backchannels, by stimulus id: seconds from the turn's start."""

    @property
    def judge_error(self) -> float | None:
        """The judge's own character error rate; None where it is not known."""
        if self.judge_cer is not None or self.judge is None:
            return self.judge_cer
        return self.judge.card.cer

    @property
    def judge_valid(self) -> bool:
        """Whether what the judge reads can be relied on."""
        return self.judge_error is not None and self.judge_error <= VALID


Measure = Callable[[Sequence[Trial], Tools], Measured]


def algorithmic_delay(manifest: BundleManifest) -> float:
    """Seconds from a caller's sample to the earliest agent's sample that can depend on it: the
    frame that must be full, and what the codec looks ahead."""
    return (manifest.frame + manifest.delays.codec_lookahead) / manifest.sample_rate


def speaker_vectors() -> Embed | None:
    """Resemblyzer's speaker vectors (its weights come with it), or None where it is missing."""
    try:
        # Optional, and without types.
        from resemblyzer import VoiceEncoder  # pyright: ignore
    except ImportError:
        return None
    encoder = VoiceEncoder("cpu", verbose=False)  # pyright: ignore
    return cast("Embed", encoder.embed_utterance)  # pyright: ignore


def group_of(trial: Trial) -> str:
    """What a trial is drawn together with."""
    return trial.stimulus.group or trial.stimulus.id


def clean(trials: Sequence[Trial], *suites: str) -> list[Trial]:
    """The trials of these suites' stimuli on an undisturbed line, in their order."""
    return [t for t in trials if t.stimulus.suite in suites and t.stimulus.condition == "clean"]


def kinds(trials: Sequence[Trial], *names: str) -> list[Trial]:
    """The trials of stimuli of these kinds."""
    return [trial for trial in trials if trial.stimulus.kind in names]


def cut(samples: Samples, start: float, end: float) -> Samples:
    """The samples from `start` to `end`, seconds."""
    return samples[max(0, round(start * SAMPLE_RATE)) : max(0, round(end * SAMPLE_RATE))]


# -- figures -------------------------------------------------------------------


def share(
    name: str, hits: Sequence[bool], *, better: Better = "high", note: str = "", valid: bool = True
) -> Figure:
    """The share of hits, with Wilson's interval; no value where there is nothing to share."""
    if not hits:
        return Figure(name=name, value=None, n=0, better=better, note=note, valid=valid)
    found = wilson(sum(hits), len(hits))
    return Figure(
        name=name,
        value=found.share,
        low=found.low,
        high=found.high,
        n=found.n,
        better=better,
        note=note,
        valid=valid,
    )


def estimated(
    name: str,
    estimate: Estimate,
    unit: Unit,
    *,
    better: Better = "high",
    note: str = "",
    valid: bool = True,
) -> Figure:
    """A bootstrap estimate as a figure."""
    return Figure(
        name=name,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=estimate.n if estimate.value is not None else 0,
        unit=unit,
        better=better,
        note=note,
        valid=valid,
    )


def nothing(name: str, unit: Unit, *, better: Better = "high", note: str = "") -> Figure:
    """A figure that could not be measured."""
    return Figure(name=name, value=None, n=0, unit=unit, better=better, note=note)


@dataclass
class Series:
    """Values with the group of each; None is left out, so that a figure's n is what it rests on."""

    values: list[float] = field(default_factory=list[float])
    groups: list[str] = field(default_factory=list[str])

    def add(self, value: float | None, group: str) -> None:
        """One more, unless there is none."""
        if value is not None and np.isfinite(value):
            self.values.append(float(value))
            self.groups.append(group)

    def mean(self, name: str, unit: Unit, *, better: Better = "high", note: str = "") -> Figure:
        """The mean, groups drawn."""
        return estimated(
            name, Grouped(self.groups).mean(self.values), unit, better=better, note=note
        )

    def percentile(
        self, name: str, q: float, unit: Unit, *, better: Better = "low", note: str = ""
    ) -> Figure:
        """The q-th percentile, groups drawn."""
        found = Grouped(self.groups).percentile(self.values, q)
        return estimated(name, found, unit, better=better, note=note)
