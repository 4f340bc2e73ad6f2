"""Whether a caller who has just said these words has finished: what listeners project.

People take the turn by what they expect to follow, not by silence alone (Sacks, Schegloff &
Jefferson 1974; de Ruiter, Mitterer & Enfield 2006). Here it is counted: of the turns of a
scenario that come to the same last two words, how many stop there. Knows nothing of scenarios.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

_WORDS = 2  # of context


@dataclass(frozen=True)
class Floor:
    """Counts of the last words of turns, and of the same words anywhere in them."""

    ends: Counter[tuple[str, ...]]
    seen: Counter[tuple[str, ...]]

    @classmethod
    def of(cls, turns: Iterable[str]) -> Floor:
        """Count over turns of words."""
        ends: Counter[tuple[str, ...]] = Counter()
        seen: Counter[tuple[str, ...]] = Counter()
        for turn in turns:
            words = _bare(turn)
            for at in range(len(words)):
                seen[_context(words[: at + 1])] += 1
            if words:
                ends[_context(words)] += 1
        return cls(ends, seen)

    def finished(self, said: str) -> float:
        """The share of turns that stop after the words of `said`, in [0, 1]; never seen: 0.5."""
        context = _context(_bare(said))
        return (self.ends[context] + 0.5) / (self.seen[context] + 1.0)


def _bare(turn: str) -> list[str]:
    return [word for word in (token.strip(",.?!") for token in turn.split()) if word]


def _context(words: list[str]) -> tuple[str, ...]:
    return tuple(words[-_WORDS:])
