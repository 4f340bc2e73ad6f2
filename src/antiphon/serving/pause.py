"""Recording pauses, in one place: what no observer may be told while a call is not to be kept.

`Discreet` stands before an observer. While a call is paused its samples are silence, so that times
stay true, and its words, events and digits are nothing at all. What was said in the pause is also
told after it (words come some frames late), so everything is held against the paused spans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.runtime.events import Samples

if TYPE_CHECKING:
    from antiphon.serving.call import CallInfo, Dtmf, Observer, Passed, ToolResultEvent
    from antiphon.serving.turns import Turn

    Observed = Passed | ToolResultEvent | Dtmf

MARGIN = 0.5  # seconds around a pause in which a word may have been said in it: its time is a guess
SETTLE = 2.0  # seconds after a pause in which events may still be about what was said in it
TOLD = frozenset({"turn", "tone", "agent_word", "caller_word", "call"})
_SECONDS = FRAME / SAMPLE_RATE


class Spans:
    """The paused spans of one call, in seconds of the call."""

    def __init__(self) -> None:
        self.frames = 0
        """Frames of the caller heard so far."""
        self.on = False
        self.hidden: set[object] = set()
        """Ids of tool calls whose arguments and results are not told."""
        self._spans: list[tuple[float, float]] = []

    @property
    def now(self) -> float:
        """Seconds of the call."""
        return self.frames * _SECONDS

    def switch(self, on: bool) -> None:
        """A pause begins or ends now."""
        if on and not self.on:
            self._spans.append((self.now, float("inf")))
        elif self.on and not on:
            self._spans[-1] = (self._spans[-1][0], self.now)
        self.on = on

    def touch(self, start: float, end: float, margin: float = MARGIN) -> bool:
        """Whether something from `start` to `end` lies in a pause, if only in part."""
        return any(start < b + margin and end > a - margin for a, b in self._spans)

    @property
    def settling(self) -> bool:
        """Whether a pause is on, or ended so lately that its echo may still come."""
        return bool(self._spans) and self.now < self._spans[-1][1] + SETTLE


class Discreet:
    """An observer of calls that passes on to another what may be kept.

    Which keys a caller presses (DTMF) is never told: they are card numbers and PINs.
    """

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self._calls: dict[str, Spans] = {}

    def opened(self, call: CallInfo) -> None:
        """A call begins."""
        self._calls[call.id] = Spans()
        self.observer.opened(call)

    def heard(self, call_id: str, samples: Samples) -> None:
        """A frame of the caller; silence while paused."""
        spans = self._spans(call_id)
        spans.frames += 1
        self.observer.heard(call_id, np.zeros_like(samples) if spans.on else samples)

    def played(self, call_id: str, samples: Samples) -> None:
        """A frame of the agent; silence while paused."""
        on = self._spans(call_id).on
        self.observer.played(call_id, np.zeros_like(samples) if on else samples)

    def event(self, call_id: str, event: Observed) -> None:
        """An event that lies outside of every pause and tells nothing of one."""
        spans = self._spans(call_id)
        kept = self._event(spans, event)
        if kept is not None:
            self.observer.event(call_id, kept)

    def turn(self, call_id: str, turn: Turn) -> None:
        """A turn, without the words that lie in a pause; not at all if none are left."""
        kept = _turn(self._spans(call_id), turn)
        if kept is not None:
            self.observer.turn(call_id, kept)

    def paused(self, call_id: str, on: bool) -> None:
        """A pause begins or ends."""
        spans = self._spans(call_id)
        if spans.on != on:
            spans.switch(on)
            self.observer.paused(call_id, on)

    def closed(self, call_id: str, reason: str) -> None:
        """The call is over."""
        self._calls.pop(call_id, None)
        self.observer.closed(call_id, reason)

    def _spans(self, call_id: str) -> Spans:
        return self._calls.setdefault(call_id, Spans())

    def _event(self, spans: Spans, event: Observed) -> Observed | None:
        kind = str(getattr(event, "type", ""))
        time = float(getattr(event, "time", spans.now))
        said = getattr(event, "end", getattr(event, "start", None))
        if isinstance(said, float) and spans.touch(said, said):
            return None
        name = getattr(event, "id", getattr(event, "call_id", None))
        echo = spans.on or spans.settling or spans.touch(time, time)
        if kind == "call" and (echo or name in spans.hidden):
            if name is not None:
                spans.hidden.add(name)
            return None if spans.on else event.model_copy(update={"arguments": {}})
        if spans.on or (echo and kind not in TOLD) or (name and name in spans.hidden):
            return None
        if kind == "dtmf":
            return event.model_copy(update={"digit": "?"})
        return event


def _turn(spans: Spans, turn: Turn) -> Turn | None:
    touched = spans.touch(turn.start, turn.end)
    if not touched and not any(call.id in spans.hidden for call in turn.calls):
        return turn
    calls = tuple(call.model_copy(update={"arguments": {}, "result": None}) for call in turn.calls)
    if not touched:
        return turn.model_copy(update={"calls": calls})
    words = tuple(w for w in turn.words if not spans.touch(w[1], w[1] if w[2] is None else w[2]))
    if not words:
        return None
    text = " ".join(word[0] for word in words)
    return turn.model_copy(update={"words": words, "text": text, "calls": calls})
