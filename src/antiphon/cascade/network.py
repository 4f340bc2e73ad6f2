"""The scenario's caller-side grammar as one network of words, for a recogniser to search.

In: a scenario, and which words can be recognised. Out: states and weighted arcs, each with a
word. Templates cannot be recursive, so the network has no circles; equal tails are stored once.
Knows nothing of slots (the reader finds them in the words) or of sound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

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
    walk,
)
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.turn_reader import (
    ARTICLES,
    FILLER,
    NUMERALS,
    PUNCTUATION,
    priors,
    slot_node,
)

DOUBLE = 0.06  # chance that a digit is said as "double" and the digit
_MOST_SHUFFLED = 4  # parts of which every order is spelt out: 24


@dataclass(frozen=True, slots=True)
class Arc:
    """From state to state: a word and its probability; the word None takes no time."""

    source: int
    target: int
    probability: float
    word: str | None


@dataclass(frozen=True, slots=True)
class Network:
    """States 0 to `size` - 1; a sentence is a path from `start` to `final`."""

    start: int
    final: int
    size: int
    arcs: tuple[Arc, ...]

    @property
    def words(self) -> frozenset[str]:
        """All that can be said."""
        return frozenset(arc.word for arc in self.arcs if arc.word is not None)


_Row = tuple[tuple[str, float, int], ...]  # word, log probability, state


class _Builder:
    """States are made from the end backwards: a template is given where it must lead to."""

    def __init__(self, scenario: Scenario, known: Callable[[str], bool]) -> None:
        self._scenario, self._rules = scenario, scenario.all_rules
        self._slots = {name: slot_node(spec) for name, spec in scenario.slots.items()}
        self._fillers = [word for word in scenario.dialogue.fillers if known(word)]
        self._known = known
        self._ids: dict[tuple[float | None, _Row], int] = {}
        self.rows: list[_Row] = []
        self.ends: list[float | None] = []
        self._before: dict[tuple[int, tuple[tuple[int, float], ...]], _Ahead] = {}

    def state(self, ahead: _Ahead) -> int:
        """The state from which exactly this is ahead."""
        end = ahead.end if ahead.end is None else round(ahead.end, 6)
        row = tuple(sorted((w, round(p, 6), s) for (w, s), p in ahead.words.items()))
        if (end, row) not in self._ids:
            self._ids[end, row] = len(self.rows)
            self.rows.append(row)
            self.ends.append(end)
        return self._ids[end, row]

    def before(self, node: Node, ahead: _Ahead) -> _Ahead:
        """What is ahead before this template, when `ahead` is what follows it."""
        match node:
            case Text(word):
                return self._word(word, ahead)
            case SlotRef(name, None):
                inner = self._slots[name]
                return self._digits(name, ahead) if inner is None else self.before(inner, ahead)
            case SlotRef():
                return ahead
            case RuleRef(name):
                return self.before(self._rules[name], ahead)
            case Place():
                return self._place(ahead)
            case Sequence_(parts):
                for part in reversed(parts):
                    ahead = self.before(part, ahead)
                return ahead
            case Choice(options, weights):
                total = sum(weights)
                out = _Ahead({}, None)
                for option, weight in zip(options, weights, strict=True):
                    if weight > 0:
                        out.add(self.before(option, ahead), math.log(weight / total))
                return out
            case Shuffle(parts):
                return self._shuffle(parts, ahead)
            case Maybe(inner, probability):
                chance = min(max(0.5 if probability is None else probability, 1e-6), 1 - 1e-6)
                out = _Ahead({}, None)
                out.add(self.before(inner, ahead), math.log(chance))
                out.add(ahead, math.log(1 - chance))
                return out

    def _word(self, word: str, ahead: _Ahead) -> _Ahead:
        if word in PUNCTUATION:
            return ahead
        if word == "@a":
            out = _Ahead({}, None)
            for article in ARTICLES:
                out.add(self._word(article, ahead), math.log(1 / len(ARTICLES)))
            return out
        # Where a word has no pronunciation nobody can be heard to say it: that way is closed.
        if not self._known(word) or ahead.nothing:
            return _Ahead({}, None)
        return _Ahead({(word, self.state(ahead)): 0.0}, None)

    def _place(self, ahead: _Ahead) -> _Ahead:
        out = _Ahead({}, None)
        out.add(ahead, math.log(1 - FILLER))
        for filler in self._fillers:
            out.add(self._word(filler, ahead), math.log(FILLER / len(self._fillers)))
        return out

    def _shuffle(self, parts: Sequence[Node], ahead: _Ahead) -> _Ahead:
        if len(parts) > _MOST_SHUFFLED:
            return self.before(Sequence_(tuple(parts)), ahead)
        orders = list(permutations(parts))
        out = _Ahead({}, None)
        for order in orders:
            out.add(self.before(Sequence_(order), ahead), -math.log(len(orders)))
        return out

    def _digits(self, name: str, ahead: _Ahead) -> _Ahead:
        shortest, longest = self._scenario.slots[name].digits or (0, 0)
        single, pair = math.log((1 - DOUBLE) / len(NUMERALS)), math.log(DOUBLE / len(NUMERALS))
        after = [_Ahead({}, None)] * (longest + 2)  # after[n]: n digits were said
        for count in range(longest, -1, -1):
            here = _Ahead({}, None)
            stop = 1 / (longest - count + 1) if count >= shortest else 0.0
            if stop > 0:
                here.add(ahead, math.log(stop))
            if stop < 1:
                go = math.log(1 - stop)
                for word in NUMERALS:
                    here.add(self._word(word, after[count + 1]), go + single)
                twice = _Ahead({}, None)
                for word in NUMERALS:
                    twice.add(self._word(word, after[count + 2]), 0.0)
                here.add(self._word("double", twice), go + pair)
            after[count] = here
        return after[0]


class _Ahead:
    """What can follow: words with the states behind them, and whether it may end here."""

    __slots__ = ("end", "words")

    def __init__(self, words: dict[tuple[str, int], float], end: float | None) -> None:
        self.words, self.end = words, end

    @property
    def nothing(self) -> bool:
        return not self.words and self.end is None

    def add(self, other: _Ahead, score: float) -> None:
        for key, value in other.words.items():
            self.words[key] = max(self.words.get(key, -math.inf), value + score)
        if other.end is not None:
            self.end = max(-math.inf if self.end is None else self.end, other.end + score)


def compile_network(
    scenario: Scenario,
    known: Callable[[str], bool],
    *,
    leave_out: frozenset[str] = frozenset(),
    flatten: float = 1.0,
) -> Network:
    """The network of all that the scenario's callers say.

    known: whether a word can be recognised; a way of saying something with another word is left
    out. leave_out: intents not to be listened for. Each intent is as likely as the mean of its
    weights while nothing and while something is on order; `flatten` below 1 evens out all odds.
    """
    build = _Builder(scenario, known)
    done = _Ahead({}, 0.0)
    first = _Ahead({}, None)
    empty, held = priors(scenario.intents, "empty"), priors(scenario.intents, "held")
    for name, spec in scenario.intents.items():
        if name not in leave_out:
            first.add(build.before(spec.say, done), math.log((empty[name] + held[name]) / 2))
    start = build.state(first)
    final = len(build.rows)
    arcs: list[Arc] = []
    for source, (row, end) in enumerate(zip(build.rows, build.ends, strict=True)):
        arcs += [Arc(source, t, math.exp(flatten * p), word) for word, p, t in row]
        if end is not None:
            arcs.append(Arc(source, final, math.exp(flatten * end), None))
    return _reachable(Network(start, final, final + 1, tuple(arcs)))


def _reachable(network: Network) -> Network:
    """Without the states that only stood between others while it was made."""
    out: dict[int, list[Arc]] = {}
    for arc in network.arcs:
        out.setdefault(arc.source, []).append(arc)
    numbers: dict[int, int] = {network.start: 0}
    todo = [network.start]
    while todo:
        for arc in out.get(todo.pop(), ()):
            if arc.target not in numbers:
                numbers[arc.target] = len(numbers)
                todo.append(arc.target)
    arcs = tuple(
        Arc(numbers[a.source], numbers[a.target], a.probability, a.word)
        for a in network.arcs
        if a.source in numbers
    )
    return Network(0, numbers[network.final], len(numbers), arcs)


def vocabulary(scenario: Scenario) -> frozenset[str]:
    """Every word that callers say in this scenario."""
    nodes = [spec.say for spec in scenario.intents.values()]
    nodes += scenario.all_rules.values()
    nodes += [v.say for slot in scenario.slots.values() for v in slot.values]
    said = {p.word for node in nodes for p in walk(node) if isinstance(p, Text)}
    digits = any(slot.digits for slot in scenario.slots.values())
    said |= {*NUMERALS, "double"} if digits else set()
    return frozenset((said - PUNCTUATION - {"@a"}) | {*ARTICLES, *scenario.dialogue.fillers})


def accepts(network: Network, words: Sequence[str]) -> bool:
    """Whether the network can say these words."""
    rows: Mapping[int, list[Arc]] = _by_source(network)
    states = {network.start}
    for word in words:
        states = {a.target for s in states for a in rows.get(s, ()) if a.word == word}
    ends = {a.target for s in states for a in rows.get(s, ()) if a.word is None}
    return network.final in states | ends


def _by_source(network: Network) -> dict[int, list[Arc]]:
    rows: dict[int, list[Arc]] = {}
    for arc in network.arcs:
        rows.setdefault(arc.source, []).append(arc)
    return rows
