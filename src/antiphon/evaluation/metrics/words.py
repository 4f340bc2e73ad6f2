"""The agent's words: those that it tells, or, where it tells none, the judge's transcript."""

from __future__ import annotations

from typing import NamedTuple

from antiphon.evaluation.metrics.segments import Stretch, stretches
from antiphon.evaluation.metrics.tools import Tools, cut
from antiphon.evaluation.trial import Trial


class Words(NamedTuple):
    """The agent's speech with its words, and whether they are the judge's and not its own."""

    said: tuple[Stretch, ...]
    by_judge: bool

    @classmethod
    def of(cls, trial: Trial, tools: Tools) -> Words | None:
        """None where the agent spoke and nobody can tell what it said."""
        said = stretches(trial)
        if all(stretch.words is not None for stretch in said):
            return cls(tuple(said), by_judge=False)
        if tools.judge is None:
            return None
        read = [
            each._replace(
                words=tuple(tools.judge.transcribe(cut(trial.agent, each.start, each.end)).split())
            )
            for each in said
        ]
        return cls(tuple(read), by_judge=True)

    @property
    def text(self) -> str:
        return " ".join(stretch.text for stretch in self.said)
