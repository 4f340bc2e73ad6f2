"""What an agent claims, and whether anything supports it.

A claim is a slot's value that the agent says it understood or puts into a call, a fact of the
scenario's tables, or a number. It is supported by the caller's words so far, the stimulus's goal,
or the scenario's facts; a call of the agent's own supports nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple, cast

from antiphon.corpus import digits as spoken_digits
from antiphon.corpus import grammar
from antiphon.corpus.order import effects
from antiphon.corpus.scenario import FactSpec, Scenario
from antiphon.evaluation.metrics.segments import Stretch
from antiphon.evaluation.script import Stimulus
from antiphon.runtime.events import CallEvent

# "one" is mostly no number: "a green one".
NUMBERS = frozenset(
    (
        *("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
        *("twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
        *("nineteen", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty"),
        *("ninety", "hundred", "thousand"),
    )
)
_LEAST_DIGITS = 3  # digits on end that make a number read out, and not a price or a time


class Claim(NamedTuple):
    """Something claimed that nothing supports."""

    what: str
    """The slot's name, "fact" or "number"."""
    value: str
    invented: bool
    """Whether the caller said nothing of the kind at all; otherwise it was misheard."""

    @property
    def sentence(self) -> str:
        if self.what in ("fact", "number"):
            return f'It said "{self.value}", which no fact of the scenario supports.'
        how = f"the caller named no {self.what}" if self.invented else "the caller said otherwise"
        return f'It understood {self.what} "{self.value}"; {how}.'


class Ground:
    """What a scenario's callers can name and its tables can say, compiled once."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
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
        self._phrases: dict[str, list[FactSpec]] = {}
        for fact in scenario.facts.values():
            for phrase in _phrases(fact, scenario):
                self._phrases.setdefault(phrase, []).append(fact)
        self.digits = next((name for name, spec in scenario.slots.items() if spec.digits), None)

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

    def facts(self, plain: str) -> tuple[dict[str, list[FactSpec]], str]:
        """The facts in plain text, longest first, with their tables; and the words left over."""
        rest, found = f" {plain} ", dict[str, list[FactSpec]]()
        for phrase in sorted(self._phrases, key=len, reverse=True):
            if f" {phrase} " in rest:
                found[phrase] = self._phrases[phrase]
                rest = rest.replace(f" {phrase} ", "  ")
        return found, rest

    def true(self, fact: FactSpec, reply: str, heard: str) -> set[str]:
        """What the table gives for what the reply names, or, where it names nothing, the caller.

        A reply that names something may leave the rest open: "a latte is three dollars and up".
        """
        said = {name: self.named(name, reply) for name in fact.by}
        choices: list[list[str | None]] = []
        for name in fact.by:
            values: list[str | None] = [*dict.fromkeys(said[name] or self.named(name, heard))]
            open_ = not values or (not said[name] and any(said.values()))
            choices.append([*values, None] if open_ else values)
        found: set[str] = set()
        for chosen in product(*choices):
            node = _look_up(fact, dict(zip(fact.by, chosen, strict=True)))
            found |= set() if node is None else set(_renderings(node, self.scenario))
        return found


class Support:
    """What may be claimed in one turn of the agent's: `heard` is all that the caller said up to
    then."""

    def __init__(self, ground: Ground, stimulus: Stimulus, heard: str) -> None:
        self._ground, self._heard = ground, grammar.plain(heard)
        self._named = {name: set(ground.named(name, self._heard)) for name in ground.scenario.slots}
        self._digits = spoken_digits.read(self._heard.split())
        if ground.digits is not None and len(self._digits) >= _LEAST_DIGITS:
            self._named[ground.digits].add(self._digits)
        for name, value in _wanted(stimulus):
            self._named.setdefault(name, set()).add(value)

    def of_slots(self, slots: Iterable[tuple[str, str]]) -> list[Claim]:
        """Those of these slot values that nothing supports."""
        return [
            Claim(name, value, not self._named.get(name))
            for name, value in slots
            if value not in self._named.get(name, ())
        ]

    def of_text(self, text: str) -> list[Claim]:
        """The unsupported claims in the agent's words."""
        plain, scenario = grammar.plain(text), self._ground.scenario
        items = scenario.parse_reply_slots(plain)
        found = self.of_slots((name, value) for item in items for name, value in item.items())
        digits = scenario.parse_reply_digits(plain)
        if self._ground.digits is not None and len(digits) >= _LEAST_DIGITS:
            found += self.of_slots([(self._ground.digits, digits)])
            plain = " ".join(w for w in plain.split() if w not in spoken_digits.WORDS)
        said, rest = self._ground.facts(plain)
        for phrase, facts in said.items():
            if not any(phrase in self._ground.true(fact, plain, self._heard) for fact in facts):
                found.append(Claim("fact", phrase, True))
        known = set(self._heard.split())
        known |= {word for item in items for value in item.values() for word in value.split()}
        known |= {w for values in self._named.values() for value in values for w in value.split()}
        odd = [word for word in dict.fromkeys(rest.split()) if word in NUMBERS - known]
        return found + [Claim("number", word, True) for word in odd]


def claimed_by_calls(scenario: Scenario, calls: Iterable[CallEvent]) -> Iterator[tuple[str, str]]:
    """(slot, value) of everything that calls put down."""
    does = effects(scenario)
    for call in calls:
        if does.get(call.name, "none") == "clear":
            continue
        yield from _pairs(call.arguments)


def caller_words(texts: Iterable[tuple[float, str]], stretch: Stretch) -> str:
    """What the caller had begun to say before a stretch of the agent's was over."""
    return " ".join(text for start, text in texts if start < stretch.end)


def _pairs(arguments: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in arguments.items():
        if isinstance(value, list):
            for item in cast("list[Any]", value):
                if isinstance(item, dict):
                    yield from _pairs(cast("dict[str, Any]", item))
        else:
            yield name, str(value)


def _wanted(stimulus: Stimulus) -> Iterator[tuple[str, str]]:
    goal = stimulus.goal
    for item in (goal.order or ()) if goal else ():
        yield from _pairs(item)
    for call in (goal.calls or ()) if goal else ():
        yield from _pairs(call.arguments)
    for step in stimulus.steps:
        if step.expects is not None:
            yield from _pairs(step.expects.arguments)


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
    nodes = node.options if isinstance(node, grammar.Choice) else (node,)
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
