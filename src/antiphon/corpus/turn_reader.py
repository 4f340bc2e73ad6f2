"""Reads the words of a caller's turn back into its intent and slots, by the scenario's grammar.

It is the inverse of `Scenario.say`, for whoever only has the words (a recogniser's, a
transcript's): of all ways in which the templates could have given these
words it takes the likeliest, and fills the slots as saying them would have. A chart parser over
the templates' own trees, so nothing is compiled and nothing can drift apart. Knows nothing of
sound.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from antiphon.corpus import digits as spoken_digits
from antiphon.corpus.grammar import (
    Choice,
    Maybe,
    Node,
    Place,
    RuleRef,
    Sequence_,
    Shuffle,
    SlotRef,
    Slots,
    Text,
)
from antiphon.corpus.scenario import IntentSpec, Scenario, SlotSpec

State = Literal["empty", "held"]

PUNCTUATION = frozenset(",.?!")
ARTICLES = ("a", "an")  # what @a may stand for; people do not always keep to the rule
FILLER = 0.03  # chance of an "um" before a word
UNLIKELY = 0.05  # weight of an intent that should not come up in this state, but may


@dataclass(frozen=True, slots=True)
class Reading:
    """What a turn's words say. `slots` are those outside any object, as in `grammar.Spoken`."""

    intent: str
    slots: Slots
    items: tuple[Slots, ...]
    score: float = field(compare=False)
    """Log probability of the intent and of these words given it, base e."""


@dataclass(frozen=True, slots=True)
class _Set:
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class _Object:
    inner: tuple[_Mark, ...]


_Mark = _Set | _Object
_Ends = dict[int, tuple[float, tuple[_Mark, ...]]]  # end -> log probability, what was filled


class Reader:
    """The scenario's caller-side grammar, ready to read."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._rules = scenario.all_rules
        self._objects = frozenset(scenario.object.say if scenario.object else ())
        self._slots = {name: slot_node(spec) for name, spec in scenario.slots.items()}
        self._fillers = frozenset(scenario.dialogue.fillers)

    def read(
        self, words: Sequence[str], state: State = "empty", among: Collection[str] | None = None
    ) -> Reading | None:
        """The likeliest reading of these words (lower case, no punctuation); None: there is none.

        state: whether something is on order, which makes some intents likelier than others.
        among: the intents that may be meant; None: all.
        """
        return self._read(self._chart(words), 0, state, among) if words else None

    def read_end(
        self, words: Sequence[str], state: State = "empty", among: Collection[str] | None = None
    ) -> tuple[int, Reading] | None:
        """As `read`, of the longest end of these words that can be read: where it begins, and its
        reading."""
        chart = self._chart(words)
        for at in range(len(words)):
            reading = self._read(chart, at, state, among)
            if reading is not None:
                return at, reading
        return None

    def _chart(self, words: Sequence[str]) -> _Chart:
        chart = _Chart(self._rules, self._objects, self._scenario, self._slots, self._fillers)
        chart.words = tuple(words)
        return chart

    def _read(
        self, chart: _Chart, at: int, state: State, among: Collection[str] | None
    ) -> Reading | None:
        """The likeliest reading of the words from `at` on."""
        best: tuple[float, str, tuple[_Mark, ...]] | None = None
        for name, prior in priors(self._scenario.intents, state).items():
            if among is not None and name not in among:
                continue
            ends = chart.match(self._scenario.intents[name].say, at)
            for end, (score, marks) in ends.items():
                if end > at and all(word in self._fillers for word in chart.words[end:]):
                    score += math.log(prior)
                    if best is None or score > best[0]:
                        best = (score, name, marks)
        if best is None:
            return None
        score, intent, marks = best
        slots: Slots = {}
        items: list[Slots] = []
        self._fill(marks, slots, items)
        return Reading(intent, slots, tuple(items), score)

    def intents(self, words: Sequence[str]) -> tuple[str, ...]:
        """All intents that these words could be a turn of, whatever the odds; () means none."""
        chart = self._chart(words)
        return tuple(
            name
            for name, spec in self._scenario.intents.items()
            if any(
                all(word in self._fillers for word in words[end:])
                for end in chart.match(spec.say, 0)
            )
        )

    def _fill(self, marks: Sequence[_Mark], slots: Slots, items: list[Slots]) -> None:
        for mark in marks:
            if isinstance(mark, _Set):
                self._scenario.merge(slots, {mark.name: mark.value})
            else:
                item: Slots = {}
                items.append(item)
                self._fill(mark.inner, item, items)


def priors(intents: Mapping[str, IntentSpec], state: State) -> dict[str, float]:
    """Share of each intent among the turns of a caller in this state; none is impossible."""
    weights = {n: max(spec.weight.get(state, 0.0), UNLIKELY) for n, spec in intents.items()}
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def slot_node(spec: SlotSpec) -> Choice | None:
    """The ways to say a slot as one template, option i for value i; None for digits."""
    if spec.digits is not None:
        return None
    return Choice(tuple(v.say for v in spec.values), tuple(v.weight for v in spec.values))


class _Chart:
    """One reading in progress: for every template and start, where it can end."""

    def __init__(
        self,
        rules: Mapping[str, Node],
        objects: frozenset[str],
        scenario: Scenario,
        slots: Mapping[str, Choice | None],
        fillers: frozenset[str],
    ) -> None:
        self.words: tuple[str, ...] = ()
        self._rules, self._objects, self._slots = rules, objects, slots
        self._specs, self._fillers = scenario.slots, fillers
        self._known: dict[tuple[int, int], _Ends] = {}

    def match(self, node: Node, at: int) -> _Ends:
        """Every end of this template from word `at` on."""
        key = (id(node), at)
        if key not in self._known:
            self._known[key] = self._match(node, at)
        return self._known[key]

    def _match(self, node: Node, at: int) -> _Ends:
        match node:
            case Text(word):
                return self._word(word, at)
            case SlotRef(name, None):
                return self._slot(name, at)
            case SlotRef(name, value):
                return {at: (0.0, (_Set(name, value or ""),))}
            case RuleRef(name):
                ends = self.match(self._rules[name], at)
                if name not in self._objects:
                    return ends
                return {end: (score, (_Object(marks),)) for end, (score, marks) in ends.items()}
            case Place():
                return {at: (0.0, ())}
            case Sequence_(parts):
                ends: _Ends = {at: (0.0, ())}
                for part in parts:
                    ends = self._then(ends, part)
                return ends
            case Choice(options, weights):
                ends = {}
                total = sum(weights)
                for option, weight in zip(options, weights, strict=True):
                    if weight > 0:
                        _join(ends, self.match(option, at), math.log(weight / total))
                return ends
            case Shuffle(parts):
                return self._shuffle(parts, at)
            case Maybe(inner, probability):
                chance = min(max(0.5 if probability is None else probability, 1e-6), 1 - 1e-6)
                ends = {at: (math.log(1 - chance), ())}
                _join(ends, self.match(inner, at), math.log(chance))
                return ends

    def _word(self, word: str, at: int) -> _Ends:
        if word in PUNCTUATION:
            return {at: (0.0, ())}
        score = 0.0
        ends: _Ends = {}
        while at < len(self.words):
            said = self.words[at]
            if said == word or (word == "@a" and said in ARTICLES):
                ends[at + 1] = (score, ())
            if said not in self._fillers:
                break
            at, score = at + 1, score + math.log(FILLER)
        return ends

    def _slot(self, name: str, at: int) -> _Ends:
        node = self._slots[name]
        if node is None:
            return self._digits(name, at)
        ends: _Ends = {}
        total = sum(node.weights)
        for value, weight in zip(self._specs[name].values, node.weights, strict=True):
            if weight > 0:
                found = self.match(value.say, at)
                mark = (_Set(name, value.value),)
                _join(ends, {e: (s, mark) for e, (s, _) in found.items()}, math.log(weight / total))
        return ends

    def _digits(self, name: str, at: int) -> _Ends:
        shortest, longest = self._specs[name].digits or (0, 0)
        ends: _Ends = {}
        for end in range(at + 1, len(self.words) + 1):
            if self.words[end - 1] not in DIGIT_WORDS and self.words[end - 1] not in self._fillers:
                break
            said = [word for word in self.words[at:end] if word not in self._fillers]
            value = spoken_digits.read(said)
            whole = said and said[-1] in NUMERALS
            if whole and shortest <= len(value) <= longest:
                ends[end] = (len(value) * math.log(0.1), (_Set(name, value),))
        return ends

    def _shuffle(self, parts: Sequence[Node], at: int) -> _Ends:
        rows: dict[frozenset[int], _Ends] = {frozenset(): {at: (0.0, ())}}
        for size in range(len(parts)):
            chance = -math.log(len(parts) - size)
            for done, ends in [(d, e) for d, e in rows.items() if len(d) == size]:
                for index, part in enumerate(parts):
                    if index not in done:
                        row = rows.setdefault(done | {index}, {})
                        _join(row, self._then(ends, part), chance)
        return rows[frozenset(range(len(parts)))]

    def _then(self, ends: _Ends, part: Node) -> _Ends:
        out: _Ends = {}
        for middle, (score, marks) in ends.items():
            for end, (more, filled) in self.match(part, middle).items():
                if end not in out or out[end][0] < score + more:
                    out[end] = (score + more, marks + filled)
        return out


NUMERALS = (*spoken_digits.WORDS, "oh")
DIGIT_WORDS = frozenset((*NUMERALS, "double", "triple"))


def _join(ends: _Ends, more: _Ends, score: float) -> None:
    """Put `more`, made less likely by `score`, into `ends`; of two ways the likelier stays."""
    for end, (other, marks) in more.items():
        if end not in ends or ends[end][0] < other + score:
            ends[end] = (other + score, marks)
