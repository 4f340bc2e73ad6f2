"""The pacing of given words: which text each frame is forced to.

The pieces of a word follow one another a frame; before the next word the network is asked, frame
by frame, whether it would go on now. So the words come at the voice's own pace, and a network
that never asks is still brought through its sentence.
"""

from __future__ import annotations

from collections import deque

from antiphon.audio import FRAME_RATE
from antiphon.runtime.engine import END, PAD, StepInput, forced, offered
from antiphon.runtime.words import WORD_START, Pieces

SLOW = 0.11  # seconds a letter of very slow speech: no word is waited for longer
GRACE = 5  # frames on top


class Script:
    """Words to be said, over one call or a part of it."""

    def __init__(self, pieces: Pieces, text: str, *, instead: bool = False) -> None:
        """instead: the agent is in the middle of words of its own, which are broken off first.

        Raises AntiphonError when there is nothing sayable in `text`.
        """
        self._known = pieces
        self._words = deque(pieces.words(text))
        self._rest: deque[int] = deque([END] if instead else [])
        self._asked: int | None = None
        self._patience = 0
        self._waited = 0
        self.done = False

    def direct(self, given: StepInput) -> StepInput:
        """This frame's input with the script's text in it."""
        self._asked = None
        if self.done:
            return forced(given, PAD)
        if self._rest:
            return forced(given, self._rest.popleft())
        upcoming = self._words[0][0] if self._words else END
        if self._waited >= self._patience:
            self._begin()
            return forced(given, upcoming)
        self._asked = upcoming
        return offered(given, upcoming)

    def heard(self, text: int) -> None:
        """The text that the frame got: the offered one, or PAD if the network was not ready."""
        if self._asked is None:
            return
        if text == self._asked:
            self._begin()
        else:
            self._waited += 1

    def _begin(self) -> None:
        if not self._words:
            self.done = True
            return
        word = self._words.popleft()
        self._rest = deque(word[1:])
        letters = sum(len(self._known.text(token).strip(WORD_START)) for token in word)
        self._patience = round(letters * SLOW * FRAME_RATE) + GRACE
        self._waited = 0
