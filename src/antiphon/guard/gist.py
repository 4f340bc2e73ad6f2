"""What kind of turn a caller's words are, where they are no sentence of the scenario.

Naive Bayes over the words and pairs of words that the callers of each intent say (McCallum & Nigam
1998, the Bernoulli model's present words alone): learnt from sentences drawn of the scenario, the
same ones every time. A transcript with slips in it still tells; a word that no caller of the
scenario says counts for nothing.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence

from antiphon.corpus import grammar
from antiphon.corpus.scenario import Scenario

_DRAWN = 400  # sentences of each intent
_UNSEEN = 0.5  # sentences that a word counts for where none of an intent's has it


class Gist:
    """Compiled of one scenario; calls share it."""

    def __init__(self, scenario: Scenario) -> None:
        rng = random.Random(0)
        self._seen: dict[str, Counter[str]] = {}
        for name in scenario.intents:
            counts = self._seen[name] = Counter()
            for _ in range(_DRAWN):
                said = grammar.plain(grammar.join(scenario.say(name, rng).tokens))
                counts.update(set(_marks(said.split())))
        self._known = frozenset[str]().union(*self._seen.values())

    def belief(self, words: Sequence[str]) -> dict[str, float]:
        """Intent -> probability, all intents alike before a word was heard; words: plain."""
        marks = self._known.intersection(_marks(words))
        scores = {
            name: sum(math.log((counts[mark] + _UNSEEN) / (_DRAWN + 1)) for mark in marks)
            for name, counts in self._seen.items()
        }
        most = max(scores.values(), default=0.0)
        odds = {name: math.exp(score - most) for name, score in scores.items()}
        total = sum(odds.values())
        return {name: each / total for name, each in odds.items()}


def _marks(words: Sequence[str]) -> Iterator[str]:
    """The words, and each with its neighbour; the ends count as neighbours."""
    yield from words
    yield from (f"{one} {two}" for one, two in zip(("", *words), (*words, ""), strict=True))
