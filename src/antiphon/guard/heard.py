"""The check `heard`: a call of which the ears spelt nothing does not go out, nor what tells of it.

The trunk can believe that it was asked for a drink by somebody who asked for something else; the
letters that the ears spell (CTC, trained to write down sounds and nothing more) show it. A bundle
that does not tell what it spells passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import mean

from antiphon.corpus.calls import slot_values
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
        spelt = state.spelt_turn
        if not state.spelt:
            return None
        far = [misfit(word, spelt) for word in self._words(call)]
        if not far or (min(far) <= self._rules.near and mean(far) <= self._rules.most):
            return None
        reason = f'It called {call.name}, and the ears spelt "{spelt}".'
        return Finding(self.name, reason, open=True)  # the last word may be spelt a little later

    def __call__(self, said: Said, state: CallState) -> Finding | None:
        """A sentence that goes with a call that did not go out."""
        for call in state.unheard:
            if -_BEFORE <= said.start - call.time <= _AFTER:
                reason = f"It answers with {call.name}, of which nothing was heard."
                return Finding(self.name, reason, 0)
        return None

    def _words(self, call: CallEvent) -> Iterator[str]:
        """The longer words of what a call puts down; digits are too short to tell."""
        for slot, value in slot_values(call.arguments):
            if slot in self._ground.values and slot != self._ground.digits:
                yield from (word for word in value.split() if len(word) >= self._rules.least)
