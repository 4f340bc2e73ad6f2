"""A spoken order through livekit-plugins-openai, unchanged; see `telling.main`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
from livekit import rtc
from livekit.agents import llm
from livekit.plugins.openai.realtime import GPTLiveModel, RealtimeModel

from tests.serving.peers.order import RATE, microphone
from tests.serving.peers.python.telling import Teller, main


@llm.function_tool(
    raw_schema={
        "name": "place_order",
        "description": "Orders.",
        "parameters": {"type": "object", "properties": {}},
    }
)
async def place_order(raw_arguments: dict[str, Any]) -> str:
    return "ok"


def frame(piece: bytes) -> rtc.AudioFrame:
    return rtc.AudioFrame(piece, RATE, 1, len(piece) // 2)


async def realtime(url: str, recording: bytes) -> None:
    teller = Teller()
    over = asyncio.Event()
    reading: list[asyncio.Task[None]] = []

    async def read(made: Any, event: str) -> None:
        async def messages() -> None:
            async for message in made.message_stream:

                async def voice(message: Any = message) -> None:
                    async for part in message.audio_stream:
                        teller.sound(bytes(part.data))

                async def text(message: Any = message) -> None:
                    async for delta in message.text_stream:
                        teller.tell(event, text=delta)

                await asyncio.gather(voice(), text())

        async def functions() -> None:
            async for call in made.function_stream:
                teller.tell("call", name=call.name, arguments=json.loads(call.arguments))

        await asyncio.gather(messages(), functions())
        over.set()

    def began(made: Any) -> None:
        if not made.user_initiated:
            reading.append(asyncio.create_task(read(made, "said")))

    def transcribed(event: Any) -> None:
        if event.is_final:
            teller.tell("heard", text=event.transcript)

    async with aiohttp.ClientSession() as http:
        model = RealtimeModel(base_url=f"{url}/v1", api_key="x", http_session=http)
        session = model.session()
        session.on("generation_created", began)
        session.on("input_audio_transcription_completed", transcribed)
        session.on("error", lambda error: teller.tell("error", text=str(error)))
        await session.update_instructions("Take orders.")
        await session.update_tools([place_order])
        async for piece in microphone(over, recording):
            session.push_audio(frame(piece))
        # Words of our own, through a client that has no field for them but instructions; its
        # event id comes back in the response's metadata, or this would time out.
        made = await asyncio.wait_for(session.generate_reply(instructions="say: no thanks"), 10)
        await asyncio.wait_for(read(made, "said when told to"), 10)
        await session.aclose()


async def live(url: str, recording: bytes) -> None:
    teller = Teller()
    over = asyncio.Event()

    def received(event: dict[str, Any]) -> None:
        match event["type"]:
            case "session.input_transcript.delta":
                teller.tell("heard", text=event["delta"])
            case "session.output_transcript.delta":
                teller.tell("said", text=event["delta"])
            case "error":
                teller.tell("error", text=str(event))
            case _:
                pass

    def called(call: Any) -> None:
        teller.tell("call", name=call.name, arguments=json.loads(call.arguments))

    async with aiohttp.ClientSession() as http:
        model = GPTLiveModel(
            base_url=url.replace("ws", "http", 1) + "/v1", api_key="x", http_session=http
        )
        session = model.session()
        session.on("function_call", called)
        session.on("openai_server_event_received", received)

        async def listen() -> None:
            async for part in session.audio_stream:
                teller.sound(bytes(getattr(part, "frame", part).data))

        listening = asyncio.create_task(listen())
        # What an AgentSession does with it when it starts.
        await session._update_session(
            instructions="Take orders.", chat_ctx=llm.ChatContext.empty(), tools=[place_order]
        )
        async for piece in microphone(over, recording):
            session.push_audio(frame(piece))
            if teller.complete():
                over.set()
        await session.aclose()
        listening.cancel()


if __name__ == "__main__":
    main({"realtime": realtime, "live": live})
