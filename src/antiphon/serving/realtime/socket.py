"""Realtime over WebSocket: `/v1/realtime`, carried by `serving.socket`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from fastapi import APIRouter, WebSocket

from antiphon.serving.admission import Refused
from antiphon.serving.call import CallMessage, LiveCall
from antiphon.serving.house import House, welcome
from antiphon.serving.realtime.configuration import Session, first_session, update
from antiphon.serving.realtime.events import Message, Wrong
from antiphon.serving.realtime.protocol import Realtime
from antiphon.serving.socket import Connection, close_code, refuse

router = APIRouter()


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
        connection = Connection(socket, house.config)
        seconds = house.config.session_seconds
        await connection.carry(_Opened(call, connection.say, session, seconds))
    finally:
        call.close("client")


def metadata(socket: WebSocket) -> dict[str, str]:
    """What is kept of how a call came in."""
    agent = socket.headers.get("user-agent", "")[:200]
    return {"model": socket.query_params.get("model", "")[:100], "user_agent": agent}


class _Opened:
    """A session whose call is open from the start, for so many seconds at most."""

    def __init__(
        self, call: LiveCall, send: Callable[[Message], None], session: Session, seconds: float
    ) -> None:
        self._call = call
        expires_at = int(time.time() + seconds)
        self._session = Realtime(call, send, session=session, expires_at=expires_at)
        self._limit = asyncio.get_running_loop().call_later(
            seconds, call.close, "the session's time is over"
        )
        self._session.begin()

    async def opened(self) -> LiveCall:
        return self._call

    def receive(self, text: str) -> None:
        self._session.receive(text)

    def tell(self, message: CallMessage) -> None:
        self._session.tell(message)

    def wrong(self, sentence: str) -> None:
        self._session.error(Wrong(sentence, code="invalid_json"))

    def close(self, reason: str) -> None:
        self._limit.cancel()
        self._call.close(reason)


__all__ = ["Connection", "close_code", "router"]
