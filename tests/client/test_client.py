"""A client against a server on loopback: a call, and everything that can go wrong with one."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

import antiphon
from antiphon.client import (
    AgentWords,
    Audio,
    CallEnded,
    CallerWords,
    Client,
    ClientError,
    Problem,
    ProtocolError,
    Refused,
    ToolCall,
    Turn,
    Unreachable,
    WrongKey,
)
from antiphon.client.call import Call
from antiphon.errors import AntiphonError, AudioError
from tests.client.fake import Fake

KEY = "ak_very-secret"
LOUD = (0.3 * np.sin(np.arange(3200) / 3)).astype(np.float32)  # 0.2 s at 16 kHz
QUIET = np.zeros(1600, np.float32)


def run(work: Awaitable[Any]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(10):
            return await work

    return asyncio.run(bounded())


async def spoken(call: Call) -> None:
    for samples in (LOUD, QUIET, QUIET):
        await call.send(samples)


async def until(call: Call, done: Callable[[Any], bool]) -> list[Any]:
    events: list[Any] = []
    async for event in call:
        events.append(event)
        if done(event):
            return events
    raise AssertionError(f"the call ended before: {events}")


def agent_ended(event: Any) -> bool:
    return isinstance(event, Turn) and event.speaker == "agent" and event.state == "ended"


# -- a call ---------------------------------------------------------------------------------------


def test_a_call_gives_sound_words_calls_and_turns_in_order() -> None:
    async def work(url: str) -> list[Any]:
        async with antiphon.Client(url).call(instructions="be brief") as call:
            assert call.session["model"] == "fake"
            await spoken(call)
            events = await until(call, agent_ended)
            assert not call.closed
        assert call.closed
        return events

    with Fake() as server:
        events = run(work(server.url))
    turns = [(e.speaker, e.state) for e in events if isinstance(e, Turn)]
    assert turns == [
        ("caller", "started"),
        ("caller", "ended"),
        ("agent", "started"),
        ("agent", "ended"),
    ]
    (call,) = [e for e in events if isinstance(e, ToolCall)]
    assert call.name == "place_order"
    assert [e.text for e in events if isinstance(e, AgentWords) and e.final] == ["a latte"]
    assert [e.text for e in events if isinstance(e, CallerWords)] == ["a large", "a large latte"]
    sound = np.concatenate([e.samples for e in events if isinstance(e, Audio)])
    assert len(sound) == pytest.approx(0.32 * 16_000, abs=60)
    assert np.abs(sound).max() == pytest.approx(8000 / 32768, abs=0.02)
    times = [e.time for e in events]
    assert times == sorted(times)
    assert server.ended == [1000]
    assert server.received[0]["session"]["instructions"] == "be brief"


def test_words_are_said_after_what_is_being_said_and_results_go_back() -> None:
    async def work(url: str) -> None:
        async with Client(url).call() as call:
            await spoken(call)
            events = await until(call, lambda e: isinstance(e, ToolCall))
            await call.tool_result(events[-1].id, {"ok": True})
            await call.say("anything else")
            final = await until(call, lambda e: isinstance(e, AgentWords) and e.final)
            assert final[-1].text == "a latte"
            final = await until(call, lambda e: isinstance(e, AgentWords) and e.final)
            assert final[-1].text == "anything else"

    with Fake() as server:
        run(work(server.url))
    (result,) = server.of("conversation.item.create")
    assert result["item"] == {
        "type": "function_call_output",
        "call_id": "call_1",
        "output": '{"ok": true}',
    }


def test_an_agent_that_is_interrupted_ends_so() -> None:
    async def work(url: str) -> None:
        async with Client(url).call() as call:
            await spoken(call)
            (*_, audio) = await until(call, lambda e: isinstance(e, Audio))
            await call.interrupt()
            await call.truncate(audio.item, 0.05)
            (*_, turn) = await until(call, agent_ended)
            assert turn.interrupted
            await call.interrupt()  # nothing to cancel any more: no problem of anybody's
            await call.say("sorry")
            events = await until(call, agent_ended)
            assert not any(isinstance(e, Problem) for e in events)

    with Fake(reply=1.2) as server:
        run(work(server.url))
    assert server.of("conversation.item.truncate")[0]["audio_end_ms"] == 50


def test_a_session_can_be_changed_in_a_call_while_it_is_read() -> None:
    async def work(url: str) -> None:
        async with Client(url).call() as call:
            reading = asyncio.create_task(until(call, agent_ended))
            await call.update({"instructions": "be long"})
            assert call.session["instructions"] == "be long"
            await spoken(call)
            await reading

    with Fake() as server:
        run(work(server.url))


def test_what_came_before_the_end_can_still_be_read() -> None:
    async def work(url: str) -> list[Any]:
        async with Client(url).call() as call:
            await spoken(call)
            await asyncio.sleep(0.3)
        return [event async for event in call]

    with Fake(paced=False) as server:
        assert any(agent_ended(event) for event in run(work(server.url)))


def test_a_call_closes_once_and_takes_nothing_more() -> None:
    async def work(url: str) -> None:
        async with Client(url).call() as call:
            await call.close()
            await call.close()
            with pytest.raises(CallEnded, match="is over"):
                await call.send(QUIET)
        assert [event async for event in call] == []

    with Fake() as server:
        run(work(server.url))


def test_a_call_that_is_cancelled_leaves_no_task_and_no_socket() -> None:
    async def work(url: str) -> None:
        ready = asyncio.Event()

        async def hold() -> None:
            async with Client(url).call():
                ready.set()
                await asyncio.sleep(30)

        task = asyncio.create_task(hold())
        await ready.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.05)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with Fake() as server:
        run(work(server.url))


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros((2, 10), np.float32),
        np.zeros(10, np.int16),
        np.array([np.nan], np.float32),
        np.array([3000.0], np.float32),
    ],
)
def test_samples_that_are_none_are_one_sentence_and_the_call_goes_on(samples) -> None:
    async def work(url: str) -> None:
        async with Client(url).call() as call:
            with pytest.raises(AudioError, match=r"floats? "):
                await call.send(samples)
            await call.send(np.zeros(0))
            await spoken(call)
            await until(call, agent_ended)

    with Fake(paced=False) as server:
        run(work(server.url))


def test_long_sound_is_sent_in_pieces() -> None:
    async def work(url: str) -> None:
        async with Client(url).call(rate=8_000) as call:
            await call.send(np.zeros(8_000 * 5 // 2, np.float32))

    with Fake() as server:
        run(work(server.url))
    sizes = [len(message["audio"]) for message in server.of("input_audio_buffer.append")]
    assert len(sizes) == 3
    assert max(sizes) <= 64_008


def test_a_rate_that_cannot_be_had_is_one_sentence_and_hangs_up() -> None:
    async def work(url: str) -> None:
        async with Client(url).call(rate=11_025 + 2):
            pass

    with Fake() as server, pytest.raises(AudioError):
        run(work(server.url))


def test_a_reader_who_is_slow_loses_nothing() -> None:
    async def work(url: str) -> None:
        async with Client(url).call() as call:
            call_events = call._events
            await spoken(call)
            await asyncio.sleep(0.3)
            assert call_events
            await until(call, agent_ended)

    with Fake(paced=False, reply=2.0) as server:
        run(work(server.url))


# -- what goes wrong ------------------------------------------------------------------------------


async def opened(client: Client) -> None:
    async with client.call():
        pass


def sentence(error: BaseException) -> str:
    said = str(error)
    assert said
    assert "\n" not in said
    assert KEY not in said
    assert "Traceback" not in said
    return said


def test_nobody_listening_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Unreachable) as failed:
            run(opened(Client(url)))
    assert f"nobody answers at {url}" in sentence(failed.value)
    with pytest.raises(Unreachable, match="nobody answers"):
        run(opened(Client("ws://no.such.host.invalid")))


def test_a_server_of_something_else_is_one_sentence() -> None:
    async def work() -> None:
        async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mail ready\r\n")
            await writer.drain()
            await reader.read(1000)
            writer.close()

        server = await asyncio.start_server(other, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            await opened(Client(f"ws://127.0.0.1:{port}"))

    with pytest.raises(Unreachable, match="does not speak WebSocket"):
        run(work())


def test_a_server_that_never_answers_is_left_in_time() -> None:
    async def work() -> None:
        server = await asyncio.start_server(lambda *_: asyncio.sleep(5), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            await opened(Client(f"ws://127.0.0.1:{port}", patience=0.2))
        finally:
            server.close()

    with pytest.raises(Unreachable, match=r"did not answer within 0\.2 s"):
        run(work())


def test_a_full_server_says_when_to_come_back() -> None:
    with Fake(fault="full") as server, pytest.raises(Refused) as failed:
        run(opened(Client(server.url)))
    assert failed.value.retry_after == 7.0
    assert failed.value.status == 503
    assert "all 4 lines are taken); try again in 7 s" in sentence(failed.value)


def test_a_full_server_that_can_only_close_is_refused_too() -> None:
    with Fake(fault="close 1013") as server, pytest.raises(Refused, match="no room"):
        run(opened(Client(server.url)))


def test_a_wrong_key_is_named_and_not_repeated() -> None:
    with Fake(fault="key") as server, pytest.raises(WrongKey) as failed:
        run(opened(Client(server.url, KEY)))
    assert "does not take this key (HTTP 401: unknown key ...)" in sentence(failed.value)
    assert server.keys == [f"Bearer {KEY}"]
    with Fake(fault="key") as server, pytest.raises(WrongKey, match="was given none"):
        run(opened(Client(server.url)))


@pytest.mark.parametrize("key", ["a\nb", "clé", " a"])
def test_what_is_no_key_is_not_sent(key) -> None:
    with pytest.raises(AntiphonError, match="letters that no key has"):
        Client("ws://127.0.0.1:1", key)


def test_a_redirect_is_not_followed_for_the_key_is_not_everybody_s() -> None:
    with Fake(fault="redirect") as server, pytest.raises(Refused, match="HTTP 302"):
        run(opened(Client(server.url, KEY)))


def test_other_refusals_keep_their_number() -> None:
    with Fake(fault="http 500") as server, pytest.raises(Refused) as failed:
        run(opened(Client(server.url)))
    assert "refuses (HTTP 500)" in sentence(failed.value)


@pytest.mark.parametrize("fault", ["never", "mute"])
def test_a_server_that_sets_no_session_up_is_left_in_time(fault) -> None:
    with Fake(fault=fault) as server, pytest.raises(ProtocolError, match="did not set up"):
        run(opened(Client(server.url, patience=0.2)))


def test_a_session_that_is_not_taken_says_why() -> None:
    with Fake(fault="session") as server, pytest.raises(Refused, match="name is missing"):
        run(opened(Client(server.url)))


async def read_through(url: str) -> list[Any]:
    async with Client(url, patience=1).call() as call:
        for _ in range(6):
            await call.send(QUIET)
            await asyncio.sleep(0.01)
        return [event async for event in call]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("garbage", "no JSON"),
        ("typeless", "without a type"),
        ("binary", "binary"),
        ("bad audio", "base64"),
        ("no item", "item_id"),
    ],
)
def test_a_server_that_breaks_the_protocol_is_told_and_left(fault, said) -> None:
    with Fake(fault=fault) as server:
        with pytest.raises(ProtocolError, match=said) as failed:
            run(read_through(server.url))
        assert server.url in sentence(failed.value)
    assert server.ended == [1002]


def test_a_call_that_the_server_ends_is_not_taken_up_again_in_silence() -> None:
    with Fake(fault="later 1011") as server, pytest.raises(CallEnded) as failed:
        run(read_through(server.url))
    assert (failed.value.code, failed.value.reason) == (1011, "the engine failed")
    assert "ended the call (1011: the engine failed)" in sentence(failed.value)
    assert len(server.paths) == 1
    with Fake(fault="later 1013") as server, pytest.raises(Refused, match="the engine failed"):
        run(read_through(server.url))
    with Fake(fault="hangs up") as server, pytest.raises(CallEnded, match="broke"):
        run(read_through(server.url))


def test_a_regular_end_of_the_server_s_ends_the_events() -> None:
    async def work(url: str) -> list[Any]:
        async with Client(url).call() as call:
            for _ in range(5):
                await call.send(QUIET)
            return [event async for event in call]

    with Fake(fault="later 1000") as server:
        assert run(work(server.url)) == []


def test_problems_are_events_and_the_call_goes_on() -> None:
    async def work(url: str) -> list[Any]:
        async with Client(url).call() as call:
            for _ in range(4):
                await call.send(QUIET)
            await spoken(call)
            return await until(call, agent_ended)

    for fault, said in (
        ("problem", "sound was dropped"),
        ("fails", "the engine is out of order"),
    ):
        with Fake(fault=fault, paced=False) as server:
            events = run(work(server.url))
        assert [e.message for e in events if isinstance(e, Problem)] == [said]
    with Fake(fault="unknown", paced=False) as server:
        assert not any(isinstance(e, Problem) for e in run(work(server.url)))


def test_nothing_of_the_key_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Fake() as server:
        run(opened(Client(server.url, KEY)))
    ours = [r for r in caplog.records if not r.name.startswith("websockets.server")]
    assert KEY not in " ".join(record.getMessage() for record in ours)


def test_all_errors_are_the_house_s() -> None:
    for kind in (Unreachable, Refused, WrongKey, ProtocolError, CallEnded):
        assert issubclass(kind, ClientError)
        assert issubclass(kind, AntiphonError)


def test_the_client_knows_nothing_of_the_house_but_audio_and_errors() -> None:
    code = (
        "import sys, antiphon.client, antiphon.client.load, antiphon.client.socket\n"
        "ours = {m.split('.')[1] for m in sys.modules if m.startswith('antiphon.')}\n"
        "print(sorted(ours), [m for m in ('torch', 'onnxruntime') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "['audio', 'client', 'errors'] []"


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "antiphon.client.socket", None)
    with pytest.raises(AntiphonError, match=r"pip install 'antiphon\[client\]'"):
        run(opened(Client("ws://127.0.0.1:1")))
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(AntiphonError, match=r"pip install 'antiphon\[client\]'"):
        run(Client("ws://127.0.0.1:1").models())
