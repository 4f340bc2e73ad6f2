"""Calls on their way out: checked, kept until the caller has said yes, or dropped."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from antiphon.corpus import grammar
from antiphon.guard.calls import answers
from antiphon.guard.checks import Rulebook
from antiphon.guard.config import Confirm
from antiphon.guard.events import Finding, GuardEvent
from antiphon.guard.heard import Heard
from antiphon.guard.reading import Second, SecondReading
from antiphon.guard.state import CallState
from antiphon.runtime.events import CallEvent

_Mends = Literal["corrected", "answered"]
_Action = Literal["call_blocked", "call_kept", "call_released", "flagged"] | _Mends
_LONGEST_YES = 30.0  # s for which a call waits for the caller's yes
_LISTENS = 0.6  # s for which a call waits for a second ear
_SETTLED = 5.0  # s after a turn was answered by its words in which the agent may call late


@dataclass
class _Kept:
    call: CallEvent
    confirm: Confirm
    since: float


class CallGate:
    """One call's tool calls. `patience` (s): how long one waits for what would support it."""

    def __init__(
        self,
        rules: Rulebook,
        state: CallState,
        patience: float,
        second: SecondReading | None = None,
    ) -> None:
        self._rules, self._state, self._patience = rules, state, patience
        self._check, self._unsafe = rules.call_check(), rules.unsafe()
        self._heard, self._second = rules.heard(), second
        self._settled: float | None = None  # when a turn was last answered by its words
        self._queue: deque[CallEvent] = deque()
        self._kept: _Kept | None = None
        self.ask: Confirm | None = None
        """What the caller must be asked now; the reader takes it."""
        self.instead: Second | None = None
        """Whose reply is to be said in place of the agent's own words now; the reader takes it."""

    def take(self, call: CallEvent) -> None:
        """A call that the agent made."""
        self._queue.append(call)

    def release(self, now: float, *, at_once: bool = False) -> list[CallEvent | GuardEvent]:
        """What can go out by now, and what is dropped; `at_once`: nothing more will be heard."""
        out = self._settle_kept(now)
        while self._queue:
            call = self._queue[0]
            if self._listens() and not at_once and now - call.time < _LISTENS:
                break
            if self._second is not None:
                self._state.hear_second(self._second.words())
            finding = self._finding(call)
            waits = finding is not None and finding.open and finding.action == "block"
            if waits and not at_once and now - call.time < self._patience:
                break
            self._queue.popleft()
            out += self._decide(call, finding, now)
        return out

    @property
    def busy(self) -> bool:
        """Whether a call waits."""
        return bool(self._queue)

    def mend(
        self, second: Second, now: float, why: str, action: _Mends = "corrected"
    ) -> list[CallEvent | GuardEvent]:
        """Make the call that the caller's words ask for, if any, in place of the agent's own."""
        before = self._queue.popleft() if self._queue else None
        self._queue.clear()
        self._settled = now
        self._state.hear_too(second.words)
        if second.call is None:
            self.instead = second
            name = SecondReading.name
            return [GuardEvent(time=now, action=action, check=name, reason=why, phrase=second.text)]
        call = CallEvent(time=now, name=second.call.name, arguments=second.call.arguments)
        if call.arguments in [c.arguments for c in self._state.calls_of_turn()]:
            self.instead = second
            return []
        finding = self._finding(call, again=False)
        out = self._decide(call, finding, now)
        if call in out:
            self.instead = second
            told = self._event(action, call, now, Finding(SecondReading.name, why))
            if before is not None:
                was = self._rules.redactor.value(before.arguments)
                told = told.model_copy(update={"data": {**told.data, "was": was}})
            out.append(told.model_copy(update={"phrase": second.text}))
        return out

    def _listens(self) -> bool:
        return self._second is not None and self._second.listens()

    def _late(self, call: CallEvent) -> bool:
        """Whether a call is the agent's own for a turn that was answered by its words."""
        if self._settled is None or call.time - self._settled > _SETTLED:
            return False
        words = self._state.caller_words
        return not words or words[-1].end <= self._settled

    def _finding(self, call: CallEvent, *, again: bool = True) -> Finding | None:
        """What is wrong with a call; `again`: also by what the words read as."""
        if self._unsafe is not None:
            state = self._state
            asked = self._unsafe.asked(state.waiting or state.turn)
            asked = asked or self._unsafe.asked(state.second)
            asked = asked or self._unsafe.spelt(state.spelt_turn)
            if asked:
                return Finding("unsafe", f"It called {call.name}, and {asked}")
        unheard = self._heard.of_call(call, self._state) if self._heard is not None else None
        if unheard is not None:
            return unheard
        if again and self._second is not None:
            if self._late(call):
                return Finding(SecondReading.name, "Its turn was answered by the caller's words.")
            other = self._second.of_call(call, self._state)
            if other is not None:
                return other
        return self._check(call, self._state) if self._check is not None else None

    def _decide(
        self, call: CallEvent, finding: Finding | None, now: float
    ) -> list[CallEvent | GuardEvent]:
        if finding is not None and finding.action == "block":
            if finding.check == Heard.name:
                self._state.drop(call)
            if finding.check == SecondReading.name and finding.open and self._second is not None:
                second = self._second.of(self._state, self._state.waiting or self._state.turn)
                if second is not None:
                    self._queue.appendleft(call)
                    return self.mend(second, now, finding.reason)
            return [self._event("call_blocked", call, now, finding)]
        confirm = self._check.confirm(call) if self._check is not None else None
        if confirm is not None and not self._confirmed(call, confirm):
            self._kept, self.ask = _Kept(call, confirm, now), confirm
            reason = f"{call.name} wants the caller's yes."
            return [self._event("call_kept", call, now, Finding("calls", reason))]
        self._state.make(call)
        flags = [self._event("flagged", call, now, finding)] if finding is not None else []
        return [call, *flags]

    def _confirmed(self, call: CallEvent, confirm: Confirm) -> bool:
        """Whether the agent asked in its last sentence, and the caller's answer was a yes."""
        asked = grammar.plain(confirm.ask)
        said = [sentence.text for sentence in self._state.sentences[-2:]]
        if not any(asked in text for text in said):
            return False
        heard = self._state.waiting or self._state.turn
        return answers(heard, confirm) is True

    def _settle_kept(self, now: float) -> list[CallEvent | GuardEvent]:
        kept = self._kept
        if kept is None:
            return []
        words = [w.text for w in self._state.caller_words if w.time > kept.since]
        answer = answers(" ".join(words), kept.confirm) if words else None
        if answer is True:
            self._kept = None
            self._state.make(kept.call)
            call = kept.call.model_copy(update={"time": now})
            reason = Finding("calls", "The caller said yes.")
            return [call, self._event("call_released", call, now, reason)]
        if answer is False or now - kept.since > _LONGEST_YES:
            self._kept = None
            reason = "The caller said no." if answer is False else "The caller said no yes."
            return [self._event("call_blocked", kept.call, now, Finding("calls", reason))]
        return []

    def _event(self, action: _Action, call: CallEvent, now: float, finding: Finding) -> GuardEvent:
        redact = self._rules.redactor
        arguments = redact.value(call.arguments)
        return GuardEvent(
            time=now,
            action=action,
            check=finding.check,
            reason=redact.text(finding.reason),
            data={"name": call.name, "arguments": arguments},
        )
