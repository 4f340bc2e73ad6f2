"""Stock clients of Live, unchanged and pointed here by their URL alone: each orders by speech."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.corpus.scenario import load_scenario
from antiphon.evaluation.systems.realtime import RealtimeSystem
from antiphon.runtime.events import AgentWordEvent, CallerWordEvent, CallEvent

Spoken = Callable[..., np.ndarray]
ORDER = {"items": [{"size": "large", "drink": "latte"}]}
HEARD, SAID = "a large latte please", "a large latte coming up"
RATE, PIECE = 24_000, 960  # Hz and samples: 40 ms
WITHIN = 60.0  # seconds


def pieces(samples: np.ndarray, silence: float = 20.0) -> list[bytes]:
    """float32 at 16 kHz as pieces of 16-bit PCM at 24 kHz, with silence (seconds) after it."""
    at = np.arange(len(samples) * 3 // 2) * 2 // 3
    whole = np.concatenate((samples[at], np.zeros(round(silence * RATE)))) * 32767
    pcm = whole.astype("<i2")
    return [pcm[start : start + PIECE].tobytes() for start in range(0, len(pcm), PIECE)]


def test_our_evaluations_client(address: str, tiny_bundle: Path, spoken: Spoken) -> None:
    scenario = load_scenario(tiny_bundle / "scenario.yaml")
    system = RealtimeSystem(f"{address}/v1/live/sessions?model=tiny", scenario, patience=WITHIN)
    caller = spoken(after=0.0)
    ticks = [caller[start : start + 320] for start in range(0, len(caller) // 320 * 320, 320)]
    told: list[Any] = []
    loudest = 0.0
    with system.call(seed=0) as line:
        for tick in ticks + [np.zeros(320, dtype=np.float32)] * 1000:
            heard = line.push(tick)
            told += heard.told
            loudest = max(loudest, float(np.abs(heard.agent).max()))
            said = [event.text for event in told if isinstance(event, AgentWordEvent)]
            if len(said) == len(SAID.split()):
                break
    assert " ".join(said) == SAID
    words = [event.text for event in told if isinstance(event, CallerWordEvent)]
    assert HEARD.startswith(" ".join(words))
    (call,) = [event for event in told if isinstance(event, CallEvent)]
    assert call.arguments == ORDER
    assert loudest > 0.05


def test_pipecat(address: str, spoken: Spoken) -> None:
    pytest.importorskip("pipecat")
    from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
    from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
    from pipecat.frames.frames import (
        Frame,
        InputAudioRawFrame,
        LLMRunFrame,
        SpeechOutputAudioRawFrame,
        TranscriptionFrame,
        TTSTextFrame,
    )
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.runner import PipelineRunner
    from pipecat.pipeline.task import PipelineParams, PipelineTask
    from pipecat.processors.aggregators.llm_context import LLMContext
    from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
    from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
    from pipecat.services.openai.live.llm import OpenAILiveLLMService
    from pipecat.services.openai.responses.llm import OpenAIResponsesLLMService

    heard: list[str] = []
    said: list[str] = []
    calls: list[Any] = []
    sound: list[int] = []

    class Tap(FrameProcessor):
        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, TranscriptionFrame):
                heard.append(frame.text)
            elif isinstance(frame, TTSTextFrame):
                said.append(frame.text)
            elif isinstance(frame, SpeechOutputAudioRawFrame):
                sound.append(int(np.abs(np.frombuffer(frame.audio, "<i2")).max(initial=0)))
            await self.push_frame(frame, direction)

    async def run() -> None:
        tool = FunctionSchema(name="place_order", description="Orders.", properties={}, required=[])
        context = LLMContext(messages=[], tools=ToolsSchema(standard_tools=[tool]))
        both = LLMContextAggregatorPair(context)
        backend = OpenAIResponsesLLMService.Settings(model="any")
        llm = OpenAILiveLLMService(
            api_key="any",
            base_url=f"{address}/v1/live/sessions",
            delegation=OpenAILiveLLMService.ResponsesDelegation(settings=backend),
        )

        async def place(params: Any) -> None:
            calls.append(params.arguments)
            await params.result_callback({"ok": True})

        llm.register_function("place_order", place)
        task = PipelineTask(
            Pipeline([both.user(), Tap(), llm, Tap(), both.assistant()]),
            params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE),
        )

        async def feed() -> None:
            await asyncio.sleep(0.5)
            await task.queue_frames([LLMRunFrame()])
            await asyncio.sleep(0.5)
            for piece in pieces(spoken(after=0.0)):
                if heard and calls and "up" in " ".join(said):
                    break
                frame = InputAudioRawFrame(audio=piece, sample_rate=RATE, num_channels=1)
                await task.queue_frame(frame)
                await asyncio.sleep(0.04)
            await task.cancel()

        async with asyncio.timeout(WITHIN):
            await asyncio.gather(PipelineRunner(handle_sigint=False).run(task), feed())

    asyncio.run(run())
    assert "".join(said).split() == SAID.split() or " ".join(said).split() == SAID.split()
    assert HEARD in " ".join(heard)
    assert calls == [ORDER]
    assert max(sound) > 3000


def test_livekit(address: str, spoken: Spoken) -> None:
    pytest.importorskip("livekit.plugins.openai")
    import aiohttp
    from livekit import rtc
    from livekit.agents import llm
    from livekit.plugins.openai.realtime.gpt_live_model import GPTLiveModel

    @llm.function_tool(
        raw_schema={
            "name": "place_order",
            "description": "Orders.",
            "parameters": {"type": "object", "properties": {}},
        }
    )
    async def place_order(raw_arguments: dict[str, Any]) -> str:
        return "done"

    calls: list[Any] = []
    events: list[dict[str, Any]] = []
    loudest = [0]

    async def run() -> None:
        async with aiohttp.ClientSession() as http:
            model = GPTLiveModel(
                base_url=address.replace("ws", "http") + "/v1", api_key="any", http_session=http
            )
            session = model.session()
            session.on("function_call", lambda call: calls.append(json.loads(call.arguments)))
            session.on("openai_server_event_received", events.append)

            async def listen() -> None:
                async for frame in session.audio_stream:
                    pcm = np.frombuffer(getattr(frame, "frame", frame).data, "<i2")
                    loudest[0] = max(loudest[0], int(np.abs(pcm.astype(int)).max(initial=0)))

            listening = asyncio.create_task(listen())
            # What an AgentSession does with it when it starts.
            await session._update_session(
                instructions="take orders", chat_ctx=llm.ChatContext.empty(), tools=[place_order]
            )
            for piece in pieces(spoken(after=0.0)):
                session.push_audio(rtc.AudioFrame(piece, RATE, 1, len(piece) // 2))
                await asyncio.sleep(0.04)
                if words("output") == SAID and words("input") == HEARD:
                    break
            await session.aclose()
            listening.cancel()

    def words(side: str) -> str:
        wanted = f"session.{side}_transcript.delta"
        return "".join(event["delta"] for event in events if event["type"] == wanted)

    asyncio.run(asyncio.wait_for(run(), WITHIN))
    assert (words("input"), words("output")) == (HEARD, SAID)
    assert calls == [ORDER]
    assert loudest[0] > 3000
    assert not [event for event in events if event["type"] == "error"]
