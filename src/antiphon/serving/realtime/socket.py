"""Realtime over WebSocket: a session's events carried as text frames.

The handshake is refused with HTTP (401, 403, 429, 503 and Retry-After) before it is accepted. A
session ends with a close code and a reason: 1000 after the client's own end, 1001 when the server
goes down, 1008 for limits, 1011 for failures; 1013 where a refusal could not be sent as HTTP.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from antiphon.serving.admission import Refused
from antiphon.serving.call import Closed, LiveCall
from antiphon.serving.house import House, refuse, welcome
from antiphon.serving.realtime.configuration import Session, first_session, update
from antiphon.serving.realtime.events import Message, Wrong
from antiphon.serving.realtime.protocol import Realtime

router = APIRouter()
_log = logging.getLogger(__name__)

GONE = (WebSocketDisconnect, ConnectionError, TimeoutError)
"""What a client that is no more looks like."""


@router.websocket("/v1/realtime")
async def realtime(socket: WebSocket) -> None:
    """One session."""
    house: House = socket.app.state.house
    try:
        caller = welcome(house, socket)
        call = house.reception.open("realtime", caller=caller, metadata=metadata(socket))
    except Refused as refused:
        await refuse(socket, refused)
        return
    try:
        session = first_session(house.model, house.instructions, house.tools)
        if caller.session:
            session = update(session, caller.session)
        offered = socket.scope.get("subprotocols") or ()
        await socket.accept(subprotocol="realtime" if "realtime" in offered else None)
        await Connection(socket, call, house).run(session)
    except GONE:
        pass
    finally:
        call.close("client")


def metadata(socket: WebSocket) -> dict[str, str]:
    """What is kept of how a call came in."""
    agent = socket.headers.get("user-agent", "")[:200]
    return {"model": socket.query_params.get("model", "")[:100], "user_agent": agent}


class Connection:
    """A socket and its session."""

    def __init__(self, socket: WebSocket, call: LiveCall, house: House) -> None:
        self._socket, self._call, self._house = socket, call, house
        self._outgoing: list[Message] = []
        self._sending = asyncio.Lock()
        self._heard_of = time.monotonic()

    async def run(self, session: Session) -> None:
        """Carry the session to its end."""
        config = self._house.config
        self._session = Realtime(
            self._call,
            self._outgoing.append,
            session=session,
            expires_at=int(time.time() + config.session_seconds),
        )
        self._session.begin()
        await self._flush()
        name = self._call.id
        listening = asyncio.create_task(self._listen(), name=f"listen {name}")
        telling = asyncio.create_task(self._tell(), name=f"tell {name}")
        limit = asyncio.get_running_loop().call_later(
            config.session_seconds, self._call.close, "the session's time is over"
        )
        tasks = {listening, telling}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except GONE:
            self._call.close("client")
        except Exception as error:
            _log.exception("call %s: the protocol fails", name)
            self._call.close(f"server: {type(error).__name__}")
            if not telling.done():
                async with asyncio.timeout(config.send_seconds):
                    await telling  # it tells the client why
        finally:
            limit.cancel()
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
                self._session.error(
                    Wrong("binary frames are not known here; send JSON text", code="invalid_json")
                )
            else:
                self._session.receive(text)
            await self._flush()

    async def _tell(self) -> None:
        """The call's messages, until it is over."""
        idle = self._house.config.idle_seconds
        while True:
            for message in await self._call.beat():
                self._session.tell(message)
                if isinstance(message, Closed):
                    await self._flush()
                    async with asyncio.timeout(self._house.config.send_seconds):
                        await self._socket.close(*close_code(message.reason))
                    return
            await self._flush()
            if time.monotonic() - self._heard_of > idle:
                self._call.close("the client has sent nothing for too long")

    async def _flush(self) -> None:
        """Send what the session has to say, in order, whoever made it say so."""
        async with self._sending, asyncio.timeout(self._house.config.send_seconds):
            while self._outgoing:
                batch, self._outgoing[:] = list(self._outgoing), []
                for event in batch:
                    await self._socket.send_text(json.dumps(event))


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
    return code, reason.encode()[:120].decode(errors="ignore")
