"""What the agent may read back of cards, telephones and addresses.

The numbers are those that the caller said in this call; a number that nobody gave is for the check
`claims`. A card is at most told by its last four digits, unless the scenario says otherwise.
"""

from __future__ import annotations

from antiphon.corpus.scenario import Scenario
from antiphon.guard.config import PersonalRules, ReadBack
from antiphon.guard.events import Finding
from antiphon.guard.spoken import emails, is_card, runs
from antiphon.guard.state import CallState, Said

_PHONE = (9, 12)  # digits of a telephone number with its area code
_LAST = 4
_LONG = 12  # digits on end that an agent of a scenario without numbers may say
_TELLS = 2  # digits on end from which they are compared with a card's


class Personal:
    """The check `personal`."""

    name = "personal"

    def __init__(self, scenario: Scenario, rules: PersonalRules) -> None:
        self._rules = rules
        needed = [spec.digits[1] for spec in scenario.slots.values() if spec.digits]
        self._most = rules.most_digits or max([*needed, _PHONE[1] if not needed else 0])

    def __call__(self, said: Said, state: CallState) -> Finding | None:
        """The first digit, or the address, that must not be read back."""
        private = list(self._private(state))
        for run in runs(said.words):
            over = said.over or run.last < len(said.words)
            for digits, rule, what in private:
                wrong = _reads(run.digits, digits, rule)
                if wrong is not None:
                    first = _word_of(said.words, run.first, run.last, wrong)
                    return Finding(
                        self.name,
                        f"It reads back {what} that it may not.",
                        first,
                        open=len(run.digits) < _TELLS and not over,
                    )
            if len(run.digits) > self._most:
                first = _word_of(said.words, run.first, run.last, self._most)
                reason = f"It says more than {self._most} digits on end."
                return Finding(self.name, reason, first)
        return self._address(said, state)

    def _private(self, state: CallState) -> list[tuple[str, ReadBack, str]]:
        found: list[tuple[str, ReadBack, str]] = []
        for run in runs(state.heard.split()):
            if is_card(run.digits):
                found.append((run.digits, self._rules.card, "a card's number"))
            elif _PHONE[0] <= len(run.digits) <= _PHONE[1]:
                found.append((run.digits, self._rules.phone, "a telephone number"))
        return [each for each in found if each[1] != "whole"]

    def _address(self, said: Said, state: CallState) -> Finding | None:
        """An e-mail address that the caller did not say."""
        heard = state.heard
        for first, last in emails(said.words):
            if " ".join(said.words[first:last]) not in heard:
                return Finding(self.name, "It says an e-mail address that nobody gave.", first)
        return None


def _reads(spoken: str, private: str, rule: ReadBack) -> int | None:
    """The first of the spoken digits that gives too much of a private number away."""
    tail = private[-_LAST:] if rule == "last4" else ""
    allowed = next((n for n in range(len(spoken), 0, -1) if tail.startswith(spoken[:n])), 0)
    if allowed == len(spoken):
        return None
    rest = spoken[allowed:]
    if tail and allowed == _LAST:
        return None if rest[:_TELLS] not in private else allowed
    return 0 if spoken[:_LAST] in private else None


def _word_of(words: tuple[str, ...], first: int, last: int, digit: int) -> int:
    """The word that says the digit with this number in a run."""
    for at in range(first, last):
        spelt = runs(words[first : at + 1])
        if spelt and len(spelt[0].digits) > digit:
            return at
    return last - 1
