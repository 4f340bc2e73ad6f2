"""Whether a version has fallen behind the baseline: a test that may be looked at at any time.

Calls are taken in the order in which they ended and cut into blocks, each as soon as it has a call
of both versions. A block with n_c calls of the candidate and n_b of the baseline multiplies the
evidence by

    prod q_c^x (1 - q_c)^(1 - x)  *  prod q_b^x (1 - q_b)^(1 - x)  /  prod q_0^x (1 - q_0)^(1 - x)

where x is 1 for a call that went wrong, q_c and q_b are guessed from the blocks before, and
q_0 = (n_c q_c + n_b q_b) / (n_c + n_b). This is the e-variable of Turner, Ly and Gruenwald,
"Generic e-variables for exact sequential k-sample tests that allow for optional stopping"
(arXiv:2106.02693), with their prior of 0.18. It is used here only where q_c > q_b; then, because
log(1 + x) <= x, its mean is at most exp(c (p_c - p_b)) for some c > 0: at most 1 for every
candidate that is no worse, and not only for one that is the same.

The figures' evidences are averaged, which is evidence again (Vovk and Wang, "E-values: calibration,
combination and applications", 2021). By Ville's inequality the average ever reaches 1 / alpha with
a probability of at most alpha for a candidate that is no worse in any figure: looking often, or
stopping when it suits, costs nothing. Only the order of the calls' ends and who answered them may
decide the blocks; they do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from antiphon.guard.risk import Rate, share

PRIOR = 0.18  # pseudo-calls of either kind with which the guesses begin
_MOST = 700.0  # of a logarithm, so that its exponential is a number


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class Evidence(_View):
    """Shares of calls that went wrong, and the evidence that the candidate's is higher."""

    candidate: Rate
    baseline: Rate
    evidence: float
    """An e-value: 1 says nothing, 20 is one false alarm in twenty at most."""


class Verdict(_View):
    """What is known of a candidate against the baseline."""

    candidate: str
    baseline: str
    behind: bool
    """Whether it has fallen behind with the confidence that was asked for."""
    confidence: float
    evidence: float
    """The highest that the average over the figures ever was."""
    calls: int
    """Of the candidate."""
    baseline_calls: int
    figures: dict[str, Evidence]
    worst: str | None
    """The figure with the most evidence when there was most, where there was any."""

    def sentence(self) -> str:
        """What it comes to, in words."""
        if not self.behind or self.worst is None:
            if self.calls == 0:
                return "no call yet"
            return f"not behind {self.baseline} after {self.calls} calls"
        figure = self.figures[self.worst]
        theirs, ours = figure.baseline.value or 0.0, figure.candidate.value or 0.0
        return (
            f"behind {self.baseline} with {self.confidence:.0%} confidence after {self.calls} "
            f"calls: {self.worst} in {ours:.1%} of its calls against {theirs:.1%} of "
            f"{self.baseline_calls}"
        )


@dataclass
class _Figure:
    log_e: float = 0.0
    before: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    """(wrong, calls) of the candidate, then of the baseline, in the blocks that are closed."""

    def close(self, wrong: tuple[int, int], calls: tuple[int, int]) -> None:
        """A block: (candidate, baseline) each."""
        q_c, q_b = self._guess(0), self._guess(2)
        if q_c > q_b:
            (x_c, x_b), (n_c, n_b) = wrong, calls
            q_0 = (n_c * q_c + n_b * q_b) / (n_c + n_b)
            self.log_e += _log(x_c, n_c, q_c) + _log(x_b, n_b, q_b)
            self.log_e -= _log(x_c + x_b, n_c + n_b, q_0)
        for side in (0, 1):
            self.before[2 * side] += wrong[side]
            self.before[2 * side + 1] += calls[side]

    def _guess(self, side: int) -> float:
        wrong, calls = self.before[side], self.before[side + 1]
        return (wrong + PRIOR) / (calls + 2 * PRIOR)


def _log(wrong: int, calls: int, q: float) -> float:
    return wrong * math.log(q) + (calls - wrong) * math.log1p(-q)


def judge(
    calls: Iterable[tuple[bool, Mapping[str, bool]]],
    figures: Sequence[str],
    *,
    candidate: str = "candidate",
    baseline: str = "baseline",
    confidence: float = 0.95,
    least_calls: int = 1,
) -> Verdict:
    """The verdict over finished calls, in the order in which they ended.

    calls: (whether the candidate answered, what went wrong by figure); `figures` are those that
    count.
    """
    seen = {name: _Figure() for name in figures}
    totals = {name: [0, 0, 0, 0] for name in figures}
    count = [0, 0]
    block_calls, block_wrong = [0, 0], {name: [0, 0] for name in figures}
    highest, worst = 1.0, None
    for mine, failed in calls:
        side = 0 if mine else 1
        count[side] += 1
        block_calls[side] += 1
        for name in figures:
            wrong = bool(failed.get(name, False))
            block_wrong[name][side] += wrong
            totals[name][2 * side] += wrong
            totals[name][2 * side + 1] += 1
        if not all(block_calls):
            continue
        for name, figure in seen.items():
            x_c, x_b = block_wrong[name]
            figure.close((x_c, x_b), (block_calls[0], block_calls[1]))
        block_calls, block_wrong = [0, 0], {name: [0, 0] for name in figures}
        average = _average(seen.values())
        if count[0] >= least_calls and average > highest:
            highest, worst = average, max(seen, key=lambda name: seen[name].log_e)
    found = {
        name: Evidence(
            candidate=share(totals[name][0], totals[name][1]),
            baseline=share(totals[name][2], totals[name][3]),
            evidence=_number(seen[name].log_e),
        )
        for name in figures
    }
    return Verdict(
        candidate=candidate,
        baseline=baseline,
        behind=highest >= 1 / (1 - confidence),
        confidence=confidence,
        evidence=highest,
        calls=count[0],
        baseline_calls=count[1],
        figures=found,
        worst=worst,
    )


def _average(figures: Iterable[_Figure]) -> float:
    values = [_number(figure.log_e) for figure in figures]
    return sum(values) / len(values) if values else 1.0


def _number(log_e: float) -> float:
    return math.exp(min(log_e, _MOST))
