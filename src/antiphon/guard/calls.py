"""What a tool call must satisfy: its schema, the line's policy, and the caller's words.

In: a call that the agent made and the call's state. Out: what is wrong with it, or None. A call
that fails does not go out, and supports no claim.
"""

from __future__ import annotations

from antiphon.corpus import grammar
from antiphon.corpus.calls import schema_error, slot_values
from antiphon.guard.config import CallRules, ClaimRules, Confirm
from antiphon.guard.events import Finding
from antiphon.guard.ground import Ground
from antiphon.guard.matching import Phrases
from antiphon.guard.state import CallState
from antiphon.guard.support import Supports
from antiphon.runtime.events import CallEvent


class Calls:
    """The check `calls`."""

    name = "calls"

    def __init__(self, ground: Ground, rules: CallRules, near: float = 0.0) -> None:
        """near: as HeardRules has it."""
        self._ground, self._rules = ground, rules
        self._supports = Supports(ground, ClaimRules(), near)

    def __call__(self, call: CallEvent, state: CallState) -> Finding | None:
        """What is wrong with a call; an open finding may be cleared by the caller's next words."""
        scenario = self._ground.scenario
        wrong = schema_error(call.name, call.arguments, scenario.tools) or self._policy(call, state)
        if wrong:
            return Finding(self.name, wrong)
        if self._rules.unsaid == "pass" or state.effect(call.name) == "clear":
            return None
        support = self._supports.of(state)
        for slot, value in slot_values(call.arguments):
            if slot in scenario.slots and not support.said(slot, value):
                reason = (
                    f'It called {call.name} with {slot} "{value}", which the caller did not say.'
                )
                return Finding(self.name, reason, open=True, action=self._rules.unsaid)
        return None

    def confirm(self, call: CallEvent) -> Confirm | None:
        """What the caller must say yes to before this call goes out."""
        return self._rules.confirm.get(call.name)

    def _policy(self, call: CallEvent, state: CallState) -> str:
        made = [before.name for before in state.calls]
        if call.name in self._rules.never:
            return f"It called {call.name}, which this line does not allow."
        needed = self._rules.after.get(call.name, ())
        if needed and not any(name in made for name in needed):
            return f"It called {call.name} before {' or '.join(needed)}."
        most = self._rules.most.get(call.name)
        if most is not None and made.count(call.name) >= most:
            return f"It called {call.name} more than {most} times."
        return ""


def answers(text: str, confirm: Confirm) -> bool | None:
    """Whether a caller's words are a yes (True), a no (False), or neither (None)."""
    words = tuple(grammar.plain(text).split())
    if Phrases(confirm.no).first(words) is not None:
        return False
    return True if Phrases(confirm.yes).first(words) is not None else None
