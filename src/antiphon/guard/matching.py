"""Finds given phrases in words that are still coming.

A phrase is words; `*` at the end of one matches all words with that stem. Of a phrase that the
words end inside, the beginning is found as an open match.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from antiphon.corpus import grammar


class Match(NamedTuple):
    """A phrase from word `first` on; open: the words ended inside it."""

    phrase: str
    first: int
    open: bool


class Phrases:
    """Phrases to look for, compiled."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._phrases: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        self._stems: list[tuple[str, tuple[str, ...]]] = []
        for phrase in phrases:
            words = tuple(_plain(word) for word in phrase.lower().split())
            words = tuple(word for word in words if word)
            if not words:
                continue
            if words[0].endswith("*"):
                self._stems.append((phrase, words))
            else:
                self._phrases.setdefault(words[0], []).append((phrase, words))

    def first(self, words: Sequence[str], *, opened: bool = False) -> Match | None:
        """The first phrase in the words; with `opened` also one that they end inside."""
        for at, word in enumerate(words):
            cut: Match | None = None
            for phrase, wanted in (*self._phrases.get(word, ()), *self._stems):
                taken = words[at : at + len(wanted)]
                if all(_fits(w, given) for w, given in zip(wanted, taken, strict=False)):
                    if len(taken) == len(wanted):
                        return Match(phrase, at, False)
                    cut = Match(phrase, at, True)
            if cut is not None and opened:
                return cut
        return None


def _plain(word: str) -> str:
    star = "*" if word.endswith("*") else ""
    return grammar.plain(word.rstrip("*")) + star


def _fits(wanted: str, word: str) -> bool:
    if wanted.endswith("*"):
        return word.startswith(wanted[:-1])
    return word == wanted
