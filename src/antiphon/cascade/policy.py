"""What the agent does with a turn: the calls it makes, and its words, by the scenario alone.

In: a turn as the reader read it, or None for one that was not understood. Out: calls that are
valid by their schemas, and a reply. The only state is the calls made so far. Knows nothing of
sound.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from antiphon.corpus.calls import Call
from antiphon.corpus.order import Order, fold
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.turn_reader import Reading, State
from antiphon.errors import ScenarioError

AGAIN = "sorry, could you say that again?"  # in a scenario without replies to other talk


@dataclass(frozen=True)
class Move:
    """What follows from a turn."""

    text: str
    call: Call | None = None


class Policy:
    """One call with one caller.

    fallback: the intent whose replies answer what was not understood.
    """

    def __init__(self, scenario: Scenario, rng: random.Random, fallback: str) -> None:
        self._scenario, self._rng, self._fallback = scenario, rng, fallback
        self.calls: list[Call] = []

    @property
    def order(self) -> Order | None:
        """What is on order."""
        return fold(self.calls, self._scenario)

    @property
    def state(self) -> State:
        """Whether anything is."""
        return "held" if self.order else "empty"

    def move(self, reading: Reading | None) -> Move:
        """Answer a turn; its call is made when this returns."""
        if reading is None:
            return self._not_understood()
        scenario, spec = self._scenario, self._scenario.intents[reading.intent]
        if spec.reply_empty and not self.order:
            return Move(scenario.reply_to_nothing(reading.intent, self._rng))
        call = scenario.call(reading.intent, reading.slots, reading.items)
        if call is not None:
            try:
                scenario.call_vocabulary.encode(call)
            except ScenarioError:  # words that the grammar allows and the tool does not
                return self._not_understood()
        after = [*self.calls, call] if call else self.calls
        held: list[dict[str, Any]] = (fold(after, scenario) or {"items": []})["items"]
        try:
            text = scenario.reply(reading.intent, reading.slots, reading.items, held, self._rng)
        except ScenarioError:  # no template says these slots: nothing is done that is not said
            return self._not_understood()
        self.calls = list(after)
        return Move(text or "", call)

    def _not_understood(self) -> Move:
        spec = self._scenario.intents.get(self._fallback)
        if spec is None or not spec.reply:
            return Move(AGAIN)
        held = (self.order or {"items": []})["items"]
        try:
            text = self._scenario.reply(self._fallback, {}, (), held, self._rng)
        except ScenarioError:
            text = None
        return Move(text or AGAIN)
