from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.errors import AntiphonError, AudioError
from antiphon.runtime.clock import Clock, ClockEvent, ClockFull, HeardEvent
from antiphon.runtime.engine import Engine
from antiphon.runtime.events import AgentWordEvent, AudioEvent, CallerWordEvent, CallEvent
from antiphon.serving.call import (
    AgentStarted,
    AgentStopped,
    CallInfo,
    CallMessage,
    Closed,
    Dtmf,
    LiveCall,
    Lost,
    ToolCallEvent,
    ToolResultEvent,
    Turn,
)
from tests.serving.served import agent_of

Caller = Callable[..., np.ndarray]
Test = Callable[[], Awaitable[None]]
QUIET = np.full(1280, 0.001, dtype=np.float32)


@pytest.fixture
def clock(tiny_bundle: Path) -> Clock:
    return Clock(agent_of(tiny_bundle), 2, group=2)


class Watcher:
    """An observer that keeps all it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args: self.told.append((name, *args))

    def of(self, name: str) -> list[Any]:
        return [args[-1] for what, *args in self.told if what == name]


class Broken:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("disk full")


async def beats(clock: Clock, count: int = 1) -> None:
    for _ in range(count):
        clock.beat()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def waiting(call: LiveCall) -> list[CallMessage]:
    messages, call._messages = list(call._messages), type(call._messages)()
    return messages


def of(messages: Sequence[CallMessage], kind: type) -> list[Any]:
    return [message for message in messages if isinstance(message, kind)]


def together(test: Callable[[], Any]) -> None:
    asyncio.run(asyncio.wait_for(test(), 30))


def test_a_call_is_told_from_its_first_frame_to_its_end(clock: Clock, spoken: Caller) -> None:
    async def test() -> None:
        watcher = Watcher()
        call = LiveCall(clock, CallInfo(bundle="tiny", protocol="test"), observers=[watcher])
        call.push(spoken(after=5.0))
        await beats(clock, 60)
        messages = waiting(call)
        kinds = [type(message) for message in messages]
        assert kinds.index(HeardEvent) < kinds.index(AudioEvent)
        assert len(of(messages, AgentStarted)) == len(of(messages, AgentStopped)) == 1
        (made,) = of(messages, ToolCallEvent)
        assert made.id.startswith(call.id)
        turns = of(messages, Turn)
        assert [turn.speaker for turn in turns] == ["caller", "agent"]
        assert turns[0].text == "a large latte please"
        assert [c.id for c in turns[1].calls] == [made.id]
        call.close("client")
        call.close("again")
        assert of(waiting(call), Closed) == [Closed(time=call.seconds, reason="client")]
        assert watcher.of("opened") == [call.info]
        assert watcher.of("closed") == ["client"]
        assert watcher.of("turn") == turns
        assert len(watcher.of("heard")) == len(watcher.of("played")) == 60
        events = watcher.of("event")
        assert made in events
        assert not of(events, AudioEvent) + of(events, HeardEvent)
        assert clock.active == 0

    together(test)


def test_messages_come_to_the_protocol_until_the_call_is_closed(clock: Clock) -> None:
    async def test() -> None:
        call = LiveCall(clock, CallInfo())
        got: list[CallMessage] = []

        async def read() -> None:
            async for message in call.events():
                got.append(message)

        reading = asyncio.create_task(read())
        await beats(clock, 3)
        call.close("over")
        await asyncio.wait_for(reading, 5)
        assert len(of(got, AudioEvent)) == 3
        assert isinstance(got[-1], Closed)

    together(test)


def test_other_rates_and_bad_samples(clock: Clock, spoken: Caller) -> None:
    async def test() -> None:
        from antiphon.audio.resample import resample

        call = LiveCall(clock, CallInfo())
        call.push(resample(spoken(after=3.0), 16_000, 24_000), 24_000)
        with pytest.raises(AudioError):
            call.push(np.full(10, np.nan))
        await beats(clock, 60)
        words = [word.text for word in of(waiting(call), CallerWordEvent)]
        assert words == ["a", "large", "latte", "please"]
        call.close()
        call.push(np.zeros(10))

    together(test)


def test_an_interrupted_agent_is_not_heard_until_it_begins_anew(
    clock: Clock, spoken: Caller
) -> None:
    async def test() -> None:
        call = LiveCall(clock, CallInfo())
        call.say("a large latte coming please hello there")
        await beats(clock, 12)
        assert call.speaking
        before = waiting(call)
        assert np.abs(np.stack([e.samples for e in of(before, AudioEvent)])).max() > 0.1
        call.interrupt()
        assert not call.speaking
        await beats(clock, 30)
        after = waiting(call)
        assert of(after, AgentStopped) == [AgentStopped(time=call.seconds - 2.4, interrupted=True)]
        assert not np.concatenate([event.samples for event in of(after, AudioEvent)]).any()
        assert not of(after, AgentWordEvent)
        (turn,) = of(after, Turn)
        assert turn.interrupted
        call.push(spoken(after=3.0))
        await beats(clock, 60)
        assert of(waiting(call), AgentStarted)

    together(test)


def test_words_given_after_an_interruption_are_heard_from_their_beginning(clock: Clock) -> None:
    async def test() -> None:
        call = LiveCall(clock, CallInfo())
        call.say("a large latte please")
        await beats(clock, 8)
        waiting(call)
        call.interrupt()
        call.say("hello there")
        await beats(clock, 30)
        after = waiting(call)
        assert [word.text for word in of(after, AgentWordEvent)] == ["hello", "there"]
        voice = np.concatenate([event.samples for event in of(after, AudioEvent)])
        assert np.abs(voice).max() > 0.1
        turns = of(after, Turn)
        assert [turn.interrupted for turn in turns] == [True, False]

    together(test)


def test_unsayable_words_are_refused(clock: Clock) -> None:
    async def test() -> None:
        with pytest.raises(AntiphonError):
            LiveCall(clock, CallInfo()).say("!?")

    together(test)


def test_a_tools_result_is_told_and_kept(clock: Clock, spoken: Caller) -> None:
    async def test() -> None:
        watcher = Watcher()
        call = LiveCall(clock, CallInfo(), observers=[watcher])
        call.push(spoken(after=3.0))
        made: list[ToolCallEvent] = []
        while not made:
            await beats(clock)
            made = of(waiting(call), ToolCallEvent)
        call.tool_result(made[0].id, '{"ok": true}')
        await beats(clock, 30)
        (result,) = of(watcher.of("event"), ToolResultEvent)
        assert (result.id, result.output) == (made[0].id, '{"ok": true}')
        agent = next(turn for turn in watcher.of("turn") if turn.speaker == "agent")
        assert agent.calls[0].result == '{"ok": true}'

    together(test)


def test_an_observer_that_fails_spoils_nothing(clock: Clock) -> None:
    async def test() -> None:
        watcher = Watcher()
        call = LiveCall(clock, CallInfo(), observers=[Broken(), watcher])  # type: ignore[list-item]
        await beats(clock, 3)
        call.close()
        assert len(watcher.of("heard")) == 3
        assert watcher.of("closed")

    together(test)


def test_a_paused_call_leaves_no_sound_and_no_word(clock: Clock, spoken: Caller) -> None:
    async def test() -> None:
        watcher = Watcher()
        call = LiveCall(clock, CallInfo(), observers=[watcher])
        call.push(spoken(after=3.0))
        call.pause_recording(True)
        call.pause_recording(True)
        await beats(clock, 60)
        assert not np.concatenate(watcher.of("heard")).any()
        assert not np.concatenate(watcher.of("played")).any()
        assert watcher.of("turn") == []
        assert not of(watcher.of("event"), CallerWordEvent)
        assert not [e for e in of(watcher.of("event"), CallEvent) if e.arguments]
        assert watcher.of("paused") == [True]
        # The protocol's own client is told everything: it is its caller.
        assert of(waiting(call), Turn)
        call.pause_recording(False)
        call.push(np.full(1280 * 4, 0.3, dtype=np.float32))
        await beats(clock, 4)
        assert np.concatenate(watcher.of("heard")).any()

    together(test)


def test_a_keypress_pauses_and_is_told_to_the_protocol_alone(clock: Clock) -> None:
    async def test() -> None:
        watcher = Watcher()
        call = LiveCall(clock, CallInfo(), observers=[watcher], dtmf_pause=0.05)
        call.dtmf("4")
        call.dtmf("2")
        assert [message.digit for message in of(waiting(call), Dtmf)] == ["4", "2"]
        assert not [e for e in watcher.of("event") if getattr(e, "digit", "?") != "?"]
        assert watcher.of("paused") == [True]
        await asyncio.sleep(0.1)
        assert watcher.of("paused") == [True, False]
        call.close()

    together(test)


def test_a_client_that_sends_too_much_is_told_what_was_lost(
    tiny_bundle: Path,
) -> None:
    async def test() -> None:
        clock = Clock(agent_of(tiny_bundle), 1, backlog=1.0)
        call = LiveCall(clock, CallInfo())
        call.push(np.zeros(16_000 * 3, dtype=np.float32))
        (lost,) = of(waiting(call), Lost)
        assert lost.seconds == pytest.approx(2.0)

    together(test)


def test_a_protocol_that_reads_nothing_loses_its_call(clock: Clock) -> None:
    async def test() -> None:
        call = LiveCall(clock, CallInfo(), waiting=1.0)
        await beats(clock, 40)
        assert call.reason == "the client has stopped reading"
        assert clock.active == 0
        assert isinstance(waiting(call)[-1], Closed)

    together(test)


def test_an_engine_that_fails_closes_the_call_with_its_reason(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        watcher = Watcher()
        call = LiveCall(clock, CallInfo(), observers=[watcher])
        await beats(clock)

        def fails(*_: Any) -> Any:
            raise RuntimeError("boom")

        monkeypatch.setattr(Engine, "step", fails)
        await beats(clock)
        assert call.reason == "engine: boom"
        assert watcher.of("closed") == ["engine: boom"]

    together(test)


def test_a_full_clock_makes_no_call_and_leaves_nothing(clock: Clock) -> None:
    async def test() -> None:
        watcher = Watcher()
        first = LiveCall(clock, CallInfo())
        LiveCall(clock, CallInfo())
        with pytest.raises(ClockFull):
            LiveCall(clock, CallInfo(), observers=[watcher])
        assert watcher.told == []
        first.close()
        LiveCall(clock, CallInfo(), observers=[watcher]).close()
        assert watcher.of("closed")

    together(test)


class Mute:
    """A stage that lets nothing be heard, and asks for other words."""

    def __init__(self, call: LiveCall) -> None:
        self.call = call
        self.seen = 0

    def review(self, events: Sequence[ClockEvent], /) -> Sequence[ClockEvent]:
        self.seen += 1
        silence = np.zeros(1280, dtype=np.float32)
        return [
            event.model_copy(update={"samples": silence})
            if isinstance(event, AudioEvent)
            else event
            for event in events
            if not isinstance(event, AgentWordEvent)
        ]


def test_a_stage_stands_between_the_agent_and_everybody(clock: Clock) -> None:
    async def test() -> None:
        watcher = Watcher()
        call = LiveCall(clock, CallInfo(), observers=[watcher], stages=[Mute])
        call.say("hello there")
        await beats(clock, 20)
        messages = waiting(call)
        assert not of(messages, AgentWordEvent)
        assert not np.concatenate([event.samples for event in of(messages, AudioEvent)]).any()
        assert not np.concatenate(watcher.of("played")).any()

    together(test)


def test_a_stage_that_fails_ends_the_call_and_lets_nothing_through(clock: Clock) -> None:
    async def test() -> None:
        class Fails:
            def __init__(self, call: LiveCall) -> None: ...

            def review(self, events: Sequence[ClockEvent], /) -> Sequence[ClockEvent]:
                raise RuntimeError("no rules")

        call = LiveCall(clock, CallInfo(), stages=[Fails])
        await beats(clock)
        messages = waiting(call)
        assert call.reason == "server: no rules"
        assert not of(messages, AudioEvent)

    together(test)


def test_a_stage_that_cannot_be_made_gives_the_place_back(clock: Clock) -> None:
    async def test() -> None:
        def fails(_: LiveCall) -> Any:
            raise AntiphonError("no scenario")

        with pytest.raises(AntiphonError):
            LiveCall(clock, CallInfo(), stages=[fails])
        assert clock.active == 0

    together(test)


class Cascade:
    """A guardian: goes on alone when the network fails."""

    def __init__(self, call: LiveCall) -> None:
        self.told: list[Any] = []

    def review(self, events: Sequence[ClockEvent], /) -> Sequence[ClockEvent]:
        return events

    def result(self, output: str) -> None:
        self.told.append(output)

    def failed(self, reason: str) -> None:
        self.told.append(reason)

    def beat_alone(self, caller: np.ndarray, now: float) -> Sequence[ClockEvent]:
        self.told.append(float(np.abs(caller).max()))
        voice = np.full(1280, 0.3, dtype=np.float32)
        made = CallEvent(time=now, name="place_order", arguments={})
        return [AudioEvent(time=now, samples=voice), *([made] if len(self.told) == 5 else [])]

    def close(self) -> None:
        self.told.append("closed")


def test_a_guardian_goes_on_when_the_network_fails(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        guards: list[Cascade] = []
        watcher = Watcher()

        def guard(call: LiveCall) -> Cascade:
            guards.append(Cascade(call))
            return guards[0]

        call = LiveCall(clock, CallInfo(), observers=[watcher], stages=[guard])
        await beats(clock, 2)

        def fails(*_: Any) -> Any:
            raise RuntimeError("boom")

        monkeypatch.setattr(Engine, "step", fails)
        await beats(clock)
        assert call.reason is None
        assert clock.active == 0  # its place is another's
        call.push(np.full(16_000, 0.2, dtype=np.float32))
        await asyncio.sleep(0.5)
        messages = waiting(call)
        assert len(of(messages, AudioEvent)) >= 3
        assert of(messages, AgentStarted)
        assert of(messages, ToolCallEvent)[0].id
        heard = of(messages, HeardEvent)
        assert heard[-1].out.vad == 1.0
        assert heard[-1].time == pytest.approx(call.seconds)
        call.tool_result("x", "ok")
        call.close()
        assert guards[0].told[0] == "engine: boom"
        assert "ok" in guards[0].told
        assert guards[0].told[-1] == "closed"
        count = len(watcher.of("played"))
        await asyncio.sleep(0.2)
        assert len(watcher.of("played")) == count

    together(test)
