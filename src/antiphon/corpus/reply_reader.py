"""Reads the agent's confirmations back into slots, to check speech and text against the call.

In: a reply as text, with or without punctuation. Out: the items it names, or its digits.
It compiles the template by which replies are phrased, so the two cannot drift apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from antiphon.corpus import digits as spoken_digits
from antiphon.corpus import grammar
from antiphon.corpus.grammar import Node, Slots


class ReplyReader:
    """Compiled from the object's reply template (None: only digits can be read)."""

    def __init__(
        self, node: Node | None, values: Mapping[str, Sequence[str]], rules: Mapping[str, Node]
    ) -> None:
        self._pattern = None
        if node is not None:
            self._pattern = re.compile(grammar.to_regex(node, values, rules))

    def items(self, text: str) -> list[Slots]:
        """Every item in the text, slots in the order in which they are spoken."""
        if self._pattern is None:
            return []
        found: list[Slots] = []
        for match in self._pattern.finditer(grammar.plain(text) + " "):
            slots = {key.partition("__")[0]: v for key, v in match.groupdict().items() if v}
            if slots:
                found.append(slots)
        return found

    def digits(self, text: str) -> str:
        """The longest run of spoken digits; "" where there is none."""
        return spoken_digits.read(grammar.plain(text).split())
