"""The order that stands after a call's tool calls: what a shop would make."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, cast

Order = dict[str, Any]


class _Made(Protocol):
    """A call that was made: `Call`, or the runtime's event of one."""

    @property
    def name(self) -> str: ...

    @property
    def arguments(self) -> dict[str, Any]: ...


def fold(calls: Iterable[_Made]) -> Order | None:
    """The final state: `place_order` adds to it, `change_order` alters it, `cancel_order` clears it.

    A change that carries a list replaces that list; a change of single values alters the last
    item of the list. Other tools leave the order alone. None when no order stands.
    """
    order: Order | None = None
    for call in calls:
        if call.name == "cancel_order":
            order = None
        elif call.name == "place_order":
            order = _added(order, call.arguments)
        elif call.name == "change_order" and order is None:
            order = dict(call.arguments)
        elif call.name == "change_order" and order is not None:
            order = _changed(order, call.arguments)
    return order


def _added(order: Order | None, more: dict[str, Any]) -> Order:
    if order is None:
        return dict(more)
    joined = order | more
    for name, value in more.items():
        if isinstance(value, list) and isinstance(order.get(name), list):
            joined[name] = [*order[name], *value]
    return joined


def _changed(order: Order, change: dict[str, Any]) -> Order:
    lists = [name for name, value in order.items() if isinstance(value, list)]
    if not lists or any(name in change for name in lists):
        return order | change
    items = cast("list[dict[str, Any]]", order[lists[0]])
    return order | {lists[0]: [*items[:-1], items[-1] | change] if items else [change]}
