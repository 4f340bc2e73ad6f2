"""What plain text names of a scenario's slots, and what its tables of facts can say of it.

In: a scenario. Out: which slot values words name, which phrases the facts can give, and which of
them are true of what was named. Who may claim what is decided elsewhere: by the guard while a call
goes on, by the evaluation afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product
from typing import Any, cast

from antiphon.corpus import grammar
from antiphon.corpus.scenario import FactSpec, Scenario

# "one" is mostly no number: "a green one".
NUMBERS = frozenset(
    (
        *("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
        *("twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
        *("nineteen", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty"),
        *("ninety", "hundred", "thousand"),
    )
)
LEAST_DIGITS = 3  # digits on end that make a number read out, and not a price or a time


class Knowledge:
    """Compiled of one scenario; plain text is what `grammar.plain` gives."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
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
        self.phrases: dict[str, list[FactSpec]] = {}
        """What the facts' tables can say, and which of them do."""
        for fact in scenario.facts.values():
            for phrase in _phrases(fact, scenario):
                self.phrases.setdefault(phrase, []).append(fact)

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
            node = fact.row(dict(zip(fact.by, chosen, strict=True)))
            found |= set() if node is None else set(_renderings(node, self.scenario))
        return found


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


def _length(match: re.Match[str]) -> int:
    return match.end() - match.start()
