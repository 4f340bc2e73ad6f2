"""Realtime through a real socket: who is let in, what ends a session, what it leaves behind."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import logging
import socket as sockets
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from antiphon.runtime.clock import Line
from antiphon.serving.auth import KeyFile
from antiphon.serving.call import LiveCall
from antiphon.serving.realtime.protocol import Realtime
from antiphon.serving.realtime.socket import Connection, close_code
from tests.serving.served import Served, served

Caller = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def _servers() -> Iterator[dict[str, Any]]:
    opened: dict[str, Any] = {}
    yield opened
    for context, _ in opened.values():
        context.__exit__(None, None, None)


@pytest.fixture
def server(tiny_bundle: Path, _servers: dict[str, Any]) -> Served:
    if "it" not in _servers:
        context = served(tiny_bundle, slots=2, group=2, retry_seconds=7)
        _servers["it"] = (context, context.__enter__())
    found: Served = _servers["it"][1]
    found.wait_empty()
    return found


def run(test: Any) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


async def read(socket: ClientConnection, type: str) -> dict[str, Any]:
    while True:
        event = json.loads(await asyncio.wait_for(socket.recv(), 15))
        if event["type"] == type:
            return event


async def closing(socket: ClientConnection) -> tuple[int, str]:
    with suppress(ConnectionClosed):
        async for _ in socket:
            pass
    assert socket.close_code is not None
    return socket.close_code, socket.close_reason or ""


async def refusal(url: str, **options: Any) -> tuple[int, dict[str, Any], Any]:
    with pytest.raises(InvalidStatus) as caught:
        await connect(url, **options).__aenter__()
    response = caught.value.response
    return response.status_code, json.loads(response.body or b"{}"), response.headers


def pcm(samples: np.ndarray) -> str:
    from antiphon.audio.resample import resample

    moved = resample(samples, 16_000, 24_000)
    return base64.b64encode((moved * 32767).astype("<i2").tobytes()).decode()


# -- a call -----------------------------------------------------------------------------------


def test_a_spoken_order_over_a_socket(server: Served, spoken: Caller) -> None:
    async def test() -> None:
        async with connect(f"{server.ws}/v1/realtime?model=tiny") as socket:
            await read(socket, "session.created")
            audio = pcm(spoken(after=4.0))
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            done = (await read(socket, "response.done"))["response"]
            kinds = [item["type"] for item in done["output"]]
            assert kinds == ["message", "function_call"]
            text = done["output"][0]["content"][0]["transcript"]
            assert text == "a large latte coming up"

    run(test())
    server.wait_empty()


def test_sound_comes_at_the_pace_at_which_it_plays(server: Served, spoken: Caller) -> None:
    async def test() -> None:
        async with connect(f"{server.ws}/v1/realtime") as socket:
            response = {"metadata": {"say": "a large latte please hello there small mocha"}}
            await socket.send(json.dumps({"type": "response.create", "response": response}))
            first = seconds = 0.0
            while True:
                event = json.loads(await asyncio.wait_for(socket.recv(), 15))
                if event["type"] == "response.done":
                    break
                if event["type"] == "response.output_audio.delta":
                    first = first or time.monotonic()
                    seconds += len(base64.b64decode(event["delta"])) / 48_000
            took = time.monotonic() - first + server.house.clock.skipped * 0.08
            assert seconds > 2
            assert took > seconds - 0.08 * 14  # a late beat is made up for, no faster than that

    run(test())


# -- who is let in ----------------------------------------------------------------------------


def test_a_caller_too_many_is_refused_at_once_before_the_handshake(server: Served) -> None:
    async def test() -> None:
        url = f"{server.ws}/v1/realtime"
        async with connect(url) as one, connect(url) as two:
            await read(one, "session.created")
            await read(two, "session.created")
            began = time.monotonic()
            status, body, headers = await refusal(url)
            assert time.monotonic() - began < 2  # .1 s on a machine that is not busy
            assert status == 503
            assert headers["Retry-After"] == "7"
            assert body["error"]["code"] == "server_full"
        await asyncio.sleep(0.3)
        async with connect(url) as again:
            await read(again, "session.created")

    run(test())


def test_a_page_of_another_origin_is_refused(server: Served) -> None:
    async def test() -> None:
        url = f"{server.ws}/v1/realtime"
        status, body, _ = await refusal(url, origin="https://evil.example")
        assert (status, body["error"]["code"]) == (403, "origin_not_allowed")
        async with connect(url, origin=server.http) as own:  # type: ignore[arg-type]
            await read(own, "session.created")

    run(test())


def test_keys_and_ephemeral_secrets(tiny_bundle: Path, tmp_path: Path) -> None:
    import httpx

    keys = KeyFile(tmp_path / "keys.json")
    secret, _ = keys.add("shop", sessions=1)

    async def test(server: Served) -> None:
        url = f"{server.ws}/v1/realtime"
        for headers in ({}, {"Authorization": "Bearer ak_no"}):
            status, body, sent = await refusal(url, additional_headers=headers)
            assert status == 401
            assert sent["WWW-Authenticate"] == "Bearer"
            assert body["error"]["message"]
        mine = {"Authorization": f"Bearer {secret}"}
        async with connect(url, additional_headers=mine) as socket:
            await read(socket, "session.created")
            status, body, _ = await refusal(url, additional_headers=mine)
            assert (status, body["error"]["code"]) == (429, "session_limit_exceeded")
        server.wait_empty()
        async with httpx.AsyncClient(base_url=server.http, headers=mine) as http:
            session = {"type": "realtime", "instructions": "Be brief.", "audio": {}}
            body = {"session": session, "expires_after": {"anchor": "created_at", "seconds": 60}}
            made = (await http.post("/v1/realtime/client_secrets", json=body)).json()
        assert made["value"].startswith("ek_")
        assert made["session"]["instructions"] == "Be brief."
        names = [
            Subprotocol("realtime"),
            Subprotocol(f"openai-insecure-api-key.{made['value']}"),
        ]
        async with connect(url, subprotocols=names) as socket:
            assert socket.subprotocol == "realtime"
            created = await read(socket, "session.created")
            assert created["session"]["instructions"] == "Be brief."

    with served(tiny_bundle, key_file=keys.path) as server:
        run(test(server))


# -- what ends a session ----------------------------------------------------------------------


def test_a_client_that_leaves_frees_its_place(server: Served) -> None:
    async def test() -> None:
        async with connect(f"{server.ws}/v1/realtime") as socket:
            await read(socket, "session.created")
            assert server.house.clock.active == 1

    run(test())
    server.wait_empty()


def test_clients_that_leave_in_ugly_ways_free_their_places(server: Served) -> None:
    host, port = server.http.removeprefix("http://").split(":")
    key = base64.b64encode(bytes(16)).decode()
    hello = (
        f"GET /v1/realtime HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()

    def reset(plug: sockets.socket) -> None:
        plug.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
        plug.close()

    for turn in range(24):
        plug = sockets.create_connection((host, int(port)), timeout=5)
        kind = turn % 6
        if kind == 0:
            plug.sendall(hello[:40])  # in the middle of the handshake
        else:
            plug.sendall(hello)
        if kind in (1, 2, 3):
            plug.recv(64)
        if kind == 2:
            plug.sendall(b"\x81\xfe\x10\x00abcd")  # in the middle of a frame
        elif kind == 3:
            plug.sendall(b"\xff\xff\xff\xff\xff")  # nothing that is a frame
        elif kind == 4:
            plug.shutdown(sockets.SHUT_WR)
        if kind == 5:
            reset(plug)
        else:
            plug.close()
        if turn % 6 == 5:
            server.wait_empty()
    server.wait_empty()
    server.wait(lambda: not left_behind())


def left_behind() -> list[object]:
    """Calls and connections that somebody still holds."""
    gc.collect()
    kinds = (LiveCall, Connection, Realtime, Line)
    return [each for each in gc.get_objects() if type(each) in kinds]


def test_a_message_that_is_too_long_ends_the_session(tiny_bundle: Path) -> None:
    async def test(server: Served) -> None:
        async with connect(f"{server.ws}/v1/realtime") as socket:
            await read(socket, "session.created")
            await socket.send("x" * 5000)
            assert (await closing(socket))[0] == 1009

    with served(tiny_bundle, message_bytes=4096) as server:
        run(test(server))
        server.wait_empty()


def test_binary_frames_and_nonsense_are_answered_and_the_session_goes_on(server: Served) -> None:
    async def test() -> None:
        async with connect(f"{server.ws}/v1/realtime") as socket:
            await read(socket, "session.created")
            rng = np.random.default_rng(0)
            for _ in range(20):
                await socket.send(rng.bytes(int(rng.integers(0, 200))))
                assert (await read(socket, "error"))["error"]["code"] == "invalid_json"
            await socket.send("{}")
            assert (await read(socket, "error"))["error"]["param"] == "type"
            await socket.send(json.dumps({"type": "session.update", "session": {}}))
            await read(socket, "session.updated")

    run(test())


@pytest.mark.parametrize("pieces", [[b'{"type": "\xff\xfe"}'], [b'{"type": "', b"\xc3\x28", b'"}']])
@pytest.mark.parametrize("path", ["/v1/realtime", "/v1/live/sessions"])
def test_text_that_is_not_utf_8_ends_the_session_with_one_line_in_the_log(
    server: Served, caplog: pytest.LogCaptureFixture, path: str, pieces: list[bytes]
) -> None:
    async def test() -> None:
        async with connect(f"{server.ws}{path}") as socket:
            await socket.send(pieces if len(pieces) > 1 else pieces[0], text=True)
            assert (await closing(socket))[0] == 1007

    with caplog.at_level(logging.INFO):
        run(test())
        server.wait_empty()
    # A beat that was late is the machine's doing and no client's.
    told = [
        each
        for each in caplog.records
        if each.levelno >= logging.WARNING and "beats on end were late" not in each.getMessage()
    ]
    assert [each.getMessage() for each in told] == [
        "a client sent text that is not UTF-8: closed with 1007"
    ]
    assert told[0].exc_info is None
    assert "Traceback" not in caplog.text


def test_a_session_has_an_end(tiny_bundle: Path) -> None:
    async def test(server: Served) -> None:
        async with connect(f"{server.ws}/v1/realtime") as socket:
            created = await read(socket, "session.created")
            assert abs(created["session"]["expires_at"] - time.time()) < 5
            code, reason = await closing(socket)
            assert (code, reason) == (1008, "the session's time is over")

    with served(tiny_bundle, session_seconds=0.5) as server:
        run(test(server))
        server.wait_empty()


def test_a_client_that_sends_nothing_is_let_go(tiny_bundle: Path) -> None:
    async def test(server: Served) -> None:
        async with connect(f"{server.ws}/v1/realtime") as socket:
            code, reason = await closing(socket)
            assert (code, reason) == (1008, "the client has sent nothing for too long")

    with served(tiny_bundle, idle_seconds=0.5) as server:
        run(test(server))
        server.wait_empty()


def test_a_client_that_reads_nothing_is_let_go(tiny_bundle: Path) -> None:
    """Its socket's buffers fill up; what it is owed must not grow without end."""

    async def test(server: Served) -> None:
        async with connect(f"{server.ws}/v1/realtime", max_queue=1) as socket:
            await read(socket, "session.created")
            transport = socket.transport
            transport.pause_reading()  # type: ignore[attr-defined]
            update = json.dumps(
                {"type": "session.update", "session": {"instructions": "x" * 500_000}}
            )
            end = time.monotonic() + 20
            while server.house.clock.active and time.monotonic() < end:
                try:
                    await asyncio.wait_for(socket.send(update), 0.2)
                except (TimeoutError, ConnectionClosed):
                    await asyncio.sleep(0.1)
            transport.abort()  # type: ignore[attr-defined]

    with served(tiny_bundle, send_seconds=1.0) as server:
        run(test(server))
        server.wait_empty()


def test_a_failing_engine_ends_the_session_with_its_reason(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from antiphon.runtime.engine import Engine

    async def test(server: Served) -> None:
        async with connect(f"{server.ws}/v1/realtime") as socket:
            await read(socket, "session.created")

            def fails(*_: Any) -> Any:
                raise RuntimeError("boom")

            monkeypatch.setattr(Engine, "step", fails)
            error = await read(socket, "error")
            assert "engine: boom" in error["error"]["message"]
            assert (await closing(socket))[0] == 1011
            monkeypatch.undo()
        async with connect(f"{server.ws}/v1/realtime") as socket:
            await read(socket, "session.created")

    with served(tiny_bundle) as server:
        run(test(server))


def test_a_protocol_that_fails_ends_its_own_session_alone(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        url = f"{server.ws}/v1/realtime"
        async with connect(url) as one, connect(url) as two:
            await read(one, "session.created")
            await read(two, "session.created")

            def fails(*_: Any) -> Any:
                raise KeyError("bug")

            monkeypatch.setattr(Realtime, "receive", fails)
            await one.send("{}")
            assert (await closing(one))[0] == 1011
            monkeypatch.undo()
            await two.send("{}")
            await read(two, "error")

    run(test())


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("client", 1000),
        ("server: going down", 1001),
        ("engine: boom", 1011),
        ("the session's time is over", 1008),
        ("engine: " + "é" * 200, 1011),
    ],
)
def test_closing_codes(reason: str, code: int) -> None:
    found, words = close_code(reason)
    assert found == code
    assert len(words.encode()) <= 123
