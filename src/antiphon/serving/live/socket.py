"""Live over WebSocket: `/v1/live/sessions`.

The handshake is refused with HTTP (401, 403, 429, 503 and Retry-After) before it is accepted. A
place on the clock is taken by `session.start`, which must come soon; closing codes are those of
`serving.realtime.socket`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time

from fastapi import APIRouter, WebSocket

from antiphon.serving.admission import Refused
from antiphon.serving.auth import Caller
from antiphon.serving.call import Closed
from antiphon.serving.house import House, refuse, welcome
from antiphon.serving.live.carrier import Carrier
from antiphon.serving.live.events import Message
from antiphon.serving.realtime.socket import GONE, close_code

START_WITHIN = 10.0  # seconds for `session.start` to come

router = APIRouter()
_log = logging.getLogger(__name__)


@router.websocket("/v1/live/sessions")
async def live_session(socket: WebSocket) -> None:
    """One session."""
    house: House = socket.app.state.house
    try:
        caller = welcome(house, socket)
        check_secret(caller)
        house.reception.check(caller)
    except Refused as refused:
        await refuse(socket, refused)
        return
    protocols = socket.scope.get("subprotocols") or ()
    connection = _Connection(socket, house, caller)
    try:
        await socket.accept(subprotocol="realtime" if "realtime" in protocols else None)
        await connection.run()
    except GONE:
        pass
    finally:
        connection.carrier.close("client")


def check_secret(caller: Caller) -> None:
    """Raises Refused for an ephemeral secret that was made for another protocol."""
    if caller.ephemeral and (caller.session or {}).get("type") != "live":
        raise Refused(
            403,
            "wrong_session_type",
            "this secret opens Realtime sessions; connect to /v1/realtime, or use an API key",
        )


class _Connection:
    """A socket and its session."""

    def __init__(self, socket: WebSocket, house: House, caller: Caller) -> None:
        self._socket, self._config = socket, house.config
        self._outgoing: list[Message] = []
        self._lock = asyncio.Lock()
        self._opened = asyncio.Event()
        self._over = False
        self._heard_of = time.monotonic()
        self.carrier = Carrier(house, caller, self._outgoing.append)

    async def run(self) -> None:
        """Carry the session to its end."""
        listening = asyncio.create_task(self._listen(), name="live listens")
        telling = asyncio.create_task(self._tell(), name="live tells")
        late = asyncio.get_running_loop().call_later(START_WITHIN, self._opened.set)
        tasks = {listening, telling}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except GONE:
            pass
        except Exception as error:
            _log.exception("a live session fails")
            self.carrier.close(f"server: {type(error).__name__}")
            if self._opened.is_set() and not telling.done():
                async with asyncio.timeout(self._config.send_seconds):
                    await telling  # it tells the client why
        finally:
            late.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        """The client's messages, until it is gone."""
        while True:
            message = await self._socket.receive()
            self._heard_of = time.monotonic()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if text is None:
                self.carrier.wrong("binary frames are not known here; send JSON text")
            else:
                self.carrier.receive(text)
            await self._flush()
            if self.carrier.refused is not None:
                await self._close(1013, self.carrier.refused.message)
                return
            if self.carrier.call is not None:
                self._opened.set()

    async def _tell(self) -> None:
        """The call's messages, until it is over."""
        await self._opened.wait()
        call = self.carrier.call
        if call is None:
            await self._close(1008, f"no session.start came within {START_WITHIN:g} s")
            return
        while True:
            for message in await call.beat():
                self.carrier.tell(message)
                if isinstance(message, Closed):
                    await self._flush()
                    await self._close(*close_code(message.reason))
                    return
            await self._flush()
            if time.monotonic() - self._heard_of > self._config.idle_seconds:
                self.carrier.close("the client has sent nothing for too long")

    async def _flush(self) -> None:
        """Send what there is to say, in order, whoever said it."""
        async with self._lock, asyncio.timeout(self._config.send_seconds):
            while self._outgoing and not self._over:
                batch, self._outgoing[:] = list(self._outgoing), []
                for message in batch:
                    await self._socket.send_text(json.dumps(message))

    async def _close(self, code: int, reason: str) -> None:
        words = reason.encode()[:120].decode(errors="ignore")
        async with self._lock, asyncio.timeout(self._config.send_seconds):
            if not self._over:
                self._over = True
                await self._socket.close(code, words)
