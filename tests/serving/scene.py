"""Beats of a call that never was: what a network would have given, for tests of what reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from antiphon.audio import FRAME
from antiphon.runtime.clock import ClockEvent, HeardEvent
from antiphon.runtime.engine import StepOutput
from antiphon.runtime.events import AgentWordEvent, AudioEvent, CallerWordEvent, TurnEvent
from antiphon.serving.call import AgentStarted, AgentStopped, CallMessage
from antiphon.serving.realtime.configuration import first_session, update
from antiphon.serving.realtime.protocol import Realtime
from antiphon.serving.turns import AgentFloor, ToolCallEvent

SECONDS = 0.08
SILENCE = np.zeros(FRAME, dtype=np.float32)
VOICE = np.full(FRAME, 0.2, dtype=np.float32)


def output(
    *, text: int = 0, vad: float = 0.0, turn: int = 0, voice: np.ndarray = SILENCE
) -> StepOutput:
    return StepOutput(
        agent=voice,
        agent_text=text,
        caller_text=0,
        call=0,
        vad=vad,
        turn=np.eye(4, dtype=np.float32)[turn],
        tone=np.eye(4, dtype=np.float32)[0],
        pitch=0.0,
        energy=0.0,
        confidence=1.0,
        text_ready=0.0,
        codes=np.zeros(2, dtype=np.int64),
    )


def beat(
    number: int,
    *,
    speech: bool = False,
    voice: bool = False,
    text: int = 0,
    turn: int = 0,
    filled: int = 0,
    more: Sequence[ClockEvent] = (),
) -> list[ClockEvent]:
    """The events of the beat that ends at `number` times 80 ms."""
    time = number * SECONDS
    sound = VOICE if voice else SILENCE
    out = output(text=text, vad=1.0 if speech else 0.0, turn=turn, voice=sound)
    return [
        HeardEvent(time=time, samples=VOICE if speech else SILENCE, filled=filled, out=out),
        AudioEvent(time=time, samples=sound),
        *more,
    ]


class Port:
    """A call that only notes what is asked of it."""

    id = "call_0"

    def __init__(self) -> None:
        self.seconds = 0.0
        self.backlog = 0.0
        self.did: list[tuple[str, Any]] = []
        self.pushed = 0.0

    def push(self, samples: np.ndarray, rate: int) -> None:
        self.pushed += len(samples) / rate

    def __getattr__(self, name: str) -> Any:
        def note(*args: Any) -> None:
            self.did.append((name, args))

        return note

    def of(self, name: str) -> list[Any]:
        return [args for what, args in self.did if what == name]


class Scene:
    """A Realtime session on a call that the test plays, beat by beat."""

    def __init__(self, **session: Any) -> None:
        self.port = Port()
        self.sent: list[dict[str, Any]] = []
        settings = first_session("tiny", "", [])
        settings = update(settings, {"tools": [{"type": "function", "name": "place_order"}]})
        settings = update(settings, session)
        self.protocol = Realtime(self.port, self.sent.append, session=settings)
        self.protocol.begin()
        self.floor = AgentFloor()
        self.now = 0

    # -- the client -----------------------------------------------------------

    def client(self, type: str, **fields: Any) -> list[dict[str, Any]]:
        """Send an event; returns what it was answered with."""
        before = len(self.sent)
        self.protocol.receive(json.dumps({"type": type, **fields}))
        return self.sent[before:]

    # -- the call ---------------------------------------------------------------

    def beats(self, count: int = 1, *, words: Sequence[str] = (), **what: Any) -> Scene:
        """Let so many beats pass; `words` are told by the agent in the first of them."""
        for index in range(count):
            self.now += 1
            more: list[Any] = list(what.get("more", ())) if index == 0 else []
            if index == 0:
                start = self.now * SECONDS
                more += [AgentWordEvent(time=start, text=word, start=start) for word in words]
            self.tell(beat(self.now, **{**what, "more": more}))
        return self

    def tell(self, events: Sequence[CallMessage]) -> None:
        """One beat, as LiveCall would put it."""
        heard = events[0]
        assert isinstance(heard, HeardEvent)
        self.port.seconds = heard.time
        for event in events:
            edge = None
            if isinstance(event, AudioEvent):
                edge = self.floor.push(heard.out.agent_text, event.samples)
            if edge == "started":
                self.protocol.tell(AgentStarted(time=heard.time))
            self.protocol.tell(event)
            if edge == "stopped":
                self.protocol.tell(AgentStopped(time=heard.time))

    def caller_says(self, text: str, beats: int = 10) -> Scene:
        """Speech, a short pause, and its words."""
        self.beats(beats, speech=True)
        for word in text.split():
            end = self.now * SECONDS
            told = CallerWordEvent(time=end, text=word, end=end)
            self.beats(1, more=[told])
        return self

    def agent_says(self, text: str, *, beats: int = 6, more: Sequence[Any] = ()) -> Scene:
        """A whole spell of the agent's speech."""
        self.beats(1, text=5, turn=1, words=text.split(), more=more)
        self.beats(beats, voice=True, turn=1)
        self.beats(1, text=1, voice=True, turn=1)
        return self.beats(4)

    def call(self, name: str = "place_order", id: str = "call_0_1", **arguments: Any) -> Any:
        return ToolCallEvent(time=self.now * SECONDS, name=name, arguments=arguments, id=id)

    def turn(self, state: Any) -> TurnEvent:
        return TurnEvent(time=self.now * SECONDS, state=state, probability=1.0)

    # -- what came ----------------------------------------------------------------

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.sent]

    def of(self, type: str) -> list[dict[str, Any]]:
        return [event for event in self.sent if event["type"] == type]

    def one(self, type: str) -> dict[str, Any]:
        (event,) = self.of(type)
        return event

    def forget(self) -> Scene:
        self.sent.clear()
        return self
