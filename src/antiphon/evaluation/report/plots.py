"""Small pictures as inline SVG, drawn with the page's own colours."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from antiphon.evaluation.figures import Figure
from antiphon.evaluation.report.numbers import number

_WIDE, _TALL, _EDGE = 160, 18, 6  # of an interval in a table, pixels


def scale(figures: Sequence[Figure], unit: str) -> tuple[float, float]:
    """The axis that all figures of a unit in a table share: 0 to 1 for shares."""
    if unit == "share":
        return 0.0, 1.0
    ends = [
        end
        for f in figures
        if f.unit == unit
        for end in (f.value, f.low, f.high)
        if end is not None and math.isfinite(end)
    ]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    return low, high if high > low else low + 1.0


def whisker(figure: Figure, axis: tuple[float, float]) -> Markup:
    """A figure and its interval on its table's axis; nothing where there is no value."""
    if figure.value is None or not math.isfinite(figure.value):
        return Markup("")
    low, high = axis

    def x(value: float) -> float:
        place = (min(max(value, low), high) - low) / (high - low)
        return round(_EDGE + place * (_WIDE - 2 * _EDGE), 1)

    middle = _TALL / 2
    parts = [f'<line class="axis" x1="{x(low)}" x2="{x(high)}" y1="{middle}" y2="{middle}"/>']
    if low < 0 < high:
        parts.append(f'<line class="axis" x1="{x(0)}" x2="{x(0)}" y1="3" y2="{_TALL - 3}"/>')
    if figure.low is not None and figure.high is not None:
        parts.append(
            f'<line class="span" x1="{x(figure.low)}" x2="{x(figure.high)}" '
            f'y1="{middle}" y2="{middle}"/>'
        )
    parts.append(f'<circle class="dot" cx="{x(figure.value)}" cy="{middle}" r="4"/>')
    return Markup(
        f'<svg class="whisker" width="{_WIDE}" height="{_TALL}" aria-hidden="true">'
        f"{''.join(parts)}</svg>"
    )


def spread(values: Sequence[float], unit: str, label: str) -> Markup:
    """How a quantity is spread over trials: its cumulative share, with median and 90 %."""
    wide, tall, left, bottom, top = 340, 170, 38, 28, 12
    x = sorted(values)
    low, high = x[0], x[-1]
    if high <= low:
        high = low + 1.0

    def place(value: float, part: float) -> tuple[float, float]:
        across = left + (value - low) / (high - low) * (wide - left - 14)
        return round(across, 1), round(tall - bottom - part * (tall - bottom - top), 1)

    steps = [place(low, 0.0)]
    for index, value in enumerate(x):
        steps += [place(value, index / len(x)), place(value, (index + 1) / len(x))]
    line = " ".join(f"{a},{b}" for a, b in steps)
    parts: list[str] = []
    for part in (0.0, 0.5, 0.9, 1.0):
        _, y = place(low, part)
        parts.append(f'<line class="grid" x1="{left}" x2="{wide - 14}" y1="{y}" y2="{y}"/>')
        if part != 0.9:
            parts.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{part:g}</text>')
    for value, anchor in ((low, "start"), ((low + high) / 2, "middle"), (high, "end")):
        across, y = place(value, 0.0)
        parts.append(
            f'<text x="{across}" y="{y + 16}" text-anchor="{anchor}">{number(value, unit)}</text>'
        )
    for part, name in ((0.5, "P50"), (0.9, "P90")):
        value = x[min(len(x) - 1, math.ceil(part * len(x)) - 1)]
        across, y = place(value, part)
        # A rising curve leaves room to the lower right of a point, and to its upper left.
        anchor, aside, down = ("end", -7, -5) if across > wide - 110 else ("start", 7, 14)
        parts.append(f'<circle class="dot" cx="{across}" cy="{y}" r="3.5"/>')
        parts.append(
            f'<text class="mark" x="{across + aside}" y="{y + down}" text-anchor="{anchor}">'
            f"{name} {number(value, unit)}</text>"
        )
    body = "".join(parts)
    return Markup(
        f'<svg class="spread" viewBox="0 0 {wide} {tall}" role="img" aria-label="{{label}}">'
        f'<polyline class="curve" points="{line}"/>{body}</svg>'
    ).format(label=label)
