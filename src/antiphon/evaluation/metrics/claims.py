"""What an agent claims, and whether anything supports it.

A claim is a slot's value that the agent says it understood or puts into a call, a fact of the
scenario's tables, or a number. It is supported by the caller's words so far, the stimulus's goal,
or the scenario's facts; a call of the agent's own supports nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from antiphon.corpus import digits as spoken_digits
from antiphon.corpus import grammar
from antiphon.corpus.calls import slot_values
from antiphon.corpus.knowledge import LEAST_DIGITS, NUMBERS, Knowledge
from antiphon.corpus.order import effects
from antiphon.corpus.scenario import FactSpec, Scenario
from antiphon.evaluation.metrics.segments import Stretch
from antiphon.evaluation.script import Stimulus
from antiphon.runtime.events import CallEvent


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


class Ground(Knowledge):
    """What a scenario's callers can name and its tables can say, found in a whole reply."""

    def facts(self, plain: str) -> tuple[dict[str, list[FactSpec]], str]:
        """The facts in plain text, longest first, with their tables; and the words left over."""
        rest, found = f" {plain} ", dict[str, list[FactSpec]]()
        for phrase in sorted(self.phrases, key=len, reverse=True):
            if f" {phrase} " in rest:
                found[phrase] = self.phrases[phrase]
                rest = rest.replace(f" {phrase} ", "  ")
        return found, rest


class Support:
    """What may be claimed in one turn of the agent's: `heard` is all that the caller said up to
    then."""

    def __init__(self, ground: Ground, stimulus: Stimulus, heard: str) -> None:
        self._ground, self._heard = ground, grammar.plain(heard)
        self._named = {name: set(ground.named(name, self._heard)) for name in ground.scenario.slots}
        self._digits = spoken_digits.read(self._heard.split())
        if ground.digits is not None and len(self._digits) >= LEAST_DIGITS:
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
        if self._ground.digits is not None and len(digits) >= LEAST_DIGITS:
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
        yield from slot_values(call.arguments)


def caller_words(texts: Iterable[tuple[float, str]], stretch: Stretch) -> str:
    """What the caller had begun to say before a stretch of the agent's was over."""
    return " ".join(text for start, text in texts if start < stretch.end)


def _wanted(stimulus: Stimulus) -> Iterator[tuple[str, str]]:
    goal = stimulus.goal
    for item in (goal.order or ()) if goal else ():
        yield from slot_values(item)
    for call in (goal.calls or ()) if goal else ():
        yield from slot_values(call.arguments)
    for step in stimulus.steps:
        if step.expects is not None:
            yield from slot_values(step.expects.arguments)
