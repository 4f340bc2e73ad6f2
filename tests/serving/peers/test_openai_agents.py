"""openai-agents (`pip install openai-agents`), unchanged, by address alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.serving.peers.order import PATIENCE, check, microphone
from tests.serving.served import Served, served

pytest.importorskip("agents.realtime")


async def order(server: Served) -> None:
    from agents import function_tool
    from agents.realtime import RealtimeAgent, RealtimeRunner

    calls: list[Any] = []
    over = asyncio.Event()

    @function_tool(strict_mode=False)
    def place_order(items: list[dict[str, str]]) -> str:
        """Orders drinks."""
        calls.append({"items": items})
        return "ok"

    barista = RealtimeAgent(name="barista", instructions="Take orders.", tools=[place_order])
    session = await RealtimeRunner(barista).run(
        model_config={"url": f"{server.ws}/v1/realtime", "api_key": "x"}
    )
    sound, heard, said = bytearray(), "", ""
    async with session:

        async def speak() -> None:
            async for piece in microphone(over):
                await session.send_audio(piece)

        speaking = asyncio.create_task(speak())
        async for event in session:
            if event.type == "audio":
                sound += event.audio.data
            elif event.type == "error":
                raise AssertionError(event.error)
            elif event.type == "raw_model_event":
                data = event.data
                if data.type == "input_audio_transcription_completed":
                    heard = data.transcript
                elif data.type == "transcript_delta":
                    said += data.delta
                elif data.type == "turn_ended" and sound:
                    break
        over.set()
        await speaking
    check(calls, heard, said, bytes(sound))


def test_a_spoken_order() -> None:
    with served("cafe", group=1, seed=0) as server:
        asyncio.run(asyncio.wait_for(order(server), PATIENCE))
        server.wait_empty()
