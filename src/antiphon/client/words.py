"""The pieces of a transcript, as they come, to words and texts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from antiphon.client.events import AgentWords, CallerWords, Event


class Words:
    """Joins pieces to words; spaces part them. A word's time is that of its first piece."""

    def __init__(self) -> None:
        self._text, self._time = "", 0.0

    def feed(self, piece: str, time: float) -> list[tuple[str, float]]:
        """The words that this piece ends, each with its time."""
        ended: list[tuple[str, float]] = []
        for part in re.findall(r"\s+|\S+", piece):
            if part.isspace():
                ended += self.flush()
                continue
            self._time = self._time if self._text else time
            self._text += part
        return ended

    def flush(self) -> list[tuple[str, float]]:
        """The open word, which is over; punctuation alone is none."""
        text, self._text = self._text, ""
        return [(text, self._time)] if any(map(str.isalnum, text)) else []


def texts(events: Sequence[Event], kind: type[AgentWords] | type[CallerWords]) -> dict[str, str]:
    """What one side said, by item, in the order in which the items began."""
    said: dict[str, str] = {}
    for event in events:
        if isinstance(event, kind):
            said[event.item] = event.text if event.final else said.get(event.item, "") + event.text
    return {item: " ".join(text.split()) for item, text in said.items() if text.strip()}
