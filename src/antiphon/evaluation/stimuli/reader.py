"""Could a scenario's callers say this? A recogniser of the grammar that `Scenario.say` draws from.

In: a scenario and a sentence. Out: the intents whose grammar can produce it, word for word and
whatever the odds. That is how a sentence is shown to lie outside of every corpus of the scenario.
"""

from __future__ import annotations

from collections.abc import Iterator

from antiphon.corpus import digits, grammar
from antiphon.corpus.grammar import (
    Choice,
    Maybe,
    Node,
    Place,
    RuleRef,
    Sequence_,
    Shuffle,
    SlotRef,
    Text,
)
from antiphon.corpus.scenario import Scenario

_DIGITS = frozenset((*digits.WORDS, "oh", "double", "triple"))
_PUNCTUATION = frozenset(",.?!")


class SentenceReader:
    """Recognises the caller's sentences of one scenario; hesitation and punctuation are ignored."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._rules = scenario.all_rules
        self._fillers = frozenset(scenario.dialogue.fillers)
        self._vocabulary = {
            name: frozenset(self._words(spec.say)) for name, spec in scenario.intents.items()
        }

    def bare(self, text: str) -> str:
        """The sentence without punctuation and fillers, lower case."""
        return " ".join(w for w in grammar.plain(text).split() if w not in self._fillers)

    def intents(self, text: str) -> tuple[str, ...]:
        """The intents that this sentence could be a turn of; () means no caller could say it.

        Fillers may have been put in by hesitation or stand in the grammar itself: both are tried.
        """
        found: list[str] = []
        for spelling in dict.fromkeys((grammar.plain(text), self.bare(text))):
            words = tuple(spelling.split())
            match = _Match(self._scenario, self._rules, words)  # intents share rules, and so work
            for name, spec in self._scenario.intents.items():
                known = self._vocabulary[name].issuperset(words)
                if words and known and len(words) in match.ends(spec.say, 0):
                    found.append(name)
        return tuple(dict.fromkeys(found))

    def _words(self, say: Node) -> Iterator[str]:
        """Every word that a template can hold."""
        for part in grammar.with_rules(say, self._rules):
            match part:
                case Text(word):
                    yield from ("a", "an") if word == "@a" else grammar.plain(word).split()
                case SlotRef(name, None):
                    slot = self._scenario.slots[name]
                    yield from _DIGITS if slot.digits else ()
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


class _Match:
    """One sentence against the grammar: `ends` tells where a node that starts `at` may end."""

    def __init__(self, scenario: Scenario, rules: dict[str, Node], words: tuple[str, ...]) -> None:
        self._scenario, self._rules, self._words = scenario, rules, words
        self._known: dict[tuple[int, int], frozenset[int]] = {}

    def ends(self, node: Node, at: int) -> frozenset[int]:
        key = (id(node), at)  # nodes live as long as their scenario, so ids stay theirs
        if key not in self._known:
            self._known[key] = self._ends(node, at)
        return self._known[key]

    def _ends(self, node: Node, at: int) -> frozenset[int]:
        match node:
            case Text(word):
                return self._word(word, at)
            case Place():
                return frozenset((at,))
            case SlotRef(name, value):
                return self._slot(name, at) if value is None else frozenset((at,))
            case RuleRef(name):
                return self.ends(self._rules[name], at)
            case Sequence_(parts):
                places = frozenset((at,))
                for part in parts:
                    places = self._after(part, places)
                return places
            case Choice(options, _):
                return frozenset[int]().union(*(self.ends(option, at) for option in options))
            case Maybe(inner, _):
                return self.ends(inner, at) | {at}
            case Shuffle(parts):
                return self._any_order(parts, at)

    def _after(self, node: Node, places: frozenset[int]) -> frozenset[int]:
        return frozenset[int]().union(*(self.ends(node, place) for place in places))

    def _word(self, word: str, at: int) -> frozenset[int]:
        if word in _PUNCTUATION:
            return frozenset((at,))
        there = self._words[at] if at < len(self._words) else ""
        fits = there in ("a", "an") if word == "@a" else there == word
        return frozenset((at + 1,)) if fits else frozenset()

    def _slot(self, name: str, at: int) -> frozenset[int]:
        slot = self._scenario.slots[name]
        if slot.digits is None:
            return frozenset[int]().union(*(self.ends(v.say, at) for v in slot.values))
        end = at
        while end < len(self._words) and self._words[end] in _DIGITS:
            end += 1
        return frozenset(range(at + 1, end + 1))

    def _any_order(self, parts: tuple[Node, ...], at: int) -> frozenset[int]:
        reached = {(at, frozenset(range(len(parts))))}
        done: set[int] = set()
        while reached:
            place, left = reached.pop()
            if not left:
                done.add(place)
            for index in left:
                reached |= {(end, left - {index}) for end in self.ends(parts[index], place)}
        return frozenset(done)
