"""Live over WebSocket: `/v1/live/sessions`, carried by `serving.socket`.

A place on the clock is taken by `session.start`, which must come soon.
"""

from __future__ import annotations

from fastapi import APIRouter, WebSocket

from antiphon.serving.admission import Refused
from antiphon.serving.auth import Caller
from antiphon.serving.house import House, welcome
from antiphon.serving.live.carrier import Carrier
from antiphon.serving.socket import Connection, refuse

router = APIRouter()


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
    connection = Connection(socket, house.config)
    await connection.carry(Carrier(house, caller, connection.say))


def check_secret(caller: Caller) -> None:
    """Raises Refused for an ephemeral secret that was made for another protocol."""
    if caller.ephemeral and (caller.session or {}).get("type") != "live":
        raise Refused(
            403,
            "wrong_session_type",
            "this secret opens Realtime sessions; connect to /v1/realtime, or use an API key",
        )
