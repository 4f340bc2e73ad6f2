"""openai's own client, unchanged, by address alone."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from openai import AsyncOpenAI

from antiphon.audio.resample import resample
from tests.serving.peers.order import PATIENCE, QUIET, check, microphone
from tests.serving.served import Served, served

Caller = Callable[..., np.ndarray]


def client(server: Served) -> AsyncOpenAI:
    return AsyncOpenAI(
        api_key="x", websocket_base_url=f"{server.ws}/v1", base_url=f"{server.http}/v1"
    )


def run(test: Any) -> None:
    asyncio.run(asyncio.wait_for(test, PATIENCE))


def base64_of(samples: np.ndarray) -> str:
    moved = resample(samples, 16_000, 24_000)
    return base64.b64encode((moved * 32767).astype("<i2").tobytes()).decode()


def test_a_spoken_order() -> None:
    async def order(server: Served) -> None:
        calls: list[Any] = []
        heard = said = ""
        sound = bytearray()
        over = asyncio.Event()
        async with client(server).realtime.connect(model="gpt-realtime") as connection:
            await connection.session.update(session={"type": "realtime", "tracing": "auto"})

            async def speak() -> None:
                async for piece in microphone(over):
                    audio = base64.b64encode(piece).decode()
                    await connection.input_audio_buffer.append(audio=audio)

            speaking = asyncio.create_task(speak())
            async for event in connection:
                match event.type:
                    case "response.output_audio.delta":
                        sound += base64.b64decode(event.delta)
                    case "response.output_audio_transcript.done":
                        said = event.transcript
                    case "conversation.item.input_audio_transcription.completed":
                        heard = event.transcript
                    case "response.function_call_arguments.done":
                        assert event.name == "place_order"
                        calls.append(json.loads(event.arguments))
                    case "response.done":
                        assert event.response.status == "completed"
                        break
                    case "error":
                        raise AssertionError(event.error)
                    case _:
                        pass
            over.set()
            await speaking
        check(calls, heard, said, bytes(sound))

    with served("cafe", group=1, seed=0) as server:
        run(order(server))
        server.wait_empty()


def test_a_spoken_order_over_live() -> None:
    async def order(server: Served) -> None:
        calls: list[Any] = []
        heard = said = ""
        sound = bytearray()
        over = asyncio.Event()
        tool = {"type": "function", "name": "place_order", "parameters": {"type": "object"}}
        delegation = {"type": "responses", "responses": {"model": "any", "tools": [tool]}}
        async with client(server).live.connect() as live:
            await live.send(
                {"type": "session.start", "session": {"model": "cafe", "delegation": delegation}}
            )

            async def speak() -> None:
                async for piece in microphone(over):
                    audio = base64.b64encode(piece).decode()
                    await live.send({"type": "session.input_audio.append", "audio": audio})
                await live.send({"type": "session.close"})

            speaking: asyncio.Task[None] | None = None
            async for event in live:
                match event.type:
                    case "session.started":
                        speaking = asyncio.create_task(speak())
                    case "session.output_audio.delta":
                        piece = base64.b64decode(event.delta)
                        if np.abs(np.frombuffer(piece, "<i2").astype(int)).max() > QUIET:
                            sound += piece
                    case "session.output_transcript.delta":
                        said += event.delta
                    case "session.input_transcript.delta":
                        heard += event.delta
                    case "response.event" if event.event["type"] == "response.output_item.done":
                        assert event.event["item"]["name"] == "place_order"
                        calls.append(json.loads(event.event["item"]["arguments"]))
                    case "session.closed":
                        break
                    case "error":
                        raise AssertionError(event)
                    case _:
                        pass
                if calls and heard.endswith("please") and said.endswith("sugar"):
                    over.set()  # nothing tells of an end: the call goes on until it is closed
            assert speaking is not None
            await speaking
        check(calls, heard, said, bytes(sound))

    with served("cafe", group=1, seed=0) as server:
        run(order(server))
        server.wait_empty()


def test_push_to_talk(tiny_bundle: Path, spoken: Caller) -> None:
    """No turn detection: append a recording at once, commit, ask, read to the response's end."""

    async def order(server: Served) -> None:
        async with client(server).realtime.connect(model="gpt-realtime") as connection:
            await connection.session.update(
                session={"type": "realtime", "audio": {"input": {"turn_detection": None}}}
            )
            await connection.input_audio_buffer.append(audio=base64_of(spoken(after=0.5)))
            await connection.input_audio_buffer.commit()
            await connection.response.create()
            async for event in connection:
                assert event.type != "error", event
                if event.type == "response.done":
                    output = event.response.output
                    assert output is not None
                    assert [item.type for item in output] == ["message", "function_call"]
                    break

    with served(tiny_bundle) as server:
        run(order(server))


def test_items_cancel_truncate_and_given_words(tiny_bundle: Path) -> None:
    async def talk(server: Served) -> None:
        async with client(server).realtime.connect(model="gpt-realtime") as connection:
            await connection.conversation.item.create(
                item={
                    "type": "message",
                    "role": "system",
                    "content": [{"type": "input_text", "text": "Be brief."}],
                }
            )
            await connection.response.create(
                response={"metadata": {"say": "a large latte please hello there small mocha"}}
            )
            item = ""
            async for event in connection:
                assert event.type != "error", event
                if event.type == "response.output_item.added":
                    item = event.item.id or ""
                elif event.type == "response.output_audio.delta":
                    break
            await connection.conversation.item.truncate(
                item_id=item, content_index=0, audio_end_ms=0
            )
            await connection.response.cancel()
            seen: list[str] = []
            async for event in connection:
                assert event.type != "error", event
                seen.append(event.type)
                if event.type == "response.done":
                    assert event.response.status == "cancelled"
                    break
            assert "conversation.item.truncated" in seen
            await connection.response.create(response={"metadata": {"say": "hello"}})
            async for event in connection:
                assert event.type != "error", event
                if event.type == "response.done":
                    assert event.response.status == "completed"
                    break

    with served(tiny_bundle) as server:
        run(talk(server))
