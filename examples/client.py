"""Speaks a recording to a server in real time; prints what comes back and keeps the voice.

antiphon serve &
python examples/client.py ws://127.0.0.1:8080 examples/order.flac
"""

from __future__ import annotations

import asyncio
import sys

import numpy as np

import antiphon
from antiphon.audio.io import read, write
from antiphon.client import Audio, Call, CallerWords, Problem, ToolCall, Turn

CHUNK = 320  # samples: 20 ms at 16 kHz


async def speak(call: Call, recording: np.ndarray) -> None:
    """As a microphone would: each 20 ms when they are over, and silence after the recording."""
    sent = call.time  # seconds
    while True:
        chunk, recording = recording[:CHUNK], recording[CHUNK:]
        await call.send(np.pad(chunk, (0, CHUNK - len(chunk))))
        sent += CHUNK / 16_000
        await asyncio.sleep(max(0.0, sent - call.time))


async def main(url: str, path: str) -> None:
    voice: list[np.ndarray] = []
    async with antiphon.Client(url).call(rate=16_000) as call:
        microphone = asyncio.create_task(speak(call, read(path)))
        async for event in call:
            match event:
                case Audio():
                    voice.append(event.samples)
                case CallerWords(final=True):
                    print("you:  ", event.text)
                case ToolCall():
                    print("call: ", event.name, event.arguments)
                    await call.tool_result(event.id, {"ok": True})
                case Problem():
                    print("wrong:", event.message, file=sys.stderr)
                case Turn(speaker="agent", state="ended"):
                    break
                case _:
                    pass
        microphone.cancel()
    if voice:
        write("reply.wav", np.concatenate(voice))
        print("wrote reply.wav")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: client.py URL RECORDING")
    try:
        asyncio.run(main(*sys.argv[1:]))
    except antiphon.client.ClientError as error:
        sys.exit(str(error))
