"""A Live session and its call: the acts of the one are carried out on the other.

In: a client's messages and those of the call. Out: messages for the client, through `send`. How
they travel is its holder's business: a WebSocket (`socket`) or a data channel (`serving.webrtc`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from antiphon.errors import AntiphonError
from antiphon.serving.admission import Refused
from antiphon.serving.auth import Caller
from antiphon.serving.call import CallMessage, Closed, LiveCall
from antiphon.serving.house import House
from antiphon.serving.live.acts import Act, Close, Press, Push, Reaction, Result, Say, Start
from antiphon.serving.live.events import ErrorEvent, LiveError, Message, Problem, SessionConfig
from antiphon.serving.live.order import OrderBook
from antiphon.serving.live.protocol import EXPIRED, LiveSession, fresh_id

START_WITHIN = 10.0  # seconds for `session.start` to come


class Carrier:
    """One session, from before its call is open.

    config: of a session that is to begin by itself, with `open`; None: `session.start` brings it.
    """

    def __init__(
        self,
        house: House,
        caller: Caller,
        send: Callable[[Message], None],
        *,
        config: SessionConfig | None = None,
    ) -> None:
        self._house, self._caller, self._send = house, caller, send
        self._media = config is not None
        self.session = LiveSession(
            bundle=house.model,
            tools=[tool.name for tool in house.tools],
            order=OrderBook(house.agent.scenario),
            media=self._media,
            config=config,
        )
        self.call: LiveCall | None = None
        self._refused: Refused | None = None
        self._decided = asyncio.Event()  # whether there is a call, or will be none
        self._limit: asyncio.TimerHandle | None = None

    async def opened(self) -> LiveCall:
        """The call, once `session.start` has come. Raises Refused where it does not, or is late."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._decided.wait(), START_WITHIN)
        if self.call is not None:
            return self.call
        late = f"no session.start came within {START_WITHIN:g} s"
        raise self._refused or Refused(408, "session_not_started", late)

    def receive(self, text: str | bytes) -> None:
        """A message of the client's."""
        self._carry(self.session.receive(text))

    def tell(self, message: CallMessage) -> None:
        """A message of the call's."""
        self._carry(self.session.tell(message))
        if isinstance(message, Closed):
            for told in self.session.end(message.reason):
                self._send(told.wire())

    def wrong(self, sentence: str) -> None:
        """Tell the client of a mistake that is none of the protocol's."""
        error = LiveError(sentence, code="invalid_json")
        self._send(self.session.problem(error).wire())

    def open(self, *, keep: bool = True, event_id: str | None = None) -> LiveCall:
        """The call. Raises Refused."""
        protocol = "live.webrtc" if self._media else "live"
        config = self._house.config
        metadata = {"model": self.session.config.model or ""}
        call = self._house.reception.open(protocol, caller=self._caller, metadata=metadata)
        if not keep:
            call.pause_recording(True)
        self.call = call
        self._decided.set()
        self._limit = asyncio.get_running_loop().call_later(
            config.session_seconds, call.close, EXPIRED
        )
        expires_at = int(time.time() + config.session_seconds)
        for told in self.session.begin(call.id, expires_at, event_id):
            self._send(told.wire())
        return call

    def close(self, reason: str = "client") -> None:
        """The client is gone, or the server wants to be; may be called again."""
        if self._limit is not None:
            self._limit.cancel()
        if self.call is not None:
            self.call.close(reason)

    def _carry(self, reaction: Reaction) -> None:
        for told in reaction.told:
            self._send(told.wire())
        for act in reaction.acts:
            self._do(act)

    def _do(self, act: Act) -> None:
        if isinstance(act, Start):
            self._start(act)
            return
        call = self.call
        if call is None or call.reason is not None:
            return
        match act:
            case Push():
                call.push(act.samples, act.rate)
            case Say():
                try:
                    call.say(act.text)
                except AntiphonError as error:
                    self._send(self.session.problem(error, act.event_id).wire())
            case Result():
                call.tool_result(act.call_id, act.output)
            case Press():
                call.dtmf(act.digit)
            case Close():
                call.close("client")

    def _start(self, act: Start) -> None:
        try:
            self.open(keep=act.keep, event_id=act.event_id)
        except Refused as refused:
            self._refused = refused
            self._decided.set()
            problem = Problem(
                type="server_error",
                code=refused.code,
                message=refused.message,
                client_event_id=act.event_id,
            )
            told = ErrorEvent(event_id=fresh_id("evt"), client_event_id=act.event_id, error=problem)
            self._send(told.wire())
