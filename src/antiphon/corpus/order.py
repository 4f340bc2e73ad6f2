"""The order that stands after a call's tool calls: what a shop would make."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, cast

from antiphon.corpus.scenario import Scenario

Order = dict[str, Any]


class Made(Protocol):
    """A call that was made: `corpus.calls.Call`, or the runtime's event of one."""

    @property
    def name(self) -> str: ...

    @property
    def arguments(self) -> dict[str, Any]: ...


def effects(scenario: Scenario) -> dict[str, str]:
    """What each tool does to what is on order: "add", "change", "clear" or "none"."""
    return {spec.call: spec.effect for spec in scenario.intents.values() if spec.call}


def fold(calls: Iterable[Made], scenario: Scenario) -> Order | None:
    """{"items": [...]} as the calls leave it, or None when nothing is on order.

    The scenario says which tools add items, change the last one (where a new noun drops the old
    one's amount), or clear all. A change where there is nothing is taken for an item.
    """
    does = effects(scenario)
    items: list[dict[str, Any]] = []
    for call in calls:
        effect = does.get(call.name, "none")
        if effect == "clear":
            items = []
        elif effect == "change" and items:
            scenario.merge(items[-1], call.arguments)
        elif effect in ("add", "change"):
            items += [dict(item) for item in _items(call.arguments)]
    return {"items": items} if items else None


def _items(arguments: dict[str, Any]) -> list[dict[str, Any]]:
    for value in arguments.values():
        if isinstance(value, list):
            return cast("list[dict[str, Any]]", value)
    return [arguments]
