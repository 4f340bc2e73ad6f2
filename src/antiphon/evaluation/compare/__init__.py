"""Systems side by side, by their reports: paired where they answered the same stimuli.

In: reports. Out: figures beside one another, differences with intervals, and when end-to-end is
worth it. Knows no trial and no sound: a report has all that it reads.
"""

from __future__ import annotations

from antiphon.evaluation.compare.model import Column, Comparison, Difference, Row
from antiphon.evaluation.compare.side import compare
from antiphon.evaluation.compare.write import headline, markdown, readme_table, write

__all__ = [
    "Column",
    "Comparison",
    "Difference",
    "Row",
    "compare",
    "headline",
    "markdown",
    "readme_table",
    "write",
]
