"""What people prefer: a blind A/B listening page of two reports, and what its answers say.

In: two reports that share stimuli. Out: a static page, its key, and from the listeners' files a
preference with its interval and how far they agree. Knows no metric.
"""

from __future__ import annotations

from antiphon.evaluation.human.export import QUESTION, export
from antiphon.evaluation.human.model import Answer, Key, Pair, Results
from antiphon.evaluation.human.score import Preference, Score, read_key, read_results, score

__all__ = [
    "QUESTION",
    "Answer",
    "Key",
    "Pair",
    "Preference",
    "Results",
    "Score",
    "export",
    "read_key",
    "read_results",
    "score",
]
