"""The check `speech`: the judge reads back what the agent's voice says, beside the beat.

In: the voice of a sentence so far, and its text. Out: from which word on the voice says something
else. A judge is any callable from samples to words; asking it costs tens of milliseconds, so it is
asked for whole pieces, one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import NamedTuple

from antiphon.corpus.edits import distance
from antiphon.guard.aside import Aside
from antiphon.guard.config import SpeechRules
from antiphon.guard.events import Finding, Judge
from antiphon.runtime.events import Samples


class Piece(NamedTuple):
    """The voice of a sentence from its beginning, and the words that are over in it."""

    sentence: int
    samples: Samples
    words: tuple[str, ...]
    more: str
    """The word that may have begun."""


class Ear:
    """One call's judge."""

    def __init__(
        self, judge: Judge, rules: SpeechRules, *, executor: Executor | None = None
    ) -> None:
        self._rules = rules
        self._aside: Aside[Piece, str] = Aside(lambda piece: judge(piece.samples), executor)
        self._right: tuple[int, int] = (-1, 0)  # sentence, words that were read back
        self.errors: list[float] = []
        """Character error rates of what was read back, one a piece."""

    @property
    def busy(self) -> bool:
        """Whether the judge has not answered yet."""
        return self._aside.busy

    def listen(self, piece: Piece) -> None:
        """Have a piece read back, where there is enough of it."""
        if len(" ".join(piece.words)) >= self._rules.least:
            self._aside.ask(piece)

    def findings(self) -> list[tuple[int, Finding]]:
        """(sentence, finding) of what has been read back since the last time."""
        found: list[tuple[int, Finding]] = []
        for done in self._aside.answers():
            if done.answer is None:
                continue
            piece = done.question
            rate = departs(done.answer, piece.words, piece.more)
            self.errors.append(rate)
            sentence, right = self._right
            if rate <= self._rules.most:
                self._right = (piece.sentence, len(piece.words))
                continue
            first = right if sentence == piece.sentence else 0
            reason = (
                f'The voice says "{done.answer}" where the text is "{" ".join(piece.words)}" '
                f"({rate:.0%} of the characters differ)."
            )
            found.append((piece.sentence, Finding("speech", reason, min(first, len(piece.words)))))
        return found


def departs(heard: str, words: Sequence[str], more: str = "") -> float:
    """Character errors of what was heard over the characters of the text; the word after the text
    may have been heard, wholly or in part."""
    text = " ".join(words)
    wholes = [text] + [f"{text} {more[:length]}" for length in range(1, len(more) + 1)]
    return min(distance(heard, whole) / max(len(whole), 1) for whole in wholes)
