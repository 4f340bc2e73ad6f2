"""A spoken order through pipecat-ai, unchanged; see `telling.main`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from loguru import logger
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    LLMRunFrame,
    SpeechOutputAudioRawFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.live.llm import OpenAILiveLLMService
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.services.openai.responses.llm import OpenAIResponsesLLMService
from pipecat.workers.runner import WorkerRunner

from tests.serving.peers.order import RATE, microphone
from tests.serving.peers.python.telling import Teller, main

TOOL = FunctionSchema(
    name="place_order",
    description="Orders drinks.",
    properties={"items": {"type": "array", "items": {"type": "object"}}},
    required=["items"],
)


class Tap(FrameProcessor):
    """Tells of the frames that pass."""

    def __init__(self, teller: Teller, ended: Callable[[], None]) -> None:
        super().__init__()
        self._teller, self._ended = teller, ended

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        match frame:
            case TranscriptionFrame():
                self._teller.tell("heard", text=frame.text)
            case TTSTextFrame():
                self._teller.tell("said", text=frame.text)
            case TTSAudioRawFrame() | SpeechOutputAudioRawFrame():
                self._teller.sound(frame.audio)
            case TTSStoppedFrame():
                self._ended()
            case ErrorFrame():
                self._teller.tell("error", text=frame.error)
            case _:
                pass
        await self.push_frame(frame, direction)


async def order(service: Any, recording: bytes, *, endless: bool = False) -> None:
    """Speak it to a service until its answer ends; `endless`: until no more words come."""
    teller = Teller()
    over = asyncio.Event()

    async def place_order(params: Any) -> None:
        teller.tell("call", name=params.function_name, arguments=params.arguments)
        await params.result_callback({"ok": True})

    service.register_function("place_order", place_order)
    both = LLMContextAggregatorPair(
        LLMContext(messages=[], tools=ToolsSchema(standard_tools=[TOOL]))
    )
    taps = [Tap(teller, (lambda: None) if endless else over.set) for _ in range(2)]
    worker = PipelineWorker(
        Pipeline([both.user(), taps[0], service, taps[1], both.assistant()]),
        params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE),
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)

    async def speak() -> None:
        await asyncio.sleep(0.5)  # the service drops what comes before it has connected
        await worker.queue_frame(LLMRunFrame())
        await asyncio.sleep(0.5)
        async for piece in microphone(over, recording):
            await worker.queue_frame(
                InputAudioRawFrame(audio=piece, sample_rate=RATE, num_channels=1)
            )
            if endless and teller.complete():
                over.set()
        await worker.cancel()

    await asyncio.gather(runner.run(), speak())


async def realtime(url: str, recording: bytes) -> None:
    await order(OpenAIRealtimeLLMService(api_key="x", base_url=f"{url}/v1/realtime"), recording)


async def live(url: str, recording: bytes) -> None:
    # Only with a backend to delegate to does this client take calls; nobody connects to it.
    backend = OpenAIResponsesLLMService.Settings(model="any")
    service = OpenAILiveLLMService(
        api_key="x",
        base_url=f"{url}/v1/live/sessions",
        delegation=OpenAILiveLLMService.ResponsesDelegation(settings=backend),
    )
    await order(service, recording, endless=True)


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    main({"realtime": realtime, "live": live})
