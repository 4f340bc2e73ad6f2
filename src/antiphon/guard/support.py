"""What may be claimed in a call at a moment: by the caller's words, calls that passed, and results.

In: a scenario's ground and a call's state. Out: which slot values, digits, facts and numbers have
support. It is computed when something new was learnt, not for every word.
"""

from __future__ import annotations

from collections.abc import Iterator

from antiphon.corpus.calls import slot_values
from antiphon.corpus.knowledge import LEAST_DIGITS
from antiphon.corpus.scenario import FactSpec
from antiphon.guard.config import ClaimRules
from antiphon.guard.ground import Ground, Words
from antiphon.guard.spelling import misfit
from antiphon.guard.spoken import runs
from antiphon.guard.state import CallState, items_of

_LONG = 9  # letters and spaces of a value
_FURTHER = 0.1  # by which it may be further from what was spelt


class Support:
    """Of one call at one version of its state; see `support_of`."""

    def __init__(self, ground: Ground, rules: ClaimRules, near: float, state: CallState) -> None:
        self._ground, self._rules, self._near = ground, rules, near
        self._state = state
        self._spelt = state.spelt if "caller" in rules.support else ""
        self.heard = state.heard if "caller" in rules.support else ""
        self._words = frozenset(self.heard.split())
        self._results = " ".join(state.results) if "results" in rules.support else ""
        self._named: dict[str, frozenset[str]] = {}
        self._called = frozenset(
            pair for call in state.calls for pair in slot_values(call.arguments)
        )
        made = state.calls_of_turn()
        self.calls_agree = [c for c in made if state.effect(c.name) in ("add", "change")]
        """The calls of this turn that what is read back must agree with."""
        self._agreed = frozenset(
            pair for item in (*items_of(self.calls_agree), *state.order) for pair in item.items()
        )
        self.digits = tuple(self._numbers())
        """The numbers that were said or given, as digits."""

    def named(self, slot: str) -> frozenset[str]:
        """The values of a slot that the caller or a tool's result named."""
        if slot not in self._named:
            ground = self._ground
            found = {*ground.named(slot, self.heard), *ground.named(slot, self._results)}
            self._named[slot] = frozenset(found)
        return self._named[slot]

    def said(self, slot: str, value: str) -> bool:
        """Whether the caller (or a result) named this value, or all that tells it from others."""
        if slot == self._ground.digits:
            return value in self.digits
        return value in self.named(slot) or self._hinted(slot, value)

    def has(self, slot: str, value: str) -> bool:
        """Whether the agent may claim this value now."""
        if self._rules.agree and self.calls_agree and (slot, value) not in self._agreed:
            return False
        if value in self.named(slot):
            return True
        called = "calls" in self._rules.support and (slot, value) in self._called
        return called and self._hinted(slot, value)

    def _hinted(self, slot: str, value: str) -> bool:
        """Whether what was called was heard in part, or was spelt by the ears at least."""
        if self._ground.hinted(slot, value, self._words):
            return True
        # A long value does not come near by chance.
        near = self._near + (_FURTHER if len(value) >= _LONG else 0.0)
        return bool(self._spelt) and misfit(value, self._spelt) <= near

    def values(self, slot: str) -> Iterator[Words]:
        """The ways to say the values of a slot that may be claimed now."""
        for value, words in self._ground.values.get(slot, ()):
            if self.has(slot, value):
                yield words

    def named_values(self, slot: str) -> Iterator[Words]:
        """The ways to say the values of a slot that were named, called or not."""
        named = self.named(slot)
        return (words for value, words in self._ground.values.get(slot, ()) if value in named)

    def true(self, fact: FactSpec, reply: str) -> set[Words]:
        """The phrases of a table that are true of what the reply names, or the caller."""
        true = self._ground.true(fact, reply, self.heard)
        return {tuple(phrase.split()) for phrase in true}

    def knows(self, word: str) -> bool:
        """Whether a number word stands in what was said, called or given."""
        if word in self._words or word in self._results.split():
            return True
        if any(word in words for slot in self._ground.values for words in self._known_values(slot)):
            return True
        return any(word in str(value).split() for _, value in self._called)

    def _known_values(self, slot: str) -> list[Words]:
        named = self.named(slot)
        return [words for value, words in self._ground.values[slot] if value in named]

    def _numbers(self) -> Iterator[str]:
        for text in (self.heard, self._results):
            for run in runs(text.split()):
                if len(run.digits) >= LEAST_DIGITS:
                    yield run.digits
        for slot, value in self._called:
            if slot == self._ground.digits and "calls" in self._rules.support:
                yield value


class Supports:
    """Gives a call's support, computed once for each version of its state."""

    def __init__(self, ground: Ground, rules: ClaimRules, near: float) -> None:
        self._ground, self._rules, self._near = ground, rules, near
        self._last: tuple[CallState, int, Support] | None = None

    def of(self, state: CallState) -> Support:
        """The support as it stands."""
        last = self._last
        if last is None or last[0] is not state or last[1] != state.version:
            last = (state, state.version, Support(self._ground, self._rules, self._near, state))
            self._last = last
        return last[2]
