"""How far words can be followed through a template: beginnings, where a regex reads wholes.

In: a template's tree, the words so far, and which slot values may stand. Out: where the template
can end, and whether the words ran out inside it. So the first word that cannot be right is known
when it is told, and not when its sentence is over. Knows nothing of calls or time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

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

_PUNCTUATION = frozenset(",.?!")

Values = Callable[[str], Iterable[Sequence[str]]]
"""The ways to say a slot's values that may stand, each as words."""


class Reach(NamedTuple):
    """What following a template from a place gave."""

    ends: frozenset[int]
    """Where it can be over."""
    open: bool
    """Whether the words ran out while it still went on, with a word taken."""
    stuck: int
    """The furthest place that any way through it came to."""

    @property
    def furthest(self) -> int:
        """The last place at which it is over, or where it began."""
        return max(self.ends, default=-1)


_NOWHERE = Reach(frozenset(), False, -1)


def follow(
    node: Node, words: Sequence[str], at: int, values: Values, rules: Mapping[str, Node]
) -> Reach:
    """Follow `node` through `words` from word `at` on."""
    match node:
        case Text(word):
            return _word(word, words, at)
        case SlotRef(name, None):
            return phrases(values(name), words, at)
        case SlotRef() | Place():
            return Reach(frozenset({at}), False, at)
        case RuleRef(name):
            return follow(rules[name], words, at, values, rules)
        case Sequence_(parts) | Shuffle(parts):
            return _sequence(parts, words, at, values, rules)
        case Choice(options, _):
            return _either(follow(option, words, at, values, rules) for option in options)
        case Maybe(inner, _):
            inside = follow(inner, words, at, values, rules)
            return Reach(inside.ends | {at}, inside.open, max(inside.stuck, at))


def phrases(ways: Iterable[Sequence[str]], words: Sequence[str], at: int) -> Reach:
    """Follow any of these phrases from word `at` on."""
    return _either(_phrase(way, words, at) for way in ways)


def _word(word: str, words: Sequence[str], at: int) -> Reach:
    if word in _PUNCTUATION:
        return Reach(frozenset({at}), False, at)
    if at >= len(words):
        return Reach(frozenset(), True, at)
    said = words[at]
    if said == word or (word == "@a" and said in ("a", "an")):
        return Reach(frozenset({at + 1}), False, at + 1)
    return Reach(frozenset(), False, at)


def _phrase(way: Sequence[str], words: Sequence[str], at: int) -> Reach:
    taken = 0
    for taken, word in enumerate(way):
        if at + taken >= len(words):
            return Reach(frozenset(), True, at + taken)
        if words[at + taken] != word:
            return Reach(frozenset(), False, at + taken)
    end = at + len(way)
    return Reach(frozenset({end}), False, end)


def _sequence(
    parts: Sequence[Node],
    words: Sequence[str],
    at: int,
    values: Values,
    rules: Mapping[str, Node],
) -> Reach:
    ends, opened, stuck = frozenset({at}), False, at
    for part in parts:
        here = [follow(part, words, end, values, rules) for end in ends]
        ends = frozenset[int]().union(*(reach.ends for reach in here))
        opened = opened or any(reach.open for reach in here)
        stuck = max([stuck, *(reach.stuck for reach in here)])
        if not ends:
            break
    return Reach(ends, opened, stuck)


def _either(ways: Iterable[Reach]) -> Reach:
    ends, opened, stuck = frozenset[int](), False, -1
    for way in ways:
        ends |= way.ends
        opened = opened or way.open
        stuck = max(stuck, way.stuck)
    return Reach(ends, opened, stuck)
