"""What a suite gives: figures with their intervals, and a verdict on every trial."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Figure(_Frozen):
    """One figure over n trials; value and interval are None where nothing could be measured."""

    name: str
    """Its suite and its own name: "duplex.turn_tor". docs/evaluation.md defines every one."""
    value: float | None
    low: float | None = None
    high: float | None = None
    """The 95 % interval."""
    n: int
    unit: Literal["share", "ms", "s", "per minute", "ratio", "score", "count", "bits"] = "share"
    better: Literal["high", "low", "none"] = "high"
    valid: bool = True
    """False where the yardstick itself is not good enough (a judge above 5 % errors)."""
    note: str = ""


class Verdict(_Frozen):
    """One trial under one suite's eyes."""

    trial: str
    """Stimulus id."""
    suite: str
    ok: bool | None
    """None: nothing to be right or wrong about."""
    why: str = ""
    """One sentence for whoever opens the case."""
    values: dict[str, float | None] = {}
    """The trial's own value of each figure that is a mean over trials, for paired comparison."""


class Measured(_Frozen):
    """A suite's outcome."""

    suite: str
    figures: tuple[Figure, ...]
    verdicts: tuple[Verdict, ...] = ()
