"""What the network's ears spell, letter by letter, beside what it wrote down of the caller.

In: the letters of each frame, as the CTC head of the encoder gives them. Out: the caller's speech
as it was spelt since a moment, and how near it comes to words. The ears know no sentences: where
the trunk believes that it was asked for a drink, and no drink was said, they do not spell one.
"""

from __future__ import annotations

from collections import deque

from antiphon.runtime.engine import BLANK

_MOST = 20_000  # letters that are kept: half an hour of talk


class Spelling:
    """One call's letters, with the seconds at which they were spelt."""

    def __init__(self) -> None:
        self._letters: deque[tuple[float, str]] = deque(maxlen=_MOST)
        self._last = BLANK

    def take(self, time: float, spelt: str) -> bool:
        """A frame's characters, blanks and repeats among them; whether a letter was new."""
        before = len(self._letters)
        for character in spelt:
            if character not in (BLANK, self._last):
                self._letters.append((time, character))
            self._last = character
        return len(self._letters) > before

    def since(self, time: float = -1.0) -> str:
        """What was spelt after `time` (s), words as the ears part them."""
        return "".join(letter for at, letter in self._letters if at > time).strip()


def misfit(word: str, spelt: str) -> float:
    """Least edits that make a stretch of `spelt` of the word, over its letters: 0 fits, 1 does not.

    Spaces count for nothing on either side (Sellers 1980, approximate matching of a pattern).
    """
    pattern, text = word.replace(" ", ""), spelt.replace(" ", "")
    if not pattern:
        return 0.0
    row = [0] * (len(text) + 1)
    for i, letter in enumerate(pattern, 1):
        last, row[0] = row[0], i
        for j, other in enumerate(text, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (letter != other))
    return min(row) / len(pattern)
