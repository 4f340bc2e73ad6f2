"""A call to a server for those who wait in a thread: samples in, the events that have come out.

What `runtime.soundcard` asks of a session in process, this one has too: a sound card's thread
pushes what the microphone heard and is given what the speakers are to play. The call itself is on
an event loop in a thread of its own.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.client.call import Call
from antiphon.client.client import Client
from antiphon.client.events import (
    AgentWords,
    Audio,
    CallerWords,
    Problem,
    Samples,
    ToolCall,
    Turn,
)
from antiphon.client.events import Event as Came
from antiphon.client.speak import DONE
from antiphon.client.words import Words
from antiphon.errors import AntiphonError
from antiphon.runtime.events import (
    AgentWordEvent,
    AudioEvent,
    CallerWordEvent,
    CallEvent,
    Event,
)

T = TypeVar("T")


class RemoteSession:
    """A call as the sound card's loop uses it; every method from one thread."""

    def __init__(self, client: Client, model: str | None = None) -> None:
        self._client, self._model = client, model
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="call", daemon=True)
        self._opening: AbstractAsyncContextManager[Call] | None = None
        self._call: Call | None = None
        self._reader: Future[None] | None = None
        self._came: deque[Came] = deque()
        self._voice: deque[Samples] = deque()  # what is to be played, oldest first
        self._credit = 0  # samples that the speakers may be given by now
        self._words = Words()

    @property
    def name(self) -> str:
        """The server's address."""
        return self._client.name

    @property
    def time(self) -> float:
        """Seconds of the call."""
        return self._call.time if self._call is not None else 0.0

    def push(self, samples: npt.ArrayLike) -> Iterator[Event]:
        """What the microphone heard, float32 [N] at 16 kHz; what has come of it until now.

        The voice is given out at the pace at which it is played, so that it can still be cut off.
        Raises ClientError when the call is over.
        """
        call = self._call
        if call is None:
            raise AntiphonError("the call has not been made")
        self._do(call.send(samples))
        while self._came:
            yield from self._told(self._came.popleft())
        if self._reader is not None and self._reader.done():
            self._reader.result()
            raise AntiphonError(f"{self.name} ended the call")
        yield from self._due(len(np.asarray(samples)))

    def __enter__(self) -> RemoteSession:
        self._thread.start()
        try:
            self._call = self._do(self._open())
        except BaseException:
            self._end()
            raise
        self._reader = asyncio.run_coroutine_threadsafe(self._read(self._call), self._loop)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._do(self._close())
        finally:
            self._end()

    async def _open(self) -> Call:
        self._opening = self._client.call(model=self._model, rate=SAMPLE_RATE)
        return await self._opening.__aenter__()

    async def _close(self) -> None:
        if self._opening is not None:
            await self._opening.__aexit__(None, None, None)

    async def _read(self, call: Call) -> None:
        async for event in call:
            self._came.append(event)
            if isinstance(event, ToolCall):
                await call.tool_result(event.id, DONE)

    def _told(self, event: Came) -> Iterator[Event]:
        match event:
            case Audio():
                self._voice.append(event.samples)
            case Turn() if event.speaker == "caller" or event.state == "ended":
                if event.interrupted or event.state == "started":
                    self._voice.clear()
            case AgentWords():
                words = self._words.feed("" if event.final else event.text, event.time)
                for text, start in words + (self._words.flush() if event.final else []):
                    yield AgentWordEvent(time=event.time, text=text, start=start)
            case CallerWords() if event.final:
                for text in event.text.split():
                    yield CallerWordEvent(time=event.time, text=text, end=event.time)
            case ToolCall():
                yield CallEvent(time=event.time, name=event.name, arguments=event.arguments)
            case Problem():
                print(f"{self.name}: {event.message}", file=sys.stderr)
            case _:
                pass

    def _due(self, count: int) -> Iterator[Event]:
        """The voice for so many samples of time; a frame of it may be ahead."""
        self._credit = min(self._credit + count, FRAME + count)
        while self._voice and self._credit > 0:
            samples = self._voice.popleft()
            if len(samples) > self._credit:
                self._voice.appendleft(samples[self._credit :])
                samples = samples[: self._credit]
            self._credit -= len(samples)
            yield AudioEvent(time=self.time, samples=samples)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(2.0)
        if not self._loop.is_running():
            self._loop.close()
