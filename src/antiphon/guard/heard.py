"""The check `heard`: a call of which the ears spelt nothing does not go out, nor what tells of it.

The trunk can believe that it was asked for a drink by somebody who asked for something else; the
letters that the ears spell (CTC, trained to write down sounds and nothing more) show it. A bundle
that does not tell what it spells passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import mean

from antiphon.corpus.calls import slot_values
from antiphon.corpus.digits import say_as_agent
from antiphon.guard.config import HeardRules
from antiphon.guard.events import Finding
from antiphon.guard.ground import Ground
from antiphon.guard.spelling import misfit
from antiphon.guard.state import CallState, Said
from antiphon.runtime.events import CallEvent

_BEFORE, _AFTER = 0.6, 3.0  # s around a call in which the sentence that tells of it begins


class Heard:
    """The check `heard`, of calls and of sentences."""

    name = "heard"

    def __init__(self, ground: Ground, rules: HeardRules) -> None:
        self._ground, self._rules = ground, rules

    def of_call(self, call: CallEvent, state: CallState) -> Finding | None:
        """Whether nothing of a call was spelt."""
        if fits(list(self._words(call)), state.spelt_turn, self._rules):
            return None
        # What they did spell stays out of it: letters are too rough to take personal data from.
        reason = f"It called {call.name}, of which the ears spelt nothing."
        return Finding(self.name, reason, open=True)  # the last word may be spelt a little later

    def __call__(self, said: Said, state: CallState) -> Finding | None:
        """A sentence that goes with a call that did not go out."""
        for call in state.unheard:
            if -_BEFORE <= said.start - call.time <= _AFTER:
                reason = f"It answers with {call.name}, of which nothing was heard."
                return Finding(self.name, reason, 0)
        return None

    def _words(self, call: CallEvent) -> Iterator[str]:
        """The words of what a call puts down."""
        for slot, value in slot_values(call.arguments):
            if slot == self._ground.digits:
                yield from say_as_agent(value)
            elif slot in self._ground.values:
                yield from value.split()


def fits(words: Sequence[str], spelt: str | None, rules: HeardRules) -> bool:
    """Whether the ears may have spelt these words; shorter ones than `rules.least` do not count.

    True too where nothing counts, and where the bundle does not tell (None).
    """
    if spelt is None:
        return True
    far = [misfit(word, spelt) for word in words if len(word) >= rules.least]
    return not far or (min(far) <= rules.near and mean(far) <= rules.most)
