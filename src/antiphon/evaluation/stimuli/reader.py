"""Could a scenario's callers say this, word for word and whatever the odds?

In: a scenario and a sentence. Out: the intents whose grammar can produce it. That is how a
sentence is shown to lie outside of every corpus of the scenario.
"""

from __future__ import annotations

from collections.abc import Iterator

from antiphon.corpus import grammar
from antiphon.corpus.grammar import Node, RuleRef, SlotRef, Text
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.turn_reader import ARTICLES, DIGIT_WORDS, Reader


class SentenceReader:
    """Recognises the caller's sentences of one scenario; hesitation and punctuation are ignored."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._rules = scenario.all_rules
        self._fillers = frozenset(scenario.dialogue.fillers)
        self._reader = Reader(scenario)
        self._vocabulary = frozenset(
            word for spec in scenario.intents.values() for word in self._words(spec.say)
        )

    def bare(self, text: str) -> str:
        """The sentence without punctuation and fillers, lower case."""
        return " ".join(w for w in grammar.plain(text).split() if w not in self._fillers)

    def intents(self, text: str) -> tuple[str, ...]:
        """The intents that this sentence could be a turn of; () means no caller could say it."""
        words = grammar.plain(text).split()
        if not words or not self._vocabulary.issuperset(self.bare(text).split()):
            return ()  # most sentences end here, at a word that nobody says
        return self._reader.intents(words)

    def _words(self, say: Node) -> Iterator[str]:
        """Every word that a template can hold."""
        for part in grammar.with_rules(say, self._rules):
            match part:
                case Text(word):
                    yield from ARTICLES if word == "@a" else grammar.plain(word).split()
                case SlotRef(name, None):
                    slot = self._scenario.slots[name]
                    yield from DIGIT_WORDS if slot.digits else ()
                    for value in slot.values:
                        yield from self._words(value.say)
                case _:
                    pass

    def names_things(self, intent: str) -> bool:
        """Whether this intent's sentences name an object or a number.

        There are so many of these that no two corpora need share one; "cancel that" is everybody's.
        """
        say = self._scenario.intents[intent].say
        things = set(self._scenario.object.say) if self._scenario.object else set[str]()
        numbers = {name for name, slot in self._scenario.slots.items() if slot.digits}
        return any(
            (isinstance(part, RuleRef) and part.name in things)
            or (isinstance(part, SlotRef) and part.name in numbers)
            for part in grammar.with_rules(say, self._rules)
        )
