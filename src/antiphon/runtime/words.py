"""Text ids, one a frame, to words with times, and words to ids.

Ids are PAD, END, then SentencePiece ids + 2. A piece that opens a word carries the mark U+2581.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sentencepiece

from antiphon.corpus.tokenizer import Tokenizer, normalise
from antiphon.errors import AntiphonError, BundleError, CorpusError
from antiphon.runtime.engine import END, FIRST_PIECE, PAD

WORD_START = "\u2581"
SETTLED = 3  # frames of PAD after which a word is taken to be whole

# fmt: off
_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)
_TENS = (
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)
# fmt: on


@dataclass(frozen=True)
class Word:
    """A word whose first piece came in frame `frame`."""

    text: str
    frame: int


@dataclass(frozen=True)
class Turn:
    """What was said in one go; its first piece came in frame `frame`."""

    text: str
    frame: int


class Pieces:
    """The bundle's tokenizer, id by id: what each piece reads, and the pieces of given words."""

    def __init__(self, path: Path) -> None:
        """Raises BundleError when `path` is no SentencePiece model."""
        try:
            self._tokenizer = Tokenizer.load(path)
        except CorpusError as error:
            raise BundleError(str(error)) from error
        model: Any = sentencepiece.SentencePieceProcessor(model_proto=self._tokenizer.model)  # type: ignore
        size = int(model.get_piece_size())
        silent = [model.is_control(i) or model.is_unknown(i) for i in range(size)]
        self._texts = [""] * FIRST_PIECE
        self._texts += ["" if silent[i] else str(model.id_to_piece(i)) for i in range(size)]

    def text(self, token: int) -> str:
        """The text of an id, with its word mark; "" for PAD, END and control pieces."""
        return self._texts[token] if 0 <= token < len(self._texts) else ""

    def words(self, text: str) -> list[list[int]]:
        """Ids of each word of `text`. Raises AntiphonError when it holds nothing sayable."""
        found: list[list[int]] = []
        for word in speakable(text):
            ids = list(self._tokenizer.pieces(word))
            if not all(self.text(token) for token in ids):
                raise AntiphonError(f"{word!r} cannot be said: the voice lacks one of its letters")
            found.append(ids)
        if not found:
            raise AntiphonError(f"there is nothing to say in {text[:60]!r}; give some words")
        return found


class WordStream:
    """One text stream of a call, taken an id a frame."""

    def __init__(self, pieces: Pieces) -> None:
        self._known = pieces
        self._pieces: list[str] = []
        self._turns: list[tuple[int, list[str]]] = []
        self._ended = True
        self._open = ""
        self._started = 0
        self._pads = 0
        self.frame = 0

    def push(self, token: int) -> Word | None:
        """The next frame's id; gives a word when one has become whole."""
        frame = self.frame
        self.frame += 1
        if token == PAD:
            self._pads += 1
            return self._finish() if self._pads >= SETTLED else None
        self._pads = 0
        if token == END:
            self._ended = True
            return self._finish()
        piece = self._known.text(token)
        self._pieces.append(piece)
        if self._ended:
            self._turns.append((frame, []))
            self._ended = False
        self._turns[-1][1].append(piece)
        done = None
        if piece.startswith(WORD_START):
            done = self._finish()
        if not self._open:
            self._started = frame
        self._open += piece
        return done

    def finish(self) -> Word | None:
        """The word that is still open at the end of a call, if any."""
        return self._finish()

    @property
    def speaking(self) -> bool:
        """Whether a turn has begun and not ended."""
        return not self._ended

    @property
    def text(self) -> str:
        """All that was said so far."""
        return _joined(self._pieces)

    @property
    def turns(self) -> list[Turn]:
        """What was said so far, parted where END came."""
        return [Turn(_joined(pieces), frame) for frame, pieces in self._turns]

    def _finish(self) -> Word | None:
        text, self._open = self._open.replace(WORD_START, " ").strip(), ""
        return Word(text, self._started) if text else None


def _joined(pieces: list[str]) -> str:
    return " ".join("".join(pieces).replace(WORD_START, " ").split())


def speakable(text: str) -> list[str]:
    """Lower-case words as the network was taught them: numbers spelt, accents and signs dropped.

    >>> speakable("That's 4 cafés!")
    ["that's", 'four', 'cafes']
    """
    spelt = re.sub(r"[0-9]+", lambda found: f" {spell(found.group())} ", text)
    plain = unicodedata.normalize("NFKD", spelt)
    bare = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return [word for word in normalise(bare).split() if word.strip("'")]


def spell(digits: str) -> str:
    """A number below 1,000 in words; a longer one, or one with a leading 0, digit by digit."""
    value = int(digits)
    if len(digits) > 3 or (len(digits) > 1 and digits[0] == "0"):
        return " ".join(_ONES[int(digit)] for digit in digits)
    if value >= 100:
        rest = f" {spell(str(value % 100))}" if value % 100 else ""
        return f"{_ONES[value // 100]} hundred{rest}"
    if value < 20:
        return _ONES[value]
    return _TENS[value // 10] + (f" {_ONES[value % 10]}" if value % 10 else "")
