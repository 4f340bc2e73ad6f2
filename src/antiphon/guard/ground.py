"""What a scenario's callers can name and its tables can say, compiled once.

In: a scenario. Out: which slot values plain text names, which facts it tells, and which are true
for what was named; and the sentences that the scenario itself gives the agent. Knows nothing of
calls in progress: `support` puts the two together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, cast

from antiphon.corpus import grammar
from antiphon.corpus.edits import distance
from antiphon.corpus.grammar import Choice, Maybe, Node, Place, RuleRef, Sequence_, Shuffle, SlotRef
from antiphon.corpus.scenario import FactSpec, Scenario

# "one" is mostly no number: "a green one".
NUMBERS = frozenset(
    (
        *("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
        *("twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
        *("nineteen", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty"),
        *("ninety", "hundred", "thousand", "million", "half", "dozen"),
    )
)
_SLIPS = 4  # letters of a word from which a slip in it is forgiven
_MOST_SAYINGS = 2_000  # ways to say one template that are spelt out; more are not looked at
Words = tuple[str, ...]


class Ground:
    """Compiled of one scenario; calls share it."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.values: dict[str, tuple[tuple[str, Words], ...]] = {
            name: tuple((v.value, tuple(v.value.split())) for v in spec.values)
            for name, spec in scenario.slots.items()
        }
        """Slot -> its values, as the agent says them."""
        self.digits = next((name for name, spec in scenario.slots.items() if spec.digits), None)
        """The slot that holds digits, if there is one."""
        self._patterns = {
            name: [
                (value.value, re.compile(pattern))
                for value in spec.values
                for pattern in (
                    grammar.to_regex(value.say, {}, scenario.rules),
                    rf"\b{re.escape(value.value)} ",
                )
            ]
            for name, spec in scenario.slots.items()
        }
        self._telling = {
            name: {v: _distinct(v, [o for o, _ in values]) for v, _ in values}
            for name, values in self.values.items()
        }
        self.phrases: dict[Words, list[FactSpec]] = {}
        """What the facts' tables can say, and which of them do."""
        for fact in scenario.facts.values():
            for phrase in _phrases(fact, scenario):
                self.phrases.setdefault(tuple(phrase.split()), []).append(fact)
        self.nouns = _nouns(scenario)
        """Values that name what is ordered, as words; those that refusals use are left out."""
        self._own = _prefixes(_own_sayings(scenario))
        silence = scenario.silence
        nodes = () if silence is None else (silence.prompt, silence.goodbye)
        ways = [way for node in nodes for way in _sayings(node, scenario.rules) or ()]
        self._prompts = frozenset(tuple(grammar.plain(grammar.join(way)).split()) for way in ways)

    def named(self, slot: str, plain: str) -> list[str]:
        """The values of a slot that plain text names, in any way in which callers say them; a
        value inside a longer one ("coffee" in "iced coffee") is not named."""
        rest, found = f"{plain} ", list[str]()
        while True:
            spans = [(m, name) for name, p in self._patterns[slot] if (m := p.search(rest))]
            match, name = max(spans, key=lambda each: _length(each[0]), default=(None, ""))
            if match is None or not _length(match):
                return found
            found.append(name)
            rest = f"{rest[: match.start()]}| {rest[match.end() :]}"

    def hinted(self, slot: str, value: str, words: frozenset[str]) -> bool:
        """Whether words hold what tells this value from the slot's others: "twelve" of "twelve
        ounce". A value that nothing tells apart ("coffee" beside "iced coffee") is never hinted."""
        telling = self._telling.get(slot, {}).get(value, ())
        return bool(telling) and all(
            any(_alike(t, word) for word in words if word) for t in telling
        )

    def true(self, fact: FactSpec, reply: str, heard: str) -> set[Words]:
        """What the table gives for what the reply names, or, where it names nothing, the caller.

        A reply that names something may leave the rest open: "a latte is three dollars and up".
        """
        said = {name: self.named(name, reply) for name in fact.by}
        choices: list[list[str | None]] = []
        for name in fact.by:
            values: list[str | None] = [*dict.fromkeys(said[name] or self.named(name, heard))]
            open_ = not values or (not said[name] and any(said.values()))
            choices.append([*values, None] if open_ else values)
        found: set[Words] = set()
        for chosen in product(*choices):
            node = _look_up(fact, dict(zip(fact.by, chosen, strict=True)))
            if node is not None:
                found |= {tuple(said.split()) for said in _renderings(node, self.scenario)}
        return found

    def is_own(self, words: Words) -> bool:
        """Whether the scenario has a sentence without slots that begins with these words."""
        return words in self._own

    def is_prompt(self, words: Words) -> bool:
        """Whether this is what the scenario says to a caller who is silent."""
        return words in self._prompts


def _distinct(value: str, others: Sequence[str]) -> Words:
    """The words of a value that no other value of its slot has."""
    shared = {word for other in others if other != value for word in other.split()}
    return tuple(word for word in value.split() if word not in shared)


def _alike(word: str, heard: str) -> bool:
    """The same word, or what a transcript's slip makes of a longer one ("wholele")."""
    if word == heard:
        return True
    if len(word) < _SLIPS or heard[0] != word[0]:
        return False
    return heard.startswith(word) or distance(word, heard) <= (2 if len(word) >= 2 * _SLIPS else 1)


def _phrases(fact: FactSpec, scenario: Scenario) -> list[str]:
    """Every phrase that a table can give."""
    todo, found = [fact.rows], dict[str, None]()
    while todo:
        for row in todo.pop().values():
            if isinstance(row, Mapping):
                todo.append(cast("Mapping[str, Any]", row))
            else:
                found.update(dict.fromkeys(_renderings(row, scenario)))
    return list(found)


def _renderings(node: Any, scenario: Scenario) -> list[str]:
    """The ways in which a fact is said: each of its alternatives where it is a choice."""
    nodes = node.options if isinstance(node, Choice) else (node,)
    said = [grammar.render(each, {}, scenario.rules, None) for each in nodes]
    return [grammar.plain(grammar.join(tokens)) for tokens in said if tokens]


def _look_up(fact: FactSpec, slots: Mapping[str, str | None]) -> Any:
    """The first row that fits, key by key; None where there is none."""
    rows: Any = fact.rows
    for slot in fact.by:
        for key, row in rows.items():
            names = [part.strip() for part in str(key).split("|")]
            if slots.get(slot) in names or "*" in names:
                rows = row
                break
        else:
            return None
    return rows if fact.by else rows.get("*")


def _length(match: re.Match[str]) -> int:
    return match.end() - match.start()


# -- the scenario's own sentences ----------------------------------------------


def _own_sayings(scenario: Scenario) -> Iterator[str]:
    """Every sentence without slots that the scenario gives the agent."""
    nodes: list[Node] = []
    for intent in scenario.intents.values():
        nodes += [*intent.reply.values(), *intent.reply_empty.values()]
    if scenario.silence is not None:
        nodes += [scenario.silence.prompt, scenario.silence.goodbye]
    if scenario.beside is not None:
        nodes.append(scenario.beside.agent)
    for node in nodes:
        for alternative in node.options if isinstance(node, Choice) else (node,):
            parts = grammar.with_rules(alternative, scenario.rules)
            if any(isinstance(part, SlotRef) and part.value is None for part in parts):
                continue
            ways = _sayings(alternative, scenario.rules)
            if ways is not None:
                yield from (grammar.plain(grammar.join(way)) for way in ways)


def _sayings(node: Node, rules: Mapping[str, Node]) -> list[Words] | None:
    """Every way to say a template without slots; None where there are too many."""
    match node:
        case grammar.Text(word):
            return [(word,)]
        case SlotRef() | Place():
            return [()]
        case RuleRef(name):
            return _sayings(rules[name], rules)
        case Choice(options, _):
            found: list[Words] = []
            for option in options:
                ways = _sayings(option, rules)
                if ways is None:
                    return None
                found += ways
            return found if len(found) <= _MOST_SAYINGS else None
        case Maybe(inner, _):
            ways = _sayings(inner, rules)
            return None if ways is None else [(), *ways]
        case Sequence_(parts) | Shuffle(parts):
            found = [()]
            for part in parts:
                ways = _sayings(part, rules)
                if ways is None or len(found) * len(ways) > _MOST_SAYINGS:
                    return None
                found = [(*before, *way) for before in found for way in ways]
            return found


def _nouns(scenario: Scenario) -> dict[Words, tuple[str, str]]:
    """Words -> (slot, value) of the slots that an item cannot be without."""
    needed: set[str] = set()
    for tool in scenario.tools:
        for schema in tool.parameters.get("properties", {}).values():
            needed |= set(schema.get("items", {}).get("required", ()))
    refused = " ".join(_refusals(scenario))
    return {
        tuple(value.value.split()): (name, value.value)
        for name in needed & set(scenario.slots)
        for value in scenario.slots[name].values
        if f" {value.value} " not in f" {refused} "
    }


def _refusals(scenario: Scenario) -> Iterator[str]:
    for name in ("out_of_domain", "unsafe"):
        spec = scenario.intents.get(name)
        for node in spec.reply.values() if spec is not None else ():
            for way in _sayings(node, scenario.rules) or ():
                yield grammar.plain(grammar.join(way))


def _prefixes(sentences: Iterator[str]) -> frozenset[Words]:
    found: set[Words] = set()
    for sentence in sentences:
        words = tuple(sentence.split())
        found |= {words[:length] for length in range(1, len(words) + 1)}
    return frozenset(found)
