"""A live call, as protocols, the store, the guard and metrics see it.

    LiveCall = a line on the clock -> stages (the guard) -> turns -> one protocol, many observers

In: the caller's samples and the client's wishes. Out: messages for the protocol that the call
came by, and the same for observers. It lives on the event loop; only the clock's `tell` comes from
elsewhere, and hands over. It knows nothing of sockets.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Literal, Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.audio.quick_resample import QuickResampler
from antiphon.corpus.delivery import Delivery
from antiphon.guard.events import GuardEvent
from antiphon.runtime.caller_buffer import CallerBuffer
from antiphon.runtime.clock import ClockEvent, EndedEvent, HeardEvent
from antiphon.runtime.engine import END, StepOutput
from antiphon.runtime.events import (
    AgentWordEvent,
    AudioEvent,
    CallEvent,
    Samples,
)
from antiphon.runtime.latency import AUDIBLE
from antiphon.runtime.places import Places
from antiphon.runtime.session import SECONDS
from antiphon.serving.pause import Discreet
from antiphon.serving.turns import AgentFloor, ToolCall, ToolCallEvent, Turn, TurnTracker

__all__ = [
    "AgentStarted",
    "AgentStopped",
    "CallInfo",
    "CallMessage",
    "Closed",
    "Dtmf",
    "Guardian",
    "LiveCall",
    "Lost",
    "Observer",
    "Passed",
    "Stage",
    "ToolCall",
    "ToolCallEvent",
    "ToolResultEvent",
    "Turn",
]

CODA = 20  # frames after which an agent that was stopped is heard again, whatever it does: 1.6 s
LOUD = 0.01  # root mean square of a frame that is taken for speech where no network hears
LOST_EVERY = 10.0  # seconds between messages about samples that were dropped
STILL = 2  # silent frames that show that a stopped agent's voice has died away

_log = logging.getLogger(__name__)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CallInfo(_Frozen):
    """What a call is, from its first moment on."""

    id: str = Field(default_factory=lambda: f"call_{secrets.token_hex(12)}")
    bundle: str = ""
    protocol: str = ""
    key: str = ""
    """The key's id; "" where none was needed."""
    started: datetime = Field(default_factory=lambda: datetime.now(UTC))
    metadata: dict[str, str] = {}


class ToolResultEvent(_Frozen):
    """The client answered a tool call."""

    type: Literal["tool_result"] = "tool_result"
    time: float
    id: str
    output: str


class AgentStarted(_Frozen):
    """The agent has the floor: it is about to be heard, or is."""

    type: Literal["agent_started"] = "agent_started"
    time: float


class AgentStopped(_Frozen):
    """The agent has said what it had to say, or was stopped."""

    type: Literal["agent_stopped"] = "agent_stopped"
    time: float
    interrupted: bool = False


class Dtmf(_Frozen):
    """The caller pressed a key; what it was is told to the protocol and to nobody else."""

    type: Literal["dtmf"] = "dtmf"
    time: float
    digit: str


class Lost(_Frozen):
    """Samples of the caller were dropped: they came faster than they can be heard."""

    type: Literal["lost"] = "lost"
    time: float
    seconds: float


class Closed(_Frozen):
    """The call is over; the last message."""

    type: Literal["closed"] = "closed"
    time: float
    reason: str


Passed = ClockEvent | GuardEvent
"""What goes on from a stage."""

CallMessage = (
    Passed
    | ToolCallEvent
    | ToolResultEvent
    | AgentStarted
    | AgentStopped
    | Dtmf
    | Lost
    | Turn
    | Closed
)


class Observer(Protocol):
    """Sees every call, on the event loop and in order; must return at once."""

    def opened(self, call: CallInfo) -> None:
        """A call has begun."""
        ...

    def heard(self, call_id: str, samples: Samples) -> None:
        """The caller's next frame, float32 [1280] 16 kHz, as the engine got it."""
        ...

    def played(self, call_id: str, samples: Samples) -> None:
        """The agent's next frame, float32 [1280] 16 kHz, as it goes out."""
        ...

    def event(self, call_id: str, event: Passed | ToolResultEvent | Dtmf) -> None:
        """Anything else: words, calls (as ToolCallEvent), tones, turns, what the guard adds."""
        ...

    def turn(self, call_id: str, turn: Turn) -> None:
        """A finished turn."""
        ...

    def paused(self, call_id: str, on: bool) -> None:
        """From here on nothing of this call is kept, until it is told again with False."""
        ...

    def closed(self, call_id: str, reason: str) -> None:
        """A call is over."""
        ...


class Stage(Protocol):
    """What stands between the agent and the caller (the guard): may hold back, replace, add."""

    def review(self, events: Sequence[ClockEvent], /) -> Sequence[Passed]:
        """A beat's events as they shall go on; one AudioEvent must be among them."""
        ...


@runtime_checkable
class Guardian(Stage, Protocol):
    """A stage that goes on when the network does not: `guard.stage.Guard`."""

    def result(self, output: str) -> None:
        """What a tool gave."""
        ...

    def failed(self, reason: str) -> None:
        """The network gives nothing any more: `beat_alone` from now on."""
        ...

    def beat_alone(self, caller: Samples, now: float) -> Sequence[Passed]:
        """A beat without the network: what the caller hears at `now` (s), given their frame."""
        ...

    def close(self) -> None:
        """The call is over."""
        ...


MakeStage = Callable[["LiveCall"], Stage]


class LiveCall:
    """One call. Made by `Reception.open`; ended by `close`, by the clock, or by the server.

    Observers are told through `pause.Discreet`: while a call is paused they get silence and no
    word.

    `waiting` (seconds) is how much may wait for a protocol that does not take it: then the call
    is closed, for its client has stopped reading. `dtmf_pause` (seconds) is how long after a
    keypress nothing is kept.
    """

    def __init__(
        self,
        clock: Places,
        info: CallInfo,
        *,
        observers: Sequence[Observer] = (),
        stages: Sequence[MakeStage] = (),
        seed: int = 0,
        waiting: float = 30.0,
        dtmf_pause: float = 5.0,
        on_closed: Callable[[LiveCall], None] | None = None,
    ) -> None:
        """Raises ClockFull. Must be called on the event loop's thread."""
        self.info, self.seed = info, seed
        self.seconds = 0.0
        """How much of the call has been heard."""
        self.reason: str | None = None
        """Why the call is over; None while it is not."""
        self.backend = clock
        self._observers = [Discreet(observer) for observer in observers]
        self._dtmf_pause, self._on_closed = dtmf_pause, on_closed
        self._loop = asyncio.get_running_loop()
        self._messages: deque[CallMessage] = deque()
        self._most = round(waiting / 0.08) * 4  # messages: a beat brings two to four
        self._news = asyncio.Event()
        self._resample: QuickResampler | None = None
        self._tracker, self._floor = TurnTracker(), AgentFloor()
        self._calls = 0
        self._coda = 0  # frames for which a stopped agent is not to be heard, at most
        self._coda_ends = False  # whether the network has ended its turn, as it was told to
        self._still = 0
        self._saying = False  # words were given to a stopped agent
        self._lead_left = 0  # frames by which the text of a stopped agent leads its voice
        self._lost = 0.0
        self._tell_lost_at = 0.0
        self._paused = False
        self._resume: asyncio.TimerHandle | None = None
        self._stages: list[Stage] = []
        self._alone: asyncio.Task[None] | None = None  # beats without the network
        self._inbox = CallerBuffer(clock.prebuffer, clock.backlog)
        self._line = clock.open(self._tell, seed=seed)
        try:
            self._stages = [make(self) for make in stages]
        except BaseException:
            self._line.close()
            raise
        self._observe("opened", info)

    # -- from the client --------------------------------------------------------

    @property
    def id(self) -> str:
        """The call's id."""
        return self.info.id

    @property
    def speaking(self) -> bool:
        """Whether the agent has the floor."""
        return self._floor.speaking

    @property
    def backlog(self) -> float:
        """Seconds of the caller that were pushed and not yet heard."""
        if self._alone is not None:
            return self._inbox.waiting / SAMPLE_RATE
        return self._line.backlog

    def push(self, samples: npt.ArrayLike, rate: int = SAMPLE_RATE) -> None:
        """The caller's next samples, float [N] at `rate` Hz. Raises AudioError for bad ones."""
        if self.reason is not None:
            return
        if self._resample is None or self._resample.from_rate != rate:
            self._resample = QuickResampler(rate, SAMPLE_RATE)
        moved = self._resample(samples)
        self._line.push(moved)
        if self._alone is not None:
            self._inbox.push(moved)
        self._tell_lost()

    def _tell_lost(self) -> None:
        """Tell the protocol of samples that were dropped, but not of each push anew."""
        lost, now = self._line.dropped, self._loop.time()
        if lost > self._lost and now >= self._tell_lost_at:
            self._put(Lost(time=self.seconds, seconds=lost - self._lost))
            self._lost, self._tell_lost_at = lost, now + LOST_EVERY

    def clear(self) -> None:
        """Forget what was pushed and not yet heard."""
        self._line.clear()

    def flush(self) -> None:
        """The client has nothing more to send for now: what it sent is not kept waiting."""
        self._line.flush()

    def say(self, text: str) -> None:
        """The agent says `text`, from the next beat on. Raises AntiphonError if it cannot be."""
        if self.reason is None:
            self._line.say(text)
            self._saying = True

    def deliver(self, wanted: Delivery) -> None:
        """How the agent is told to speak from the next beat on.

        Raises BundleError for a bundle that knows no styles.
        """
        self._line.delivery = wanted

    def tool_result(self, call_id: str, output: str) -> None:
        """What a tool gave. The café's agent has answered by then; it is kept with the call."""
        self._tracker.tool_result(call_id, output)
        for guardian in self._guardians:
            guardian.result(output)
        event = ToolResultEvent(time=self.seconds, id=call_id, output=output)
        self._put(event)
        self._observe("event", self.id, event)

    def interrupt(self) -> None:
        """Stop the agent: it is not heard from now on, until it begins to speak anew."""
        if self.reason is not None:
            return
        self._line.hush()
        self._coda, self._still, self._coda_ends, self._saying = CODA, 0, False, False
        self._lead_left = self.backend.text_lead
        self._tracker.interrupt()
        if self._floor.stop():
            self._put(AgentStopped(time=self.seconds, interrupted=True))

    def pause_recording(self, on: bool) -> None:
        """From now on (or no longer) nothing of this call is kept by anybody who observes it."""
        if self._resume is not None:
            self._resume.cancel()
            self._resume = None
        if on == self._paused:
            return
        self._paused = on
        self._observe("paused", self.id, on)

    def dtmf(self, digit: str) -> None:
        """The caller pressed a key: it may be of a card, so nothing is kept for a while."""
        if self.reason is not None:
            return
        self.pause_recording(True)
        self._resume = self._loop.call_later(self._dtmf_pause, self.pause_recording, False)
        event = Dtmf(time=self.seconds, digit=digit)
        self._put(event)
        self._observe("event", self.id, event)

    def close(self, reason: str = "client") -> None:
        """The call is over: its place is free at once."""
        if self.reason is not None:
            return
        self.reason = reason
        self._line.close()
        if self._alone is not None:
            self._alone.cancel()
        if self._resume is not None:
            self._resume.cancel()
        for guardian in self._guardians:
            try:
                guardian.close()
            except Exception:
                _log.exception("the guard of %s does not close", self.id)
        for turn in self._tracker.finish():
            self._finish_turn(turn)
        self._put(Closed(time=self.seconds, reason=reason))
        self._observe("closed", self.id, reason)
        if self._on_closed is not None:
            self._on_closed(self)

    # -- to the protocol --------------------------------------------------------

    async def events(self) -> AsyncIterator[CallMessage]:
        """All that happens, for the one protocol of this call; ends after `Closed`."""
        while True:
            for message in await self.beat():
                yield message
                if isinstance(message, Closed):
                    return

    async def beat(self) -> list[CallMessage]:
        """All that has happened since the last time, at least one message."""
        while not self._messages:
            self._news.clear()
            await self._news.wait()
        taken = list(self._messages)
        self._messages.clear()
        return taken

    # -- from the clock ---------------------------------------------------------

    def _tell(self, events: Sequence[ClockEvent]) -> None:
        self._loop.call_soon_threadsafe(self._take, events)

    def _take(self, events: Sequence[ClockEvent]) -> None:
        """A beat, on the event loop."""
        if self.reason is not None:
            return
        try:
            self._beat(events)
        except Exception as error:
            _log.exception("call %s fails", self.id)
            self.close(f"server: {str(error) or type(error).__name__}")

    def _beat(self, events: Sequence[ClockEvent]) -> None:
        text = 0
        for event in events:
            if isinstance(event, EndedEvent):
                self._fail(event.reason)
                return
            if isinstance(event, HeardEvent):
                text = event.out.agent_text
                self._coda_ends = self._coda_ends or text == END
                self._hear(event)
        self._go_on(self._reviewed(events, self._stages), text)

    def _reviewed(self, events: Sequence[Passed], stages: Sequence[Stage]) -> Sequence[Passed]:
        for stage in stages:
            # What one stage adds is for those who watch, and not for the next to judge.
            events = stage.review(cast("Sequence[ClockEvent]", events))
        return events

    def _hear(self, event: HeardEvent) -> None:
        self.seconds = event.time
        self._observe("heard", self.id, event.samples)

    def _go_on(self, events: Sequence[Passed], text: int) -> None:
        """What is left of a beat, to everybody; `text` is the network's id of the frame."""
        if self.reason is not None:
            return
        passed = [self._hushed(self._named(each)) for each in events if not self._unheard(each)]
        if self._coda:
            text = 0
        for event in passed:
            if self.reason is not None:
                return
            edge = None
            if isinstance(event, AudioEvent):
                edge = self._floor.push(text, event.samples)
                self._observe("played", self.id, event.samples)
            if edge == "started":
                self._put(AgentStarted(time=self.seconds))
            self._put(event)
            if edge == "stopped":
                self._put(AgentStopped(time=self.seconds))
            if not isinstance(event, AudioEvent | HeardEvent):
                self._observe("event", self.id, event)
        told = [event for event in passed if not isinstance(event, GuardEvent)]
        for turn in self._tracker.push(told):
            self._finish_turn(turn)

    # -- without the network -----------------------------------------------------

    @property
    def _guardians(self) -> list[Guardian]:
        return [stage for stage in self._stages if isinstance(stage, Guardian)]

    def _fail(self, reason: str) -> None:
        """The clock has ended the call: a guardian goes on with it, or it is over."""
        if not self._guardians:
            self.close(reason)
            return
        _log.warning("call %s goes on without the network: %s", self.id, reason)
        for guardian in self._guardians:
            guardian.failed(reason)
        self._alone = self._loop.create_task(self._go_alone(), name=f"alone {self.id}")

    async def _go_alone(self) -> None:
        """Beats of the guardian's, on a clock of the call's own."""
        due = self._loop.time()
        try:
            while self.reason is None:
                self._beat_alone()
                due = max(due + SECONDS, self._loop.time() - 1.0)
                await asyncio.sleep(max(0.0, due - self._loop.time()))
        except Exception as error:
            _log.exception("call %s fails", self.id)
            self.close(f"server: {str(error) or type(error).__name__}")

    def _beat_alone(self) -> None:
        taken = self._inbox.take()
        frame, filled = taken if taken is not None else (_nothing(), FRAME)
        now = self.seconds + SECONDS
        out = nobody(frame)
        heard = HeardEvent(time=now, samples=frame, filled=filled, out=out)
        self._hear(heard)
        first = next(i for i, stage in enumerate(self._stages) if isinstance(stage, Guardian))
        guardian = cast("Guardian", self._stages[first])
        said = guardian.beat_alone(frame, now)
        self._go_on([heard, *self._reviewed(said, self._stages[first + 1 :])], 0)

    def _named(self, event: Passed) -> Passed:
        """A tool call with an id; all else as it is."""
        if not isinstance(event, CallEvent) or isinstance(event, ToolCallEvent):
            return event
        self._calls += 1
        return ToolCallEvent(
            time=event.time,
            name=event.name,
            arguments=event.arguments,
            id=f"{self.id}_{self._calls}",
        )

    def _unheard(self, event: Passed) -> bool:
        """A word that a stopped agent only meant."""
        return bool(self._coda) and isinstance(event, AgentWordEvent)

    def _hushed(self, event: Passed) -> Passed:
        """The event, without the voice of an agent that was stopped."""
        if not self._coda or not isinstance(event, AudioEvent):
            return event
        self._coda -= 1
        if self._coda_ends:
            loud = float(np.abs(event.samples).max()) >= AUDIBLE
            self._still = 0 if loud else self._still + 1
            self._lead_left -= 1
            gone = self._still >= STILL and self._lead_left < 0
            if gone or (self._saying and self._lead_left <= 0):
                self._coda = 0
        return event.model_copy(update={"samples": _nothing()})

    def _finish_turn(self, turn: Turn) -> None:
        self._put(turn)
        self._observe("turn", self.id, turn)

    def _put(self, message: CallMessage) -> None:
        if self._messages and isinstance(self._messages[-1], Closed):
            return
        self._messages.append(message)
        self._news.set()
        if len(self._messages) > self._most and self.reason is None:
            self.close("the client has stopped reading")

    def _observe(self, what: str, *args: object) -> None:
        """Tell the observers; one that fails is logged and spoils nothing."""
        for observer in self._observers:
            try:
                getattr(observer, what)(*args)
            except Exception:
                _log.exception("observer %s fails in %s", type(observer).__name__, what)


def _nothing() -> Samples:
    return np.zeros(FRAME, dtype=np.float32)


def nobody(frame: Samples) -> StepOutput:
    """What stands for the network's output where there is none: hearing by loudness alone."""
    loud = float(np.sqrt(np.mean(np.square(frame)))) >= LOUD
    still = np.zeros(4, dtype=np.float32)
    still[0] = 1.0
    return StepOutput(
        agent=_nothing(),
        agent_text=0,
        caller_text=0,
        call=0,
        vad=1.0 if loud else 0.0,
        turn=still,
        tone=still,
        pitch=0.0,
        energy=0.0,
        confidence=0.0,
        text_ready=0.0,
        codes=np.zeros(0, dtype=np.int64),
    )
