"""A comparison as data: what `compare.json` holds."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from antiphon.evaluation.figures import Figure
from antiphon.evaluation.report.model import Run


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Difference(_Frozen):
    """A figure of a system less the first system's, over the stimuli that both answered."""

    value: float
    low: float
    high: float
    n: int
    """Stimuli in common that have a value of it in both."""
    better: Literal["first", "other", "none"]
    """Whose figure is better, where the interval leaves no doubt."""


class Row(_Frozen):
    """One figure of every system."""

    name: str
    unit: str
    better: Literal["high", "low", "none"]
    figures: tuple[Figure | None, ...]
    differences: tuple[Difference | None, ...]
    """Of each system after the first; None where the figure is no mean over trials."""


class Column(_Frozen):
    """One system."""

    name: str
    folder: str
    run: Run
    trials: int
    failures: int


class Worth(_Frozen):
    """One line of the answer to "when is end-to-end worth it?"."""

    subject: str
    """"accuracy", "tone" ..."""
    figure: str
    """What was compared, in words."""
    end_to_end: str
    cascade: str
    difference: str
    winner: Literal["end-to-end", "cascade", "neither", "unknown"]
    """neither: the intervals leave it open; unknown: one of them has no such figure."""


class Comparison(_Frozen):
    """All of it."""

    format: Literal["antiphon-compare-1"] = "antiphon-compare-1"
    columns: tuple[Column, ...]
    common: int
    """Stimuli that every system answered."""
    rows: tuple[Row, ...]
    pair: tuple[str, str] | None
    """The end-to-end system and the cascade of `worth`, by name; None without both."""
    worth: tuple[Worth, ...] = ()
    core_hour: float
    """The price of an hour of one core that costs were reckoned with."""
    notes: tuple[str, ...] = ()
