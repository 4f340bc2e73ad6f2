"""How risky calls are: counts that add up, and the figures that they come to.

Pure values: `Counts` of two stretches add; `Risk` is what a count comes to, with the number that
every share rests on. The definitions are those of docs/evaluation.md, as far as a running call can
know them: nobody tells it what the caller truly said, so a claim is held against the words heard.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from pydantic import BaseModel, ConfigDict

_Z95 = 1.959964  # the normal distribution's 97.5 % point


@dataclass
class Counts:
    """What was counted; all start at 0 and only grow."""

    calls: int = 0
    """Telephone calls."""
    minutes: float = 0.0
    agent_turns: int = 0
    caller_turns: int = 0
    hallucinated: int = 0
    """Turns of the agent's with a claim that nothing supports, heard or not."""
    tool_calls: int = 0
    invalid_calls: int = 0
    """Tool calls that broke a schema or the line's policy."""
    violations: int = 0
    """Turns with something unsafe, forbidden or personal."""
    blocks: int = 0
    over_blocks: int = 0
    """Blocks after which the caller said the same again, or that a person called wrong."""
    heard: int = 0
    """Blocks of which some of the wrong word had been played."""
    silence_answers: int = 0
    """Turns of the agent's that answered nobody in silence."""
    noise_answers: int = 0
    """The same in noise: a voice was heard, and no word."""
    judged: int = 0
    diverged: float = 0.0
    """Sum of the character error rates of turns that were read back."""
    confident: float = 0.0
    """Sum of confidences."""
    confidences: int = 0
    out_of_domain: int = 0
    """Turns of the caller's that the scenario's grammar cannot read, or reads as other talk."""
    toned: int = 0
    frustrated: int = 0
    """Turns of the caller's in an annoyed tone."""
    repeats: int = 0
    """Turns of the caller's that say again what they said before, or ask for it."""
    faults: int = 0
    missed: int = 0
    """Deadlines."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(self.values(), other.values(), strict=True)))

    def __sub__(self, other: Counts) -> Counts:
        return Counts(*(a - b for a, b in zip(self.values(), other.values(), strict=True)))

    def values(self) -> tuple[Any, ...]:
        """The numbers, in the order of the fields."""
        return tuple(getattr(self, field.name) for field in fields(self))

    def copy(self) -> Counts:
        """The same numbers."""
        return Counts(*self.values())


class Rate(BaseModel):
    """A share or a mean, what it rests on, and Wilson's 95 % interval where it is a share."""

    model_config = ConfigDict(frozen=True)

    value: float | None
    n: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.value is None:
            return "-"
        if self.low is None or self.high is None:
            return f"{self.value:.3g}"
        return f"{self.value:.3f}  [{self.low:.3f}, {self.high:.3f}]  (n = {self.n:.0f})"


class Risk(BaseModel):
    """A snapshot of one call, or of all calls in a window."""

    model_config = ConfigDict(frozen=True)

    time: float
    """When it was taken, on the monitor's clock (s)."""
    window: float | None = None
    """The seconds that it covers; None: all."""
    hallucination: Rate
    invalid_calls: Rate
    violations: Rate
    over_blocks: Rate
    """Of blocks."""
    heard: Rate
    """Of blocks: some of the wrong word was played."""
    silence_answers: Rate
    """A minute."""
    noise_answers: Rate
    divergence: Rate
    """Character error rate of the voice against its text."""
    confidence: Rate
    ece: Rate
    """Expected calibration error, where outcomes are known."""
    out_of_domain: Rate
    frustration: Rate
    repeats: Rate
    faults: Rate
    """A minute."""
    missed: Rate
    calls: int
    minutes: float
    blocks: int

    @property
    def rates(self) -> dict[str, Rate]:
        """Every rate by its name."""
        return {
            name: value
            for name in type(self).model_fields
            if isinstance(value := getattr(self, name), Rate)
        }

    def as_dict(self) -> dict[str, float]:
        """Flat numbers for metrics: `hallucination`, `hallucination_n`, ...; unknown ones left
        out."""
        flat: dict[str, float] = {
            "calls": float(self.calls),
            "minutes": self.minutes,
            "blocks": float(self.blocks),
        }
        for name, rate in self.rates.items():
            flat[f"{name}_n"] = float(rate.n)
            if rate.value is not None:
                flat[name] = rate.value
        return flat


def risk_of(
    counts: Counts, *, time: float = 0.0, window: float | None = None, ece: Rate | None = None
) -> Risk:
    """What counts come to."""
    c = counts
    return Risk(
        time=time,
        window=window,
        hallucination=share(c.hallucinated, c.agent_turns),
        invalid_calls=share(c.invalid_calls, c.tool_calls),
        violations=share(c.violations, c.agent_turns),
        over_blocks=share(c.over_blocks, c.blocks),
        heard=share(c.heard, c.blocks),
        silence_answers=_per(c.silence_answers, c.minutes),
        noise_answers=_per(c.noise_answers, c.minutes),
        divergence=_per(c.diverged, c.judged),
        confidence=_per(c.confident, c.confidences),
        ece=ece or Rate(value=None, n=0),
        out_of_domain=share(c.out_of_domain, c.caller_turns),
        frustration=share(c.frustrated, c.toned),
        repeats=share(c.repeats, c.caller_turns),
        faults=_per(c.faults, c.minutes),
        missed=_per(c.missed, c.minutes),
        calls=c.calls,
        minutes=round(c.minutes, 4),
        blocks=c.blocks,
    )


def share(hits: int, n: int) -> Rate:
    """`hits` of `n` with Wilson's score interval (Wilson 1927)."""
    if n <= 0:
        return Rate(value=None, n=0)
    p = min(hits / n, 1.0)
    centre = (p + _Z95**2 / (2 * n)) / (1 + _Z95**2 / n)
    half = _Z95 * math.sqrt(p * (1 - p) / n + _Z95**2 / (4 * n * n)) / (1 + _Z95**2 / n)
    low = max(0.0, centre - half) if hits else 0.0
    high = min(1.0, centre + half) if hits < n else 1.0
    return Rate(value=p, n=n, low=low, high=high)


def _per(total: float, n: float) -> Rate:
    return Rate(value=total / n if n > 0 else None, n=n)
