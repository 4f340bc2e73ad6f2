"""livekit's OpenAI plugin (`pip install livekit-plugins-openai`), unchanged, by address alone."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.serving.peers.order import PATIENCE, RATE, check, microphone
from tests.serving.served import Served, served

pytest.importorskip("livekit.plugins.openai.realtime")


async def order(server: Served) -> None:
    import aiohttp
    from livekit import rtc
    from livekit.agents import llm
    from livekit.plugins.openai import realtime

    heard: list[str] = []
    said: list[str] = []
    calls: list[Any] = []
    problems: list[Any] = []
    sound = bytearray()
    over = asyncio.Event()
    tasks: list[asyncio.Task[None]] = []

    @llm.function_tool(
        raw_schema={
            "name": "place_order",
            "description": "Orders.",
            "parameters": {"type": "object"},
        }
    )
    async def place_order(raw_arguments: dict[str, Any]) -> str:
        return "ok"

    async def read(made: Any) -> None:
        async def messages() -> None:
            async for message in made.message_stream:

                async def voice(message: Any = message) -> None:
                    async for frame in message.audio_stream:
                        sound.extend(bytes(frame.data))

                async def text(message: Any = message) -> None:
                    async for delta in message.text_stream:
                        said.append(delta)

                await asyncio.gather(voice(), text())

        async def functions() -> None:
            async for call in made.function_stream:
                assert call.name == "place_order"
                calls.append(json.loads(call.arguments))

        await asyncio.gather(messages(), functions())
        over.set()

    def transcribed(event: Any) -> None:
        if event.is_final:
            heard.append(event.transcript)

    async with aiohttp.ClientSession() as http:
        model = realtime.RealtimeModel(base_url=f"{server.ws}/v1", api_key="x", http_session=http)
        session = model.session()
        session.on("generation_created", lambda e: tasks.append(asyncio.create_task(read(e))))
        session.on("input_audio_transcription_completed", transcribed)
        session.on("error", problems.append)
        await session.update_instructions("Take orders.")
        await session.update_tools([place_order])
        async for piece in microphone(over):
            session.push_audio(rtc.AudioFrame(piece, RATE, 1, len(piece) // 2))
        check(calls, heard[0], "".join(said), bytes(sound))
        # Words of our own, through a client that has no field for them but instructions; its
        # event id comes back in the response's metadata, or this would time out.
        said.clear()
        made = await asyncio.wait_for(session.generate_reply(instructions="say: no thanks"), 10)
        await asyncio.wait_for(read(made), 10)
        assert "".join(said) == "no thanks"
        await session.aclose()
        assert problems == []


def test_a_spoken_order() -> None:
    with served("cafe", group=1, seed=0) as server:
        asyncio.run(asyncio.wait_for(order(server), PATIENCE))
        server.wait_empty()
