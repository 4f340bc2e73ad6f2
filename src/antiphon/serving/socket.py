"""A WebSocket that carries a session: text frames of JSON both ways, until one of the two is gone.

The handshake is refused with HTTP (401, 403, 429, 503 and Retry-After) before it is accepted. A
session ends with a close code and a reason: 1000 after the client's own end, 1001 when the server
goes down, 1008 for limits, 1011 for failures; 1013 where a refusal could not be sent as HTTP.
It knows no protocol: those are in `realtime.socket` and `live.socket`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import suppress
from typing import Any, Protocol

from fastapi import WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse

from antiphon.serving.admission import Refused
from antiphon.serving.call import CallMessage, Closed, LiveCall
from antiphon.serving.config import ServerConfig

_log = logging.getLogger(__name__)

GONE = (WebSocketDisconnect, ConnectionError, TimeoutError)
"""What a client that is no more looks like."""


class Session(Protocol):
    """A protocol's session and its call; what it has to say goes to `Connection.say`."""

    async def opened(self) -> LiveCall:
        """The call, as soon as there is one. Raises Refused where there will be none."""
        ...

    def receive(self, text: str) -> None:
        """A message of the client's."""
        ...

    def wrong(self, sentence: str) -> None:
        """The client has made a mistake that is none of the protocol's."""
        ...

    def tell(self, message: CallMessage) -> None:
        """A message of the call's."""
        ...

    def close(self, reason: str) -> None:
        """The client is gone, or the server wants to be; may be called again."""
        ...


class Connection:
    """A socket, and what is to be sent on it."""

    def __init__(self, socket: WebSocket, config: ServerConfig) -> None:
        self._socket, self._config = socket, config
        self._outgoing: list[dict[str, Any]] = []
        self._sending = asyncio.Lock()
        self._over = False
        self._call: LiveCall | None = None
        self._heard_of = time.monotonic()

    def say(self, event: dict[str, Any]) -> None:
        """An event for the client; it goes out after what was said before."""
        self._outgoing.append(event)

    async def carry(self, session: Session) -> None:
        """Accept the handshake and carry the session to its end; then it is closed."""
        offered = self._socket.scope.get("subprotocols") or ()
        try:
            await self._socket.accept(subprotocol="realtime" if "realtime" in offered else None)
            await self._flush()
            await self._converse(session)
        except GONE:
            pass
        finally:
            session.close("client")

    async def _converse(self, session: Session) -> None:
        telling = asyncio.create_task(self._tell(session), name="a session tells")
        listening = asyncio.create_task(self._listen(session), name="a session listens")
        tasks = {telling, listening}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except GONE:
            raise
        except Exception as error:
            _log.exception("call %s: the protocol fails", self._call.id if self._call else "(none)")
            session.close(f"server: {type(error).__name__}")
            if self._call is not None and not telling.done():
                async with asyncio.timeout(self._config.send_seconds):
                    await telling  # it tells the client why
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, session: Session) -> None:
        """The client's messages, until it is gone."""
        while True:
            message = await self._socket.receive()
            self._heard_of = time.monotonic()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if text is None:
                session.wrong("binary frames are not known here; send JSON text")
            else:
                session.receive(text)
            await self._flush()

    async def _tell(self, session: Session) -> None:
        """The call's messages, until it is over."""
        try:
            self._call = await session.opened()
        except Refused as refused:
            await self._close(*_refusal(refused))
            return
        while True:
            for message in await self._call.beat():
                session.tell(message)
                if isinstance(message, Closed):
                    await self._close(*close_code(message.reason))
                    return
            await self._flush()
            if time.monotonic() - self._heard_of > self._config.idle_seconds:
                session.close("the client has sent nothing for too long")

    async def _flush(self) -> None:
        """Send what there is to say, in order, whoever said it."""
        async with self._sending, asyncio.timeout(self._config.send_seconds):
            while self._outgoing and not self._over:
                batch, self._outgoing[:] = list(self._outgoing), []
                for event in batch:
                    await self._send(json.dumps(event))

    async def _send(self, text: str) -> None:
        """Raises ConnectionError where the socket is closed already."""
        try:
            await self._socket.send_text(text)
        except RuntimeError as error:
            # uvicorn has closed it, because the client broke WebSocket's rules or closed it in
            # this moment: that is a client that is gone, and no failure of the server.
            raise ConnectionError("the socket is closed") from error

    async def _close(self, code: int, reason: str) -> None:
        """Say what is left to say, and goodbye."""
        await self._flush()
        async with self._sending, asyncio.timeout(self._config.send_seconds):
            self._over = True
            with suppress(RuntimeError):  # it is closed already
                await self._socket.close(code, reason)


async def refuse(socket: WebSocket, refused: Refused) -> None:
    """Answer a handshake with HTTP; where the server cannot, accept it and close it again."""
    if "websocket.http.response" in socket.scope.get("extensions", {}):
        await socket.send_denial_response(
            JSONResponse(refused.body(), refused.status, refused.headers())
        )
        return
    await socket.accept()
    await socket.close(*_refusal(refused))


def close_code(reason: str) -> tuple[int, str]:
    """(WebSocket close code, reason of at most 123 bytes) for why a call ended."""
    if reason == "client":
        code = 1000
    elif reason == "server: going down":
        code = 1001
    elif reason.startswith(("engine", "server", "guard")):
        code = 1011
    else:
        code = 1008
    return code, _short(reason)


def _refusal(refused: Refused) -> tuple[int, str]:
    """(close code, reason) for a call that is not taken."""
    return 1013 if refused.status in (429, 503) else 1008, _short(refused.message)


def _short(reason: str) -> str:
    return reason.encode()[:120].decode(errors="ignore")
