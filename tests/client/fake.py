"""A server of the Realtime protocol that answers as a test wants it to, on loopback (websockets).

It hears loudness: when a caller who spoke has been quiet for `QUIET` seconds of sound, it says its
words and a tone, at the pace of speech or all at once. A `fault` makes it misbehave.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

RATE = 24_000
FRAME = 0.08  # s of sound in a message
QUIET = 0.1  # s
WORDS = ("a ", "lat", "te")
ORDER = {"items": [{"size": "large", "drink": "latte"}]}


@dataclass
class Fake:
    """`with Fake() as server:` listens at `server.url`."""

    fault: str = ""
    reply: float = 0.32
    """Seconds of the tone it answers with."""
    paced: bool = True
    pause: tuple[int, float] | None = None
    """(frame, seconds): before this frame of a reply it is late by so much."""
    calls: bool = True
    """Whether it calls a tool in each answer."""
    places: int = 1000
    """How many calls it takes at once."""
    tools: list[Any] = field(default_factory=lambda: [{"type": "function", "name": "place_order"}])
    received: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    open: int = 0
    most: int = 0
    ended: list[int | None] = field(default_factory=list)
    """The close codes that clients left with."""

    def of(self, kind: str) -> list[dict[str, Any]]:
        """What clients sent of a kind."""
        return [message for message in self.received if message["type"] == kind]

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def __enter__(self) -> Fake:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._do(self._listen())
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(2)
        self._loop.close()

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(5)

    async def _listen(self) -> Any:
        return await serve(self._client, "127.0.0.1", 0, process_request=self._door)

    async def _stop(self) -> None:
        self._server.close()
        await asyncio.wait_for(self._server.wait_closed(), 4)

    def _door(self, connection: ServerConnection, request: Request) -> Response | None:
        self.paths.append(request.path)
        self.keys.append(request.headers.get("Authorization", ""))
        if self.open >= self.places:
            return _refusal(connection, 503, "all lines are taken", "0.05")
        if self.fault == "full":
            return _refusal(connection, 503, "all 4 lines are taken", "7")
        if self.fault == "key":
            return _refusal(connection, 401, f"unknown key {self.keys[-1].partition(' ')[2]}", None)
        if self.fault == "http 500":
            return _refusal(connection, 500, "", None)
        if self.fault == "redirect":
            response = connection.respond(HTTPStatus.FOUND, "")
            response.headers["Location"] = "ws://127.0.0.1:9/v1/realtime"
            return response
        return None

    async def _client(self, connection: ServerConnection) -> None:
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await _Session(self, connection).run()
        except ConnectionClosed:
            pass
        finally:
            self.open -= 1
            self.ended.append(connection.close_code)


def _refusal(
    connection: ServerConnection, status: int, message: str, retry: str | None
) -> Response:
    body = json.dumps({"error": {"message": message}}) if message else "<html>"
    response = connection.respond(HTTPStatus(status), body)
    if retry is not None:
        response.headers["Retry-After"] = retry
    return response


class _Session:
    def __init__(self, server: Fake, connection: ServerConnection) -> None:
        self.server, self.connection = server, connection
        self.heard = self.quiet = 0.0
        self.turns = self.appends = self.responses = 0
        self.spoke = self.responding = False
        self.speaking: asyncio.Task[None] | None = None

    async def run(self) -> None:
        fault = self.server.fault
        if fault.startswith("close "):
            code = int(fault.removeprefix("close "))
            await self.connection.close(code, "no room" if code == 1013 else "out of order")
            return
        if fault == "mute":
            await self.connection.wait_closed()
            return
        session = {"type": "realtime", "model": "fake", "tools": self.server.tools}
        await self.send("session.created", session=session)
        try:
            async for text in self.connection:
                message = json.loads(text)
                self.server.received.append(message)
                await self.hear(message, session)
        finally:
            if self.speaking is not None:
                self.speaking.cancel()

    async def send(self, kind: str, **fields: Any) -> None:
        await self.connection.send(json.dumps({"type": kind, "event_id": "event_1", **fields}))

    async def hear(self, message: dict[str, Any], session: dict[str, Any]) -> None:
        kind, fault = message["type"], self.server.fault
        if kind == "session.update":
            if fault == "session":
                wrong = {"message": "tools.0.name is missing", "param": "session.tools.0.name"}
                await self.send("error", error={**wrong, "event_id": message["event_id"]})
                return
            if fault == "never":
                return
            session |= message["session"]
            await self.send("session.updated", session=session)
        elif kind == "input_audio_buffer.append":
            self.appends += 1
            if self.appends == 5:
                await self.misbehave(fault)
            await self.listen(np.frombuffer(base64.b64decode(message["audio"]), dtype="<i2"))
        elif kind == "response.create":
            if self.responding:
                wrong = {"code": "conversation_already_has_active_response", "message": "busy"}
                await self.send("error", error={**wrong, "event_id": message["event_id"]})
                return
            said = message.get("response", {}).get("instructions", "")
            if said.startswith("say: "):
                self.answer((said.removeprefix("say: "),), calls=False)
            else:
                await self.send("response.created", response={"status": "in_progress"})
                await self.send("response.done", response={"status": "completed"})
        elif kind == "response.cancel":
            if self.speaking is not None and self.responding:
                self.speaking.cancel()
                self.responding = False
                await self.send("response.done", response={"status": "cancelled"})
            else:
                wrong = {"code": "response_cancel_not_active", "message": "nothing to cancel"}
                await self.send("error", error=wrong)
        elif kind == "conversation.item.truncate":
            await self.send("error", error={"message": "late", "event_id": message["event_id"]})

    async def misbehave(self, fault: str) -> None:
        if fault == "garbage":
            await self.connection.send("{nope")
        elif fault == "typeless":
            await self.connection.send("[1]")
        elif fault == "binary":
            await self.connection.send(b"\0\1")
        elif fault == "bad audio":
            await self.send("response.output_audio.delta", item_id="a", delta="AA*A")
        elif fault == "no item":
            await self.send("response.output_audio.delta", delta="AAAA")
        elif fault == "problem":
            await self.send("error", error={"message": "sound was dropped", "code": "overflow"})
        elif fault == "unknown":
            await self.send("rate_limits.updated", rate_limits=[])
        elif fault == "fails":
            error = {"message": "the engine is out of order"}
            details = {"error": error}
            response = {"status": "failed", "status_details": details}
            await self.send("response.done", response=response)
        elif fault.startswith("later "):
            await self.connection.close(int(fault.removeprefix("later ")), "the engine failed")
        elif fault == "hangs up":
            self.connection.transport.abort()

    async def listen(self, samples: np.ndarray) -> None:
        loud = bool(len(samples)) and int(np.abs(samples.astype(int)).max()) > 600
        if loud and not self.spoke:
            self.spoke = True
            self.turns += 1
            at = round(self.heard * 1000)
            item = f"caller_{self.turns}"
            await self.send("input_audio_buffer.speech_started", item_id=item, audio_start_ms=at)
        self.heard += len(samples) / RATE
        self.quiet = 0.0 if loud else self.quiet + len(samples) / RATE
        if self.spoke and self.quiet >= QUIET:
            self.spoke = False
            item = f"caller_{self.turns}"
            at = round((self.heard - self.quiet) * 1000)
            await self.send("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=at)
            heard = "conversation.item.input_audio_transcription"
            await self.send(f"{heard}.delta", item_id=item, delta="a large")
            await self.send(f"{heard}.completed", item_id=item, transcript="a large latte")
            if self.server.fault != "silent":
                self.answer(WORDS, calls=self.server.calls)

    def answer(self, words: tuple[str, ...], *, calls: bool) -> None:
        self.responding = True
        self.responses += 1
        self.speaking = asyncio.create_task(self.speak(words, calls))

    async def speak(self, words: tuple[str, ...], calls: bool) -> None:
        with suppress(ConnectionClosed):
            item = f"agent_{self.responses}"
            await self.send("response.created", response={"status": "in_progress"})
            if calls:
                call = {"type": "function_call", "name": "place_order", "status": "completed"}
                call |= {"call_id": f"call_{self.responses}", "arguments": json.dumps(ORDER)}
                await self.send("response.output_item.done", item=call)
            for word in words:
                await self.send("response.output_audio_transcript.delta", item_id=item, delta=word)
            time = np.arange(round(self.server.reply * RATE)) / RATE
            tone = (8000 * np.sin(2 * np.pi * 440 * time)).astype("<i2")
            size = round(FRAME * RATE)
            for number, at in enumerate(range(0, len(tone), size)):
                if self.server.pause is not None and number == self.server.pause[0]:
                    await asyncio.sleep(self.server.pause[1])
                delta = base64.b64encode(tone[at : at + size].tobytes()).decode()
                await self.send("response.output_audio.delta", item_id=item, delta=delta)
                if self.server.paced:
                    await asyncio.sleep(FRAME)
            transcript = "".join(words)
            await self.send(
                "response.output_audio_transcript.done", item_id=item, transcript=transcript
            )
            self.responding = False
            await self.send("response.done", response={"status": "completed"})
