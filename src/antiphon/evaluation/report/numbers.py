"""How figures are printed, everywhere the same."""

from __future__ import annotations

import math

from antiphon.evaluation.figures import Figure

_FORMS = {
    "share": ("{:.3f}", ""),
    "ms": ("{:.0f}", " ms"),
    "s": ("{:.2f}", " s"),
    "per minute": ("{:.2f}", " /min"),
    "ratio": ("{:.3f}", ""),
    "score": ("{:.2f}", ""),
    "count": ("{:.0f}", ""),
    "bits": ("{:.3f}", " bit"),
}


def number(value: float | None, unit: str = "share", *, bare: bool = False) -> str:
    """A value in its unit; `bare` leaves the unit's name away. "-" where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    form, name = _FORMS[unit]
    shown = form.format(value)
    if not float(shown):
        shown = shown.removeprefix("-")
    return shown if bare else shown + name


def interval(low: float | None, high: float | None, unit: str = "share") -> str:
    """`[low, high]`, or nothing."""
    if low is None or high is None:
        return ""
    return f"[{number(low, unit, bare=True)}, {number(high, unit, bare=True)}]"


def show(figure: Figure) -> str:
    """`value unit [low, high]`, with a mark where the figure is not valid."""
    said = f"{number(figure.value, figure.unit)} {interval(figure.low, figure.high, figure.unit)}"
    return said.strip() + ("" if figure.valid else " (not valid)")


def title(name: str) -> str:
    """A figure's own name in words: "duplex.turn_tor" is "turn tor"."""
    return name.partition(".")[2].replace("_", " ") or name
