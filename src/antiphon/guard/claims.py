"""What the agent claims, word by word, and the first word that nothing supports.

Items, facts (prices, times), numbers read out and any other number: each is followed as far as it
is told, once through all that could be claimed and once through what may be. Where the first goes
on and the second does not, that is the first wrong word; it is found as it is told, before it
sounds.
"""

from __future__ import annotations

from collections.abc import Iterator

from antiphon.corpus.scenario import FactSpec
from antiphon.guard.config import ClaimRules
from antiphon.guard.events import Finding
from antiphon.guard.follow import Reach, follow, phrases
from antiphon.guard.ground import NUMBERS, Ground, Words
from antiphon.guard.spoken import Run, runs
from antiphon.guard.state import CallState, Said
from antiphon.guard.support import Support, Supports

_READ_OUT = 2  # digits on end from which they are compared with the numbers that were given
_UNSAID = "which was neither asked for nor called"
_UNCALLED = "which is not what it called"
Span = tuple[int, int]


class Claims:
    """The check `claims`. Share one among calls of a scenario, or not: it keeps only a cache."""

    name = "claims"

    def __init__(self, ground: Ground, rules: ClaimRules, near: float = 0.0) -> None:
        """near: as HeardRules has it."""
        self._ground, self._supports = ground, Supports(ground, rules, near)

    def __call__(self, said: Said, state: CallState) -> Finding | None:
        """The first claim in the sentence that nothing supports."""
        if self._ground.is_own(said.words):
            return None
        support = self._supports.of(state)
        found: list[Finding] = []
        taken: list[Span] = []
        found += self._facts(said, support, taken)
        self._read_out(said, support, taken)
        found += self._items(said.words, support, taken)
        found += self._digits(said, support, taken)
        found += self._nouns(said.words, support, taken)
        if not any(each.open for each in found):
            found += self._numbers(said.words, support, taken)
        return min(found, key=lambda each: (each.action == "flag", each.first), default=None)

    # -- items ------------------------------------------------------------------

    def _items(self, words: Words, support: Support, taken: list[Span]) -> list[Finding]:
        scenario, ground = self._ground.scenario, self._ground
        if scenario.object is None:
            return []
        node, rules = scenario.object.reply, scenario.rules

        def any_value(slot: str) -> Iterator[Words]:
            return (spoken for _, spoken in ground.values.get(slot, ()))

        found: list[Finding] = []
        at = 0
        while at < len(words):
            if _inside(at, taken):
                at += 1
                continue
            every = follow(node, words, at, any_value, rules)
            bare = follow(node, words, at, lambda _: (), rules)
            to = len(words) if every.open else every.furthest
            if to <= at or to <= _to(bare, words):
                at += 1  # nothing, or an article that opens no item
                continue
            right = follow(node, words, at, support.values, rules)
            first = max(right.stuck, at)
            if _to(right, words) < to and first < to:
                named = follow(node, words, at, support.named_values, rules)
                why = _UNCALLED if _to(named, words) >= to else _UNSAID
                found.append(self._unsaid(words, first, to, every.furthest < to, why))
            taken.append((at, to))
            at = to
        return found

    def _unsaid(self, words: Words, first: int, to: int, opened: bool, why: str) -> Finding:
        reason = f'It said "{" ".join(words[first:to])}", {why}.'
        return Finding(Claims.name, reason, first, open=opened)

    def _nouns(self, words: Words, support: Support, taken: list[Span]) -> list[Finding]:
        """What can be ordered, named without being read back: "the mocha"."""
        found: list[Finding] = []
        at = 0
        while at < len(words):
            ends = phrases(self._ground.nouns, words, at).ends
            to = max(ends, default=at + 1)
            if ends and not _inside(at, taken):
                slot, value = self._ground.nouns[words[at:to]]
                taken.append((at, to))
                if not support.has(slot, value):
                    reason = f'It said "{value}", {_UNSAID}.'
                    found.append(Finding(Claims.name, reason, at))
            at = to
        return found

    # -- facts ------------------------------------------------------------------

    def _facts(self, said: Said, support: Support, taken: list[Span]) -> list[Finding]:
        words = said.words
        found: list[Finding] = []
        at = 0
        while at < len(words):
            every = phrases(self._ground.tellings, words, at)
            to = len(words) if every.open else every.furthest
            if to <= at:
                at += 1
                continue
            true = self._true(words, at, to, support, said.text)
            right = phrases(true, words, at)
            if _to(right, words) >= to:
                taken.append((at, to))
            elif right.stuck >= to:
                found.append(self._short(words, at, to))
                taken.append((at, to))
            else:
                finding = self._untrue(words, at, to, right, every, support)
                if finding is None:  # it may be the beginning of something else
                    at += 1
                    continue
                found.append(finding)
                taken.append((at, to))
            at = to
        return found

    def _true(self, words: Words, at: int, to: int, support: Support, text: str) -> set[Words]:
        """What the tables that can say this would truly say."""
        tables: dict[int, FactSpec] = {}
        for phrase, facts in self._ground.tellings.items():
            if phrase[: to - at] == words[at : at + len(phrase)][: to - at]:
                tables |= {id(fact): fact for fact in facts}
        return {way for fact in tables.values() for way in support.true(fact, text)}

    def _untrue(
        self, words: Words, at: int, to: int, right: Reach, every: Reach, support: Support
    ) -> Finding | None:
        opened = every.open and every.furthest < to
        told = words[at:to]
        if opened and not any(word in NUMBERS for word in told):
            return None  # "from", that any sentence may hold
        if opened and all(support.knows(word) for word in told if word in NUMBERS):
            return None  # "two", that the caller has said
        first = max(right.stuck, at)
        reason = f'It said "{" ".join(told)}", which no fact of the scenario supports.'
        return Finding(Claims.name, reason, first, open=opened)

    def _short(self, words: Words, at: int, to: int) -> Finding:
        reason = f'It said "{" ".join(words[at:to])}" and left out the rest of the fact.'
        return Finding(Claims.name, reason, at, action="flag")

    # -- numbers ----------------------------------------------------------------

    def _runs(self, said: Said, taken: list[Span]) -> list[Run]:
        """The digits that are read out, where the scenario has numbers to be given."""
        if self._ground.digits is None:
            return []
        return [
            run
            for run in runs(said.words)
            if run.last - run.first >= _READ_OUT and not _inside(run.first, taken)
        ]

    def _read_out(self, said: Said, support: Support, taken: list[Span]) -> None:
        """Numbers that were given are no items, whose names may begin alike ("eight ounce")."""
        for run in self._runs(said, taken):
            at_end = run.last == len(said.words) and not said.over
            if _reads(run.digits, support.digits, whole=not at_end):
                taken.append((run.first, run.last))

    def _digits(self, said: Said, support: Support, taken: list[Span]) -> list[Finding]:
        """Digits read out that are no number that was given."""
        found: list[Finding] = []
        for run in self._runs(said, taken):
            if not support.digits and run.last - run.first < _READ_OUT + 1:
                continue  # "seven eight": a number only where one was asked for
            first = self._first_wrong(said.words, run.first, run.last, support)
            reason = f"It read out {run.digits}, which nobody gave."
            found.append(Finding(Claims.name, reason, first))
            taken.append((run.first, run.last))
        return found

    def _first_wrong(self, words: Words, first: int, last: int, support: Support) -> int:
        for to in range(first + 1, last + 1):
            spelt = runs(words[first:to])
            if spelt and not _reads(spelt[0].digits, support.digits, whole=False):
                return to - 1
        return last - 1

    def _numbers(self, words: Words, support: Support, taken: list[Span]) -> list[Finding]:
        """Number words that belong to nothing above."""
        for at, word in enumerate(words):
            if word in NUMBERS and not _inside(at, taken) and not support.knows(word):
                reason = f'It said "{word}", which no fact of the scenario supports.'
                return [Finding(Claims.name, reason, at)]
        return []


def _to(reach: Reach, words: Words) -> int:
    return len(words) if reach.open else reach.furthest


def _inside(at: int, spans: list[Span]) -> bool:
    return any(first <= at < last for first, last in spans)


def _reads(digits: str, given: tuple[str, ...], *, whole: bool) -> bool:
    """Whether digits read one of the given numbers out, or its beginning."""
    return any(digits == each or (not whole and each.startswith(digits)) for each in given)
