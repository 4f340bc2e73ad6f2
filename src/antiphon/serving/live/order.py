"""What is on order after a call's tool calls, for those who show it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, cast

from antiphon.corpus import grammar
from antiphon.corpus.order import fold
from antiphon.corpus.scenario import Scenario
from antiphon.serving.live.events import Message
from antiphon.serving.turns import ToolCallEvent


class OrderBook:
    """Reads orders by a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario

    def __call__(self, calls: Sequence[ToolCallEvent]) -> tuple[Message | None, tuple[str, ...]]:
        """(the order as `corpus.order.fold` has it, its items in the agent's words)."""
        order = fold(calls, self._scenario)
        items = cast("list[dict[str, Any]]", order["items"]) if order else []
        return order, tuple(self.words(item) for item in items)

    def words(self, item: dict[str, Any]) -> str:
        """An item as the agent says it; "" where the scenario has no words for it."""
        slots = {name: str(value) for name, value in item.items()}
        return grammar.join(self._scenario.phrase([slots]))

    def examples(self, count: int = 3) -> list[str]:
        """A few things that a caller could say, always the same ones."""
        rng = random.Random(7)
        intents = self._scenario.intents
        odds = {name: spec.weight.get("empty", 0.0) for name, spec in intents.items() if spec.call}
        # What is asked most, which is what the agent is there for.
        most = max(odds, key=lambda name: odds[name], default=None)
        if most is None:
            return []
        return [grammar.join(self._scenario.say(most, rng).tokens) for _ in range(count)]
