"""Whether the agent keeps to the scenario's replies: the check `script`, chosen by name.

A sentence passes while one of the scenario's replies can go on from it. That stops whatever was
never meant ("your order is free"), and is only for agents that say nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

from antiphon.corpus import digits as spoken_digits
from antiphon.corpus.grammar import Node
from antiphon.corpus.scenario import FACT, HELD, SAID
from antiphon.guard.events import Finding
from antiphon.guard.follow import follow
from antiphon.guard.ground import Ground, Words
from antiphon.guard.state import CallState, Said

_MOST_DIGITS = 12


class Script:
    """The check `script`."""

    name = "script"

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        scenario = ground.scenario
        self._nodes: list[Node] = []
        for intent in scenario.intents.values():
            self._nodes += [*intent.reply.values(), *intent.reply_empty.values()]
        if scenario.silence is not None:
            self._nodes += [scenario.silence.prompt, scenario.silence.goodbye]
        if scenario.beside is not None:
            self._nodes.append(scenario.beside.agent)

    def __call__(self, said: Said, state: CallState) -> Finding | None:
        """The first word at which no reply goes on."""
        furthest = 0
        for node in self._nodes:
            reach = follow(node, said.words, 0, self._values(said), self._ground.scenario.rules)
            if reach.open or len(said.words) in reach.ends:
                return None
            furthest = max(furthest, reach.stuck)
        furthest = min(furthest, len(said.words) - 1)
        reason = f'No reply of the scenario goes on like "{said.text}".'
        return Finding(self.name, reason, furthest)

    def _values(self, said: Said) -> _Values:
        return _Values(self._ground, said.words)


class _Values:
    """What a reply's slots may hold here: values, digits, facts, and the items of an order."""

    def __init__(self, ground: Ground, words: Words) -> None:
        self._ground, self._words = ground, words

    def __call__(self, slot: str) -> Iterator[Words]:
        ground = self._ground
        if slot in (SAID, HELD):
            yield from self._items()
        elif slot.startswith(FACT):
            yield from ground.tellings
        elif slot == ground.digits:
            yield from self._numbers()
        else:
            yield from (words for _, words in ground.values.get(slot, ()))

    def _numbers(self) -> Iterator[Words]:
        """Every run of digit words in the sentence, whatever they are."""
        for first in range(len(self._words)):
            for last in range(first + 1, min(first + _MOST_DIGITS, len(self._words)) + 1):
                run = self._words[first:last]
                if run[-1] not in spoken_digits.WORDS:
                    break
                yield run

    def _items(self) -> Iterator[Words]:
        """Every run of the sentence that is items, with "and" between them, or a slot's value."""
        scenario, ground, words = self._ground.scenario, self._ground, self._words
        yield from self._numbers()
        for slot in ground.values:
            yield from (spoken for _, spoken in ground.values[slot])
        if scenario.object is None:
            return
        for first in range(len(words)):
            ends, todo = set[int](), [first]
            while todo:
                at = todo.pop()
                reach = follow(scenario.object.reply, words, at, self._value, scenario.rules)
                if reach.open:
                    yield (*words[first:], "")  # the sentence ends inside an item
                for end in reach.ends - {at} - ends:
                    ends.add(end)
                    yield words[first:end]
                    if end < len(words) and words[end] == "and":
                        todo.append(end + 1)
                        if end + 1 == len(words):
                            yield (*words[first:], "")

    def _value(self, slot: str) -> Iterator[Words]:
        return (spoken for _, spoken in self._ground.values.get(slot, ()))
