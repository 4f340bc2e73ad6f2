"""Someone else's server: it repeats the caller over the Realtime and Live protocols.

The standard library alone, and nothing of the project: a WebSocket by hand (RFC 6455), on one
thread of its own. A `fault` makes it misbehave.
"""

from __future__ import annotations

import array
import asyncio
import base64
import hashlib
import json
import threading
from typing import Any

RATE = 24_000
LOUD = 600  # of 32768
QUIET = 0.12  # s of quiet that end the caller's turn


class EchoServer:
    """`with EchoServer() as server:` serves at `server.url`; `received` is what clients sent."""

    def __init__(
        self,
        *,
        fault: str = "",
        tool: str | None = None,
        path: str = "/v1/realtime",
        repeat: int = 1,
        key: str = "",
    ) -> None:
        self.fault, self.tool, self.path, self.repeat, self.key = fault, tool, path, repeat, key
        self.received: list[dict[str, Any]] = []
        self.headers = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.received if message["type"] == kind]

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}{self.path}?model=parrot"

    def __enter__(self) -> EchoServer:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._client, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(2)
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(2)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.headers = (await reader.readuntil(b"\r\n\r\n")).decode()
            if self.fault == "dumb":
                await asyncio.sleep(60)
            if self.fault.startswith("http "):
                status = self.fault.removeprefix("http ")
                writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
                return
            key = next(
                line.split(": ")[1]
                for line in self.headers.split("\r\n")
                if line.lower().startswith("sec-websocket-key")
            )
            digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
            writer.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Accept: "
                + base64.b64encode(digest)
                + b"\r\n\r\n"
            )
            talk = (LiveTalk if "live" in self.path else Talk)(self, writer)
            await talk.begin()
            while (frame := await self._frame(reader)) is not None:
                code, payload = frame
                if code == 8:
                    talk.frame(8, payload)
                    break
                if code == 9:
                    talk.frame(10, payload)
                elif code == 1:
                    message = json.loads(payload)
                    self.received.append(message)
                    if self.fault == "stalls" and len(self.received) > 5:
                        await asyncio.sleep(60)
                    talk.hear(message)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    @staticmethod
    async def _frame(reader: asyncio.StreamReader) -> tuple[int, bytes] | None:
        """The next frame of a client, which is masked and here never fragmented."""
        first, length = await reader.readexactly(2)
        length &= 127
        if length > 125:
            size = 2 if length == 126 else 8
            length = int.from_bytes(await reader.readexactly(size), "big")
        mask = await reader.readexactly(4)
        payload = bytearray(await reader.readexactly(length))
        for index in range(length):
            payload[index] ^= mask[index % 4]
        return first & 15, bytes(payload)


class Talk:
    """A Realtime session: when the caller has been quiet for `QUIET`, it repeats the turn."""

    def __init__(self, server: EchoServer, writer: asyncio.StreamWriter) -> None:
        self.server, self.writer = server, writer
        self.turn = bytearray()
        self.heard = 0.0  # s
        self.quiet = 1.0
        self.turns = self.appends = 0
        self.responding = False

    async def begin(self) -> None:
        self.send("session.created", session={"type": "realtime"})

    def send(self, kind: str, **fields: Any) -> None:
        self.text(json.dumps({"type": kind, "event_id": "event_1", **fields}))

    def text(self, text: str) -> None:
        self.frame(1, text.encode())

    def frame(self, code: int, payload: bytes) -> None:
        size = len(payload)
        head = bytes([128 | code])
        if size < 126:
            head += bytes([size])
        else:
            head += (
                bytes([126]) + size.to_bytes(2, "big")
                if size < 65536
                else bytes([127]) + size.to_bytes(8, "big")
            )
        self.writer.write(head + payload)

    def hear(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        fault = self.server.fault
        if kind == "session.update":
            if fault == "refuses":
                problem = f"Incorrect API key provided: {self.server.key}"
                self.send(
                    "error", error={"type": "x", "code": "invalid_api_key", "message": problem}
                )
            elif fault != "idle":
                self.send("session.updated", session=message["session"])
        elif kind == "input_audio_buffer.append":
            self.appends += 1
            if fault and self.appends == 5:
                self.misbehave(fault)
            self.listen(base64.b64decode(message["audio"]))
        elif kind == "conversation.item.truncate":
            self.send("error", error={"message": "too late", "event_id": message["event_id"]})
        elif kind == "response.create":
            self.respond()

    def misbehave(self, fault: str) -> None:
        if fault == "garbage":
            self.text("{nope")
        elif fault == "typeless":
            self.text("[1, 2]")
        elif fault == "error":
            self.send("error", error={"type": "server_error", "message": "the parrot is dead"})
        elif fault == "fails":
            error = {"type": "x", "code": "insufficient_quota"}
            self.send(
                "response.done", response={"status": "failed", "status_details": {"error": error}}
            )
        elif fault == "bad audio":
            self.send("response.output_audio.delta", item_id="a", delta="AA*A")
        elif fault == "half a sample":
            self.send("response.output_audio.delta", item_id="a", delta="AAAA")
        elif fault == "closes":
            self.frame(8, (1011).to_bytes(2, "big") + b"out of seed")
        elif fault == "hangs up":
            self.writer.transport.abort()

    def listen(self, sound: bytes) -> None:
        samples = array.array("h", sound)
        loud = max(map(abs, samples), default=0) > LOUD
        if loud and self.quiet >= QUIET:
            self.turns += 1
            self.turn.clear()
            self.send(
                "input_audio_buffer.speech_started",
                item_id=f"caller_{self.turns}",
                audio_start_ms=round(self.heard * 1000),
            )
            if self.responding:
                self.responding = False
                self.send("response.done", response={"status": "cancelled"})
        before, self.heard = self.quiet, self.heard + len(samples) / RATE
        self.quiet = 0.0 if loud else self.quiet + len(samples) / RATE
        if self.turns and self.quiet < QUIET:
            self.turn += sound
        if self.turns and before < QUIET <= self.quiet:
            self.answer()

    def answer(self) -> None:
        item = f"caller_{self.turns}"
        ended = round((self.heard - self.quiet) * 1000)
        self.send("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=ended)
        self.send(
            "conversation.item.input_audio_transcription.completed",
            item_id=item,
            content_index=0,
            transcript="pretty polly.",
        )
        if self.server.tool is None:
            self.respond()
            return
        self.send("response.created", response={"status": "in_progress"})
        self.send(
            "response.function_call_arguments.done",
            item_id="call",
            call_id="call_1",
            name="repeat",
            arguments=self.server.tool,
        )
        self.send("response.done", response={"status": "completed"})

    def respond(self) -> None:
        """All at once, as a server does that is quicker than speech."""
        item = f"agent_{self.turns}"
        self.responding = self.server.repeat > 1
        self.send("response.created", response={"status": "in_progress"})
        for text in (" pret", "ty"):
            self.send("response.output_audio_transcript.delta", item_id=item, delta=text)
        sound = bytes(self.turn) * self.server.repeat
        for at in range(0, len(sound), RATE // 5):
            delta = base64.b64encode(sound[at : at + RATE // 5]).decode()
            self.send("response.output_audio.delta", item_id=item, content_index=0, delta=delta)
        self.send("response.output_audio_transcript.delta", item_id=item, delta=" polly!")
        self.send("response.output_audio_transcript.done", item_id=item, transcript="pretty polly!")
        self.send("response.output_audio.done", item_id=item)
        if not self.responding:
            self.send("response.done", response={"status": "completed"})


class LiveTalk(Talk):
    """A Live session: every sound goes back at once; the tool is used at the first loud one."""

    async def begin(self) -> None:
        pass

    def hear(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "session.start":
            self.send("session.started", session=message["session"])
        elif kind == "session.close":
            self.send("session.closed", reason="close_requested")
        elif kind == "session.input_audio.append":
            self.appends += 1
            if self.server.fault == "expires" and self.appends == 5:
                self.send("session.closed", reason="expired")
            if self.server.fault == "error" and self.appends == 5:
                self.send("error", error={"code": "y", "message": "the parrot is dead"})
            self.send("session.output_audio.delta", delta=message["audio"])
            loud = max(map(abs, array.array("h", base64.b64decode(message["audio"]))), default=0)
            start = round(self.heard * 1000)
            if loud > LOUD and not self.turns:
                self.turns = 1
                self.nested("response.created", response={"status": "in_progress"})
                arguments = self.server.tool or "{}"
                call = {"type": "function_call", "call_id": "c", "name": "repeat"}
                self.nested("response.output_item.done", item={**call, "arguments": arguments})
                self.nested("response.completed", response={"status": "completed"})
                for side in ("input", "output"):
                    for index, text in enumerate((" hel", "lo")):
                        at = start + 10 * index
                        self.send(
                            f"session.{side}_transcript.delta",
                            delta=text,
                            start_ms=at,
                            end_ms=at + 10,
                        )
            self.heard += 0.02

    def nested(self, kind: str, **fields: Any) -> None:
        self.send("response.event", delegation_id="d", event={"type": kind, **fields})
