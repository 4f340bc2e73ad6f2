"""Numbers and addresses as people speak and write them, found in words.

In: words, lower case. Out: the digits that a run of them spells ("forty two oh double five" ->
"420055"), where e-mail addresses stand, and whether digits are a payment card's. Knows nothing of
scenarios.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_ONES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = (
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_DIGITS = {word: str(value) for value, word in enumerate(_ONES)} | {
    "oh": "0",
    "o": "0",
    "nought": "0",
    "nil": "0",
}
_TIMES = {"double": 2, "triple": 3}
_FILLERS = frozenset(("um", "uh", "er", "erm", "and", "then", "dash", "hyphen", "space"))
_CARD = (13, 19)  # digits of a payment card's number (ISO/IEC 7812-1)


class Run(NamedTuple):
    """Digits said on end: words `first` to `last` - 1, and what they spell."""

    first: int
    last: int
    digits: str


def runs(words: Sequence[str]) -> list[Run]:
    """The runs of digits in words (lower case), fillers inside them passed over."""
    found: list[Run] = []
    at = 0
    while at < len(words):
        run = _run(words, at)
        if run is None:
            at += 1
        else:
            found.append(run)
            at = run.last
    return found


def _run(words: Sequence[str], first: int) -> Run | None:
    digits, at, end = "", first, first
    while at < len(words):
        taken, spelt = _group(words, at)
        if taken:
            digits += spelt
            at += taken
            end = at
        elif digits and words[at] in _FILLERS:
            at += 1
        else:
            break
    return Run(first, end, digits) if digits else None


def _group(words: Sequence[str], at: int) -> tuple[int, str]:
    """(words taken, digits) of the number word or words that stand here; (0, "") where none do."""
    word = words[at].strip("-.,")
    following = words[at + 1].strip("-.,") if at + 1 < len(words) else ""
    written = re.sub(r"[-. ()/+]", "", word)
    if written.isdecimal() and written.isascii():
        return 1, written
    if word in _TIMES:
        inner, spelt = _group(words, at + 1) if following else (0, "")
        return (1 + inner, spelt * _TIMES[word]) if len(spelt) == 1 else (0, "")
    if word in _DIGITS:
        if following == "hundred":
            return 2, f"{_DIGITS[word]}00"
        return 1, _DIGITS[word]
    if word in _TEENS:
        return 1, str(10 + _TEENS.index(word))
    if word in _TENS:
        ten = str(2 + _TENS.index(word))
        if following in _DIGITS and following not in ("oh", "o", "zero", "nought", "nil"):
            return 2, ten + _DIGITS[following]
        return 1, f"{ten}0"
    first, _, second = word.partition("-")
    if first in _TENS and second in _ONES[1:]:
        return 1, str(2 + _TENS.index(first)) + _DIGITS[second]
    return 0, ""


def is_card(digits: str) -> bool:
    """Whether digits are a payment card's number: 13 to 19, with Luhn's check digit
    (ISO/IEC 7812-1, annex B)."""
    return _CARD[0] <= len(digits) <= _CARD[1] and luhn(digits) and len(set(digits)) > 1


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


# -- e-mail --------------------------------------------------------------------

_DOMAINS = frozenset(
    ("com", "org", "net", "edu", "gov", "io", "co", "uk", "de", "fr", "eu", "info", "me", "us")
)
_JOINTS = frozenset(("dot", "point", "underscore", "dash", "hyphen", "plus"))
_NO_NAME = frozenset(
    (
        *("is", "it's", "its", "at", "my", "email", "e-mail", "mail", "address", "to", "me", "the"),
        *("a", "and", "or", "that's", "use", "under", "as", "on", "for", "with", "you", "your"),
    )
)


def emails(words: Sequence[str]) -> list[tuple[int, int]]:
    """(first, last) of every e-mail address spoken in words: "jo dot smith at mail dot com"."""
    found: list[tuple[int, int]] = []
    for at, word in enumerate(words):
        if word != "at" or at == 0:
            continue
        end = _domain(words, at + 1)
        first = _local(words, at)
        if end and first < at and (not found or first >= found[-1][1]):
            found.append((first, end))
    return found


def _domain(words: Sequence[str], at: int) -> int:
    """Where a spoken domain that begins here ends; 0 where there is none."""
    for end in range(at + 1, min(at + 8, len(words) - 1)):
        if words[end] in ("dot", "point") and words[end + 1] in _DOMAINS:
            end += 2
            while end + 1 < len(words) and words[end] == "dot" and words[end + 1] in _DOMAINS:
                end += 2
            return end
    return 0


def _local(words: Sequence[str], at: int) -> int:
    """Where the name before an "at" begins: letters, digits and joints, or one or two words."""
    first, plain = at, 0
    while first > 0 and at - first < 16:
        word = words[first - 1]
        joined = first < at and words[first] in _JOINTS
        spelt = len(word) == 1 or word in _JOINTS or _group(words, first - 1)[0] == 1
        if not spelt:
            if word in _NO_NAME or (plain and not joined):
                break
            plain += 1
        first -= 1
    return first
