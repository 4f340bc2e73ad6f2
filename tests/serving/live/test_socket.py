"""Live over a real socket: openai's own client, and clients that misbehave."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

openai = pytest.importorskip("openai")
TOOL = {"type": "function", "name": "place_order", "parameters": {"type": "object"}}
DELEGATION = {"type": "responses", "responses": {"model": "any", "tools": [TOOL]}}
WAYS = ("input", "output")
WITHIN = 20.0  # seconds for anything: machines are busy


def pcm(samples: np.ndarray) -> str:
    """float32 at 16 kHz as base64 at 24 kHz, roughly: the scripted agent hears loudness only."""
    at = np.arange(len(samples) * 3 // 2) * 2 // 3
    return base64.b64encode((samples[at] * 32767).astype("<i2").tobytes()).decode()


def test_openais_client_orders_by_speech(address: str, spoken: Callable[..., np.ndarray]) -> None:
    async def order() -> dict[str, list[Any]]:
        told: dict[str, list[Any]] = {}
        client = openai.AsyncOpenAI(api_key="any", websocket_base_url=f"{address}/v1")
        async with client.live.connect() as live, asyncio.timeout(WITHIN):
            await live.send(
                {"type": "session.start", "session": {"model": "tiny", "delegation": DELEGATION}}
            )
            async for event in live:
                told.setdefault(event.type, []).append(event)
                if event.type == "session.started":
                    caller = spoken(after=0.0)
                    for start in range(0, len(caller), 3200):
                        audio = pcm(caller[start : start + 3200])
                        await live.send({"type": "session.input_audio.append", "audio": audio})
                if event.type == "response.event":
                    item = event.event.get("item", {})
                    if event.event["type"] == "response.output_item.done":
                        output = {
                            "type": "function_call_output",
                            "call_id": item["call_id"],
                            "output": "done",
                        }
                        await live.send({"type": "response.item.create", "item": output})
                        await live.send({"type": "response.create"})
                heard, said = (told.get(f"session.{way}_transcript.delta", []) for way in WAYS)
                if (len(heard), len(said)) == (4, 5) and event in (heard[-1], said[-1]):
                    await live.send({"type": "session.close"})
                if event.type == "session.closed":
                    break
        return told

    told = asyncio.run(order())
    said = "".join(event.delta for event in told["session.output_transcript.delta"])
    heard = "".join(event.delta for event in told["session.input_transcript.delta"])
    assert (heard, said) == ("a large latte please", "a large latte coming up")
    assert told["session.delegation.created"][0].delegation.target == "responses"
    nested = [event.event for event in told["response.event"]]
    (done,) = [e["item"] for e in nested if e["type"] == "response.output_item.done"]
    assert json.loads(done["arguments"]) == {"items": [{"size": "large", "drink": "latte"}]}
    assert [e["type"] for e in nested].count("response.completed") == 2
    sound = b"".join(base64.b64decode(event.delta) for event in told["session.output_audio.delta"])
    assert np.abs(np.frombuffer(sound, "<i2")).max() > 3000
    assert told["session.closed"][0].reason == "close_requested"
    assert told["session.closed"][0].usage.seconds > 1
    assert "error" not in told


def live(address: str) -> connect:
    return connect(f"{address}/v1/live/sessions")


async def told(socket: ClientConnection, type_: str) -> dict[str, Any]:
    """The next message of a type."""
    async with asyncio.timeout(WITHIN):
        while True:
            message = json.loads(await socket.recv())
            if message["type"] == type_:
                return message


async def start(socket: ClientConnection, **session: Any) -> dict[str, Any]:
    await socket.send(json.dumps({"type": "session.start", "session": session}))
    return await told(socket, "session.started")


def test_the_next_caller_is_refused_at_once_and_let_in_when_there_is_room(address: str) -> None:
    async def run() -> None:
        async with live(address) as first:
            await start(first, model="tiny")
            began = time.perf_counter()
            with pytest.raises(InvalidStatus) as refused:
                async with live(address):
                    pass
            assert time.perf_counter() - began < 5
            assert refused.value.response.status_code == 503
            assert refused.value.response.headers["Retry-After"] == "3"
        async with asyncio.timeout(WITHIN):
            while True:
                try:
                    async with live(address) as second:
                        await start(second, model="tiny")
                        return
                except InvalidStatus:
                    await asyncio.sleep(0.05)

    asyncio.run(run())


def test_who_comes_too_late_for_the_last_line_is_told_so(address: str) -> None:
    async def run() -> tuple[dict[str, Any], int]:
        async with live(address) as late, live(address) as first:
            await start(first, model="tiny")
            await late.send(json.dumps({"type": "session.start", "session": {"model": "tiny"}}))
            error = await told(late, "error")
            with pytest.raises(ConnectionClosed):
                await late.recv()
            return error["error"], late.close_code or 0

    error, code = asyncio.run(run())
    assert error["code"] == "server_full"
    assert code == 1013


def test_a_client_that_goes_without_a_word_frees_its_line(address: str) -> None:
    async def run() -> None:
        for _ in range(5):
            async with asyncio.timeout(WITHIN):
                while True:
                    try:
                        socket = await live(address)
                        await start(socket, model="tiny")
                        break
                    except (InvalidStatus, ConnectionClosed):
                        await asyncio.sleep(0.05)
            socket.transport.abort()

    asyncio.run(run())


def test_wrong_messages_are_answered_and_the_session_goes_on(address: str) -> None:
    async def run() -> list[str]:
        codes: list[str] = []
        async with live(address) as socket:
            await start(socket, model="tiny")
            for bad in ("?", "[]", b"\x00\xff", '{"type": "x"}', '{"type": "response.create"}'):
                await socket.send(bad)
                codes.append((await told(socket, "error"))["error"]["code"])
            say = {"type": "session.commentary.append", "delegation_id": None}
            await socket.send(json.dumps({**say, "content": "say: !?"}))
            codes.append((await told(socket, "error"))["error"]["code"])
            await socket.send(json.dumps({"type": "session.close"}))
            assert (await told(socket, "session.closed"))["reason"] == "close_requested"
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 1000
        return codes

    assert asyncio.run(run()) == [
        "invalid_json",
        "invalid_json",
        "invalid_json",
        "unknown_event",
        "invalid_delegation_type",
        "invalid_value",
    ]


def test_commentary_is_heard(address: str) -> None:
    async def run() -> str:
        async with live(address) as socket:
            await start(socket, model="tiny")
            say = {"content": "say: hello there", "delegation_id": None}
            await socket.send(json.dumps({"type": "session.commentary.append", **say}))
            words = [(await told(socket, "session.output_transcript.delta"))["delta"]
                     for _ in range(2)]  # fmt: skip
            return "".join(words)

    assert asyncio.run(run()) == "hello there"
