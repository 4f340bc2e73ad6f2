"""Calls by WebRTC: an offer is posted, sound comes and goes on a media track, events on a channel.

    POST /v1/realtime/calls     application/sdp, or multipart with `sdp` and `session` -> 201, SDP
    POST /v1/live/sessions      JSON: `session`, and `transport` with the SDP -> 201, JSON
    POST .../{id}/hangup        ends a call of the same key

The protocols are those of the WebSockets; only their sound travels otherwise. An offer holds all of
its addresses (no trickle), and so does the answer.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol, cast

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from antiphon.runtime.events import AudioEvent, Samples
from antiphon.serving.auth import Caller
from antiphon.serving.call import AgentStopped, CallMessage, Closed, LiveCall
from antiphon.serving.house import House, welcome
from antiphon.serving.live.carrier import Carrier
from antiphon.serving.live.events import LiveError, Message, read_config
from antiphon.serving.live.protocol import EXPIRED, GOING_DOWN
from antiphon.serving.live.socket import check_secret
from antiphon.serving.problems import Unfit
from antiphon.serving.realtime.configuration import Session, first_session, update
from antiphon.serving.realtime.events import Wrong
from antiphon.serving.realtime.protocol import Realtime
from antiphon.serving.realtime.response import Response as Spoken
from antiphon.serving.webrtc_offer import (
    LIVE_BODY,
    REALTIME_BODY,
    LiveAnswer,
    live_offer,
    realtime_offer,
)
from antiphon.serving.webrtc_voice import Voice, mono

CONNECT_WITHIN = 20.0  # seconds from the answer to the connection
LAST_WORDS = 1.0  # seconds for the last events to go out
CLOSE_WITHIN = 3.0  # seconds for the connection to be taken down
MOST_WAITING = 1 << 20  # bytes of events that may wait in the channel

_log = logging.getLogger(__name__)


class IceServer(BaseModel):
    """A STUN or TURN server, as a browser's RTCPeerConnection takes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None


def make_router(ice_servers: tuple[IceServer, ...] = ()) -> APIRouter:
    """The routes. Without `ice_servers` a machine offers the addresses of its own interfaces."""
    peers: set[Peer] = set()

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncGenerator[None]:
        yield
        ends = [peer.hang_up(GOING_DOWN) for peer in list(peers)]
        await asyncio.gather(*ends, return_exceptions=True)

    router = APIRouter(lifespan=lifespan)

    def peer(house: House) -> Peer:
        made = Peer(house, ice_servers, peers.discard)
        peers.add(made)
        return made

    @router.post(
        "/v1/realtime/calls",
        status_code=201,
        response_class=Response,
        responses={201: {"content": {"application/sdp": {"schema": {"type": "string"}}}}},
        openapi_extra=REALTIME_BODY,
    )
    async def realtime(request: Request) -> Response:
        house: House = request.app.state.house
        caller = welcome(house, request)
        house.reception.check(caller)
        sdp, patch = await realtime_offer(request)
        try:
            session = first_session(house.model, house.instructions, house.tools)
            for given in (caller.session, patch):
                session = update(session, given) if given else session
        except Wrong as wrong:
            raise Unfit(wrong.message, wrong.param) from None
        line = peer(house)
        answer, call = await line.answer(
            sdp, lambda: _RealtimeTalk(house, caller, session, line.tell, line.voice)
        )
        place = {"Location": f"/v1/realtime/calls/{call.id}"}
        return Response(answer, 201, headers=place, media_type="application/sdp")

    @router.post(
        "/v1/live/sessions", status_code=201, response_model=LiveAnswer, openapi_extra=LIVE_BODY
    )
    async def live(request: Request) -> Response:
        house: House = request.app.state.house
        caller = welcome(house, request)
        check_secret(caller)
        house.reception.check(caller)
        sdp, given = await live_offer(request)
        try:
            config = read_config(given)
        except LiveError as error:
            raise Unfit(str(error), error.param, code=error.code) from None
        if config.audio is not None and config.audio.format is not None:
            raise Unfit("WebRTC settles the format of the sound by itself", "session.audio.format")
        line = peer(house)
        answer, call = await line.answer(
            sdp, lambda: _LiveTalk(Carrier(house, caller, line.tell, config=config), line.voice)
        )
        body = {"session": {"id": call.id}, "transport": {"type": "webrtc", "sdp": answer}}
        place = {"Location": f"/v1/live/sessions/{call.id}"}
        return JSONResponse(body, 201, headers=place)

    @router.post("/v1/realtime/calls/{call_id}/hangup", response_class=Response)
    @router.post("/v1/live/sessions/{call_id}/hangup", response_class=Response)
    async def hangup(request: Request, call_id: str) -> Response:
        house: House = request.app.state.house
        caller = welcome(house, request)
        call = house.reception.calls.get(call_id)
        if call is None or call.info.key != caller.key:
            raise Unfit(f"there is no call {call_id[:60]!r}", "call_id", status=404)
        call.close("client")
        return Response(status_code=200)

    return router


# -- a session and its call ----------------------------------------------------------------


class Talk(Protocol):
    """One session of either protocol, with its call."""

    call: LiveCall

    def receive(self, text: str | bytes) -> None:
        """A message on the events' channel."""
        ...

    def hear(self, samples: Samples, rate: int) -> None:
        """The caller's next samples, float32 [N] at `rate` Hz."""
        ...

    def take(self, message: CallMessage) -> None:
        """Something happened in the call."""
        ...

    def close(self) -> None:
        """The client is gone."""
        ...


class _LiveTalk:
    def __init__(self, carrier: Carrier, voice: Voice) -> None:
        """Raises Refused."""
        keep = carrier.session.config.store is not False
        self._carrier, self._voice = carrier, voice
        self.call = carrier.open(keep=keep)

    def receive(self, text: str | bytes) -> None:
        self._carrier.receive(text)

    def hear(self, samples: Samples, rate: int) -> None:
        if not self._carrier.session.muted:
            self.call.push(samples, rate)

    def take(self, message: CallMessage) -> None:
        if isinstance(message, AudioEvent):
            self._voice.push(message.samples)
        self._carrier.tell(message)

    def close(self) -> None:
        self._carrier.close("client")


class _HeardRealtime(Realtime):
    """Realtime whose voice is played on a track: only what belongs to a response is heard."""

    play: Callable[[Samples], None]

    def _sound(self, message: AudioEvent, response: Spoken) -> None:
        super()._sound(message, response)
        self.play(message.samples)


class _RealtimeTalk:
    def __init__(
        self,
        house: House,
        caller: Caller,
        session: Session,
        send: Callable[[Message], None],
        voice: Voice,
    ) -> None:
        """Raises Refused."""
        seconds = house.config.session_seconds
        self.call = house.reception.open("realtime.webrtc", caller=caller)
        self._limit = asyncio.get_running_loop().call_later(seconds, self.call.close, EXPIRED)
        self._session = _HeardRealtime(
            self.call,
            send,
            session=session,
            expires_at=int(time.time() + seconds),
            transport="webrtc",
        )
        self._session.play = voice.push
        self._session.begin()

    def receive(self, text: str | bytes) -> None:
        self._session.receive(text)

    def hear(self, samples: Samples, rate: int) -> None:
        self.call.push(samples, rate)

    def take(self, message: CallMessage) -> None:
        self._session.tell(message)

    def close(self) -> None:
        self._limit.cancel()
        self.call.close("client")


# -- the connection ------------------------------------------------------------------------


class Peer:
    """One connection, from the offer to its end. `gone` is called with it when it is over."""

    def __init__(
        self, house: House, ice_servers: tuple[IceServer, ...], gone: Callable[[Peer], None]
    ) -> None:
        servers = [
            RTCIceServer(list(server.urls), server.username, server.credential)
            for server in ice_servers
        ]
        self.voice = Voice()
        self._house, self._gone = house, gone
        # An empty list matters: without one the library asks a public STUN server.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._channel: RTCDataChannel | None = None
        self._outgoing: deque[Message] = deque()
        self._talk: Talk | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard_of = time.monotonic()

    async def answer(self, sdp: str, begin: Callable[[], Talk]) -> tuple[str, LiveCall]:
        """Take the offer and begin the call: (the answer's SDP, the call).

        Raises Unfit for an offer that cannot be used, and what `begin` raises.
        """
        connection = self._connection
        connection.on("track", self._track)
        connection.on("datachannel", self._opened)
        connection.on("connectionstatechange", self._changed)
        try:
            await self._accept(sdp)
            self._talk = talk = begin()
        except BaseException:
            await self._end()
            raise
        try:
            await connection.setLocalDescription(await connection.createAnswer())
        except BaseException:
            talk.close()
            await self._end()
            raise
        self._keep(self._tell(talk))
        self._keep(self._watch(talk))
        return connection.localDescription.sdp, talk.call

    async def _accept(self, sdp: str) -> None:
        connection = self._connection
        try:
            offer = RTCSessionDescription(sdp=sdp, type="offer")
            await asyncio.wait_for(connection.setRemoteDescription(offer), CONNECT_WITHIN)
        except Exception as error:  # the library's parser fails in many ways
            reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
            raise Unfit(f"sdp: this offer cannot be used ({reason})", "sdp") from None
        audio = [each for each in connection.getTransceivers() if each.kind == "audio"]
        if not audio:
            raise Unfit("sdp: the offer has no audio; add the microphone's track", "sdp")
        audio[0].sender.replaceTrack(self.voice)
        audio[0].direction = "sendrecv"

    async def hang_up(self, reason: str) -> None:
        """End the call from the server's side, and wait until the client was told."""
        if self._talk is not None:
            self._talk.call.close(reason)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2 * LAST_WORDS + CLOSE_WITHIN)

    def tell(self, message: Message) -> None:
        """An event for the client; those that come before the channel is open wait."""
        self._outgoing.append(message)
        self._flush()

    def _flush(self) -> None:
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return
        while self._outgoing:
            channel.send(json.dumps(self._outgoing.popleft()))
        if channel.bufferedAmount > MOST_WAITING and self._talk is not None:
            self._talk.call.close("the client has stopped reading")

    # -- what the connection tells ------------------------------------------------

    def _opened(self, channel: RTCDataChannel) -> None:
        if self._channel is not None:
            return
        self._channel = channel
        channel.on("message", self._message)
        self._flush()

    def _message(self, text: str | bytes) -> None:
        if self._talk is not None:
            self._talk.receive(text)

    def _track(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            self._keep(self._listen(track))

    def _changed(self) -> None:
        if self._connection.connectionState in ("failed", "closed") and self._talk is not None:
            self._talk.close()

    # -- what goes on as long as the call -------------------------------------------

    def _keep(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a WebRTC call fails", exc_info=error)
            if self._talk is not None:
                self._talk.call.close(f"server: {type(error).__name__}")

    async def _listen(self, track: MediaStreamTrack) -> None:
        """The caller's sound, until there is no more."""
        try:
            while True:
                frame = cast("object", await track.recv())
                self._heard_of = time.monotonic()
                if self._talk is not None and isinstance(frame, AudioFrame):
                    self._talk.hear(mono(frame), frame.sample_rate)
        except MediaStreamError:
            pass

    async def _tell(self, talk: Talk) -> None:
        """The call's messages, until it is over; then the connection is, too."""
        try:
            while True:
                for message in await talk.call.beat():
                    talk.take(message)
                    if isinstance(message, AgentStopped) and message.interrupted:
                        self.voice.clear()
                    if isinstance(message, Closed):
                        await self._drain()
                        return
        finally:
            talk.close()
            await self._end()

    async def _watch(self, talk: Talk) -> None:
        """End the call of a client that never comes, or of whom nothing is heard any more."""
        await asyncio.sleep(CONNECT_WITHIN)
        if self._connection.connectionState != "connected":
            talk.call.close("the client did not connect")
        idle = self._house.config.idle_seconds
        while talk.call.reason is None:
            if time.monotonic() - self._heard_of > idle:
                talk.call.close("the client has sent nothing for too long")
            await asyncio.sleep(min(5.0, max(0.05, idle / 4)))

    async def _drain(self) -> None:
        """Give the last events the time to go out."""
        self._flush()
        end = time.monotonic() + LAST_WORDS
        channel = self._channel
        while channel is not None and channel.readyState == "open" and time.monotonic() < end:
            await asyncio.sleep(0.02)
            if channel.bufferedAmount == 0:
                await asyncio.sleep(0.1)  # what is sent has to arrive before the goodbye
                return

    async def _end(self) -> None:
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self._gone(self)
        # A goodbye needs both sides; at the end of the loop the library waits for its own tasks.
        with suppress(TimeoutError):
            await asyncio.wait_for(self._connection.close(), CLOSE_WITHIN)
