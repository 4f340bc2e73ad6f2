"""The items of a session: what was said, called and answered, in order.

It knows nothing of sound or time, and sends nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from antiphon.serving.realtime.events import (
    FunctionCallItem,
    FunctionCallOutputItem,
    Message,
    MessageItem,
    Wrong,
)

MOST_ITEMS = 2_000  # beyond them the oldest are forgotten: a call may last for hours
_ROOT = "root"

Status = Literal["in_progress", "completed", "incomplete"]


@dataclass
class Item:
    """An item as the protocol shows it: its id, its status, and the rest of its fields."""

    id: str
    fields: Message
    status: Status = "completed"
    words: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    """Of a spoken message of the agent's: (word, seconds of its own sound at which it begins)."""
    seconds: float = 0.0
    """How much sound of it went out."""

    @property
    def spoken(self) -> bool:
        """Whether it is a message that the agent speaks or spoke."""
        return self.fields.get("role") == "assistant" and any(
            part.get("type") == "output_audio" for part in self.fields.get("content", ())
        )

    def as_json(self) -> Message:
        """As events show it."""
        return {"id": self.id, "object": "realtime.item", "status": self.status, **self.fields}


def from_client(item: MessageItem | FunctionCallItem | FunctionCallOutputItem, id: str) -> Item:
    """A client's item. Its sound is not kept. Raises Wrong."""
    if isinstance(item, MessageItem):
        content = [
            part.model_dump(exclude_none=True, exclude={"audio", "image_url"})
            for part in item.content
        ]
        return Item(id, {"type": "message", "role": item.role, "content": content})
    fields = item.model_dump(exclude_none=True, exclude={"id", "object", "status"})
    return Item(id, fields)


class Conversation:
    """Items by id, in order."""

    def __init__(self, id: str) -> None:
        self.id = id
        self._order: list[str] = []
        self._items: dict[str, Item] = {}

    def __len__(self) -> int:
        return len(self._order)

    @property
    def last(self) -> Item | None:
        """The newest item at the end."""
        return self._items[self._order[-1]] if self._order else None

    def __contains__(self, id: str) -> bool:
        return id in self._items

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Put an item in: at the end, after another, or first ("root"). Returns what is before it.

        Raises Wrong where the id is taken or the other is not there.
        """
        if item.id in self._items:
            raise Wrong(f"there is an item {item.id!r} already", param="item.id")
        if after is None:
            place = len(self._order)
        elif after == _ROOT:
            place = 0
        else:
            self.get(after, "previous_item_id")
            place = self._order.index(after) + 1
        self._order.insert(place, item.id)
        self._items[item.id] = item
        if len(self._order) > MOST_ITEMS:
            del self._items[self._order.pop(0)]
            place -= 1
        return self._order[place - 1] if place > 0 else None

    def get(self, id: str, param: str = "item_id") -> Item:
        """The item of an id. Raises Wrong."""
        item = self._items.get(id)
        if item is None:
            raise Wrong(
                f"there is no item {id!r} in the conversation", param=param, code="item_not_found"
            )
        return item

    def before(self, id: str) -> str | None:
        """The id of the item before another."""
        place = self._order.index(id) if id in self._items else 0
        return self._order[place - 1] if place > 0 else None

    def call(self, call_id: str) -> Item | None:
        """The function call of an id, if it is there."""
        for item in self._items.values():
            if item.fields.get("call_id") == call_id and item.fields["type"] == "function_call":
                return item
        return None

    def delete(self, id: str) -> None:
        """Take an item out. Raises Wrong."""
        self.get(id)
        del self._items[id]
        self._order.remove(id)


def truncate(item: Item, index: int, end_ms: int) -> int:
    """Cut an agent's spoken message to what was heard of it; returns the ms that remain.

    Raises Wrong where there is no sound to cut. More than there was is all there was.
    """
    if not item.spoken:
        raise Wrong(f"{item.id!r} is no message that the agent spoke", param="item_id")
    content: list[dict[str, Any]] = item.fields["content"]
    if index >= len(content):
        raise Wrong(f"the item has {len(content)} content parts", param="content_index")
    kept = min(end_ms, round(item.seconds * 1e3))
    item.words = [(word, start) for word, start in item.words if start * 1e3 < kept]
    item.seconds = kept / 1e3
    content[index]["transcript"] = " ".join(word for word, _ in item.words)
    return kept
