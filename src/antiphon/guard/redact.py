"""Takes personal data out of text: cards, telephones, e-mail and postal addresses, numbers.

In: what was said or written, digits as figures or as words. Out: the same with a typed placeholder
in the place of each ("my card is [card]"), or where they stand. It finds what looks like personal
data; names of people it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from antiphon.corpus.scenario import Scenario
from antiphon.guard.config import Kind, RedactRules
from antiphon.guard.spoken import emails, is_card, runs

_PHONE = (7, 15)  # digits (ITU-T E.164 allows 15)
_ABOUT = 8  # words before a number that say what it is
_PHONE_WORDS = frozenset(
    ("phone", "telephone", "mobile", "cell", "call", "reach", "ring", "text", "whatsapp", "fax")
)
_LOYALTY_WORDS = frozenset(("loyalty", "member", "membership", "bonus", "customer", "rewards"))
_STREETS = frozenset(
    (
        *("street", "st", "road", "rd", "avenue", "ave", "lane", "ln", "drive", "court", "square"),
        *("boulevard", "blvd", "terrace", "crescent", "place", "highway", "close", "alley"),
    )
)
_UNITS = frozenset(("apartment", "apt", "flat", "unit", "suite", "floor"))
_STREET_WORDS = 4  # words between a house's number and "street"
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_FIGURES = re.compile(r"\+?\d(?:[\d ().\-/]*\d)?")
_SIGNS = ".,;:!?\"'()"
_TOKEN = re.compile(r"\S+")


class Found(NamedTuple):
    """Personal data in a text, letters `start` to `end` - 1."""

    kind: Kind
    start: int
    end: int


class Redactor:
    """What a scenario takes out; without one, the defaults."""

    def __init__(self, rules: RedactRules | None = None, scenario: Scenario | None = None) -> None:
        self._rules = rules or RedactRules()
        self._slots = dict(self._rules.slots)
        spans = [
            spec.digits
            for name, spec in (scenario.slots.items() if scenario else ())
            if spec.digits and self._slots.get(name) == "loyalty"
        ]
        self._loyalty = spans[0] if spans else None
        self._kinds = {*self._rules.kinds, *self._slots.values()}

    def text(self, text: str) -> str:
        """The text with placeholders such as "[card]"."""
        out, at = "", 0
        for found in self.find(text):
            out += f"{text[at : found.start]}[{found.kind}]"
            at = found.end
        return out + text[at:]

    def words(self, words: Sequence[str]) -> list[str]:
        """The same for words with times of their own: as many come out. The first word of what was
        found becomes the placeholder, the others "" (to be dropped, or kept empty)."""
        text = " ".join(words)
        found = self.find(text)
        out, at = list[str](), 0
        for word in words:
            inside = next((f for f in found if f.start < at + len(word) and at < f.end), None)
            if inside is None:
                out.append(word)
            else:
                out.append(f"[{inside.kind}]" if at <= inside.start else "")
            at += len(word) + 1
        return out

    def value(self, value: Any) -> Any:
        """A JSON value with every text in it redacted, and the slots that are somebody's."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            entries = cast("Mapping[str, Any]", value).items()
            return {
                key: f"[{self._slots[key]}]" if key in self._slots and inner else self.value(inner)
                for key, inner in entries
            }
        if isinstance(value, list | tuple):
            return [self.value(inner) for inner in cast("Iterable[Any]", value)]
        return value

    def find(self, text: str) -> list[Found]:
        """What is personal in a text, in order, without overlaps."""
        tokens = [(match.group(), match.start(), match.end()) for match in _TOKEN.finditer(text)]
        words = [token.lower().strip(_SIGNS) for token, _, _ in tokens]
        found = [*self._mails(text), *self._spoken(words, tokens), *self._figures(text)]
        found = [
            each
            for each in found
            if each.kind in self._kinds and not _DATE.fullmatch(text[each.start : each.end])
        ]
        kept: list[Found] = []
        for each in sorted(found, key=lambda f: (f.start, f.start - f.end)):
            if not kept or each.start >= kept[-1].end:
                kept.append(each)
            elif each.end > kept[-1].end:
                kept[-1] = kept[-1]._replace(end=each.end)
        return kept

    def _mails(self, text: str) -> list[Found]:
        return [Found("email", match.start(), match.end()) for match in _MAIL.finditer(text)]

    def _figures(self, text: str) -> list[Found]:
        """Numbers written in figures, with the signs that people put between them."""
        found: list[Found] = []
        for match in _FIGURES.finditer(text):
            digits = re.sub(r"\D", "", match.group())
            before = text[: match.start()].lower().split()
            kind = self._kind(digits, before, plus=match.group().startswith("+"))
            if kind is not None:
                found.append(Found(kind, match.start(), match.end()))
        return found

    def _spoken(self, words: Sequence[str], tokens: Sequence[tuple[str, int, int]]) -> list[Found]:
        def span(kind: Kind, first: int, last: int) -> Found:
            begun, ended = tokens[first][0], tokens[last - 1][0]
            before = len(begun) - len(begun.lstrip(_SIGNS))
            after = len(ended) - len(ended.rstrip(_SIGNS))
            return Found(kind, tokens[first][1] + before, tokens[last - 1][2] - after)

        found = [span("email", first, last) for first, last in emails(words)]
        for run in runs(words):
            kind = self._kind(run.digits, words[: run.first])
            if kind is not None:
                found.append(span(kind, run.first, run.last))
            street = self._street(words, run.first, run.last)
            if street:
                found.append(span("address", run.first, street))
        for at, word in enumerate(words[:-1]):
            if word in _UNITS and (unit := runs(words[at + 1 : at + 5])) and unit[0].first == 0:
                found.append(span("address", at, at + 1 + unit[0].last))
        return found

    def _kind(self, digits: str, before: Sequence[str], *, plus: bool = False) -> Kind | None:
        """What a number is, by its digits and the words before it."""
        about = frozenset(word.strip(_SIGNS) for word in before[-_ABOUT:])
        if is_card(digits) or (len(digits) >= 12 and "card" in about):
            return "card"
        if self._loyalty is not None and self._loyalty[0] <= len(digits) <= self._loyalty[1]:
            if about & _LOYALTY_WORDS or not about & _PHONE_WORDS:
                return "loyalty"
        elif about & _LOYALTY_WORDS and len(digits) >= 4:
            return "loyalty" if "loyalty" in self._kinds else "number"
        telephone = plus or bool(about & _PHONE_WORDS) or len(digits) in (10, 11)
        if _PHONE[0] <= len(digits) <= _PHONE[1] and telephone:
            return "phone"
        return "number" if len(digits) > self._rules.longest_number else None

    def _street(self, words: Sequence[str], first: int, last: int) -> int:
        """Where a postal address that begins with this house's number ends; 0 for none."""
        for at in range(last, min(last + _STREET_WORDS, len(words))):
            if words[at] in _STREETS and at > last:
                return at + 1
            if words[at] in ("and", "is", "with", "please"):
                return 0
        return 0
