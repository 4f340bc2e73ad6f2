"""Notes on calls that go on, for accounts of their turns: `serving.explain`.

In: how the network hears each frame, and what observers are told. Out: two events for the store
that it would not have: the call's seed and bundle, and, for each turn of the caller's, how sure the
network was and which tone it heard, frame by frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict

from antiphon.guard.events import GuardEvent
from antiphon.runtime.clock import ClockEvent, HeardEvent
from antiphon.runtime.events import TONES, Samples
from antiphon.runtime.session import SECONDS
from antiphon.serving.turns import Turn

if TYPE_CHECKING:
    from antiphon.serving.call import CallInfo, LiveCall, Stage

_LONGEST = 1500  # frames of a turn that are noted: two minutes


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class BeganEvent(_View):
    """What answers a call, and with which seed; the first event of it."""

    type: Literal["began"] = "began"
    time: float = 0.0
    seed: int
    bundle: str
    fingerprint: str
    version: str = ""
    """By its name in the deployment's plan; "" without one."""


class HearingEvent(_View):
    """How a turn of the caller's was heard, a value for each frame of 80 ms."""

    type: Literal["hearing"] = "hearing"
    time: float
    """Seconds of the call when the turn was told."""
    turn: int
    start: float
    """Of the first frame, in seconds of the call."""
    voice: tuple[int, ...]
    """Probability of speech, in percent."""
    confidence: tuple[int, ...]
    """The network's own, in percent."""
    tone: str
    """The likeliest tone's first letter: n, a, h or c."""
    tone_probability: tuple[int, ...]
    """Its probability, in percent."""


class Keeper(Protocol):
    """Where the notes go: the store's observer."""

    def event(self, call_id: str, event: Any, /) -> None:
        """An event of a call."""
        ...


@dataclass
class _Noted:
    began: BeganEvent
    frames: deque[tuple[float, int, int, int, int]] = field(
        default_factory=lambda: deque[tuple[float, int, int, int, int]](maxlen=_LONGEST)
    )
    """(start, voice, confidence, tone, its probability)"""
    paused: bool = False
    seconds: float = 0.0


class _Ear:
    """The stage of a call that notes how it is heard, and changes nothing."""

    def __init__(self, noted: _Noted) -> None:
        self._noted = noted

    def review(self, events: Sequence[ClockEvent], /) -> Sequence[ClockEvent | GuardEvent]:
        """The same events."""
        for event in events:
            if isinstance(event, HeardEvent):
                self._noted.seconds = event.time
                if not self._noted.paused:
                    self._noted.frames.append(_frame(event))
        return events


class Notes:
    """Notes on every call, for its account: a stage of each, and an observer of all.

    The stages see how the network hears; the observer is told, as all others are, of no turn that
    is not to be kept. While a call's recording is paused nothing is noted.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._calls: dict[str, _Noted] = {}

    def stage(
        self, bundle: str, fingerprint: str, version: str = ""
    ) -> Callable[[LiveCall], Stage]:
        """What makes the stage of calls that this bundle answers; it is to be the first."""

        def make(call: LiveCall) -> Stage:
            began = BeganEvent(
                seed=call.seed, bundle=bundle, fingerprint=fingerprint, version=version
            )
            self._calls[call.id] = noted = _Noted(began)
            return _Ear(noted)

        return make

    def opened(self, call: CallInfo) -> None:
        """A call begins."""
        noted = self._calls.get(call.id)
        if noted is not None:
            self._keeper.event(call.id, noted.began)

    def turn(self, call_id: str, turn: Turn) -> None:
        """A finished turn: how the caller's was heard is kept with it."""
        noted = self._calls.get(call_id)
        if noted is None or turn.speaker != "caller":
            return
        frames = [
            each
            for each in noted.frames
            if turn.start - SECONDS < each[0] + SECONDS / 2 < turn.end + SECONDS
        ]
        if frames:
            heard = HearingEvent(
                time=noted.seconds,
                turn=turn.index,
                start=round(frames[0][0], 3),
                voice=tuple(each[1] for each in frames),
                confidence=tuple(each[2] for each in frames),
                tone="".join(TONES[each[3]][0] for each in frames),
                tone_probability=tuple(each[4] for each in frames),
            )
            self._keeper.event(call_id, heard)

    def paused(self, call_id: str, on: bool) -> None:
        """Nothing of what was heard till now is kept any more."""
        noted = self._calls.get(call_id)
        if noted is not None:
            noted.paused = on
            noted.frames.clear()

    def closed(self, call_id: str, reason: str) -> None:
        """The call is over."""
        self._calls.pop(call_id, None)

    def heard(self, call_id: str, samples: Samples) -> None:
        """Not noted."""

    def played(self, call_id: str, samples: Samples) -> None:
        """Not noted."""

    def event(self, call_id: str, event: object) -> None:
        """Not noted."""


def _frame(event: HeardEvent) -> tuple[float, int, int, int, int]:
    out, tone = event.out, int(np.argmax(event.out.tone))
    return (
        event.time - SECONDS,
        _percent(out.vad),
        _percent(out.confidence),
        tone,
        _percent(float(out.tone[tone])),
    )


def _percent(value: float) -> int:
    return round(min(max(value, 0.0), 1.0) * 100)
