"""pipecat's OpenAI Realtime service (`pip install pipecat-ai`), unchanged, by address alone."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from tests.serving.peers.order import PATIENCE, RATE, check, microphone
from tests.serving.served import Served, served

pytest.importorskip("pipecat.services.openai.realtime.llm")


async def order(server: Served) -> None:
    from loguru import logger
    from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
    from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
    from pipecat.frames.frames import (
        Frame,
        InputAudioRawFrame,
        LLMRunFrame,
        TranscriptionFrame,
        TTSAudioRawFrame,
        TTSStoppedFrame,
        TTSTextFrame,
    )
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.runner import PipelineRunner
    from pipecat.pipeline.task import PipelineParams, PipelineTask
    from pipecat.processors.aggregators.llm_context import LLMContext
    from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
    from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
    from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService

    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    calls: list[Any] = []
    heard: list[str] = []
    said: list[str] = []
    sound = bytearray()
    over = asyncio.Event()

    class Tap(FrameProcessor):
        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, TranscriptionFrame):
                heard.append(frame.text)
            elif isinstance(frame, TTSTextFrame):
                said.append(frame.text)
            elif isinstance(frame, TTSAudioRawFrame):
                sound.extend(frame.audio)
            elif isinstance(frame, TTSStoppedFrame):
                over.set()
            await self.push_frame(frame, direction)

    async def place_order(params: Any) -> None:
        calls.append(params.arguments)
        await params.result_callback({"ok": True})

    service = OpenAIRealtimeLLMService(api_key="x", base_url=f"{server.ws}/v1/realtime")
    service.register_function("place_order", place_order)
    tool = FunctionSchema(
        name="place_order",
        description="Orders drinks.",
        properties={"items": {"type": "array", "items": {"type": "object"}}},
        required=["items"],
    )
    tools = ToolsSchema(standard_tools=[tool])
    both = LLMContextAggregatorPair(LLMContext(messages=[], tools=tools))
    task = PipelineTask(
        Pipeline([both.user(), Tap(), service, Tap(), both.assistant()]),
        params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE),
    )

    async def speak() -> None:
        await asyncio.sleep(0.5)
        await task.queue_frame(LLMRunFrame())
        async for piece in microphone(over):
            await task.queue_frame(
                InputAudioRawFrame(audio=piece, sample_rate=RATE, num_channels=1)
            )
        await task.cancel()

    await asyncio.gather(PipelineRunner(handle_sigint=False).run(task), speak())
    check(calls, heard[0], "".join(said), bytes(sound))


def test_a_spoken_order() -> None:
    with served("cafe", group=1, seed=0) as server:
        asyncio.run(asyncio.wait_for(order(server), PATIENCE))
        server.wait_empty()
