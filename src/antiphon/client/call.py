"""A call: samples in as they come, typed events out."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from antiphon.client.errors import CallEnded, ClientError, ProtocolError, Refused, without
from antiphon.client.events import Event
from antiphon.client.messages import Message
from antiphon.client.protocol import Dialect
from antiphon.client.sound import checked

if TYPE_CHECKING:
    from antiphon.client.socket import Socket

_MOST = 4_096  # events that wait for their reader, some minutes; then the server has to wait
_PIECE = 1.0  # seconds of sound in a message at most


class Call:
    """One call, made by `Client.call`. For one reader and any number of senders.

    Iterating gives every event once, and ends when either side has closed the call. Where the
    server ends it for another reason, or the connection breaks, that raises `CallEnded` (`Refused`
    for a server that is full); a call is never taken up again in silence.
    """

    def __init__(
        self, socket: Socket, *, rate: int, key: str | None = None, patience: float = 10.0
    ) -> None:
        """`rate` (Hz): of the samples in both directions. Raises AudioError for odd rates."""
        self.rate = rate
        self._socket, self._key, self._patience = socket, key, patience
        self._dialect = Dialect(rate)
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._events: deque[Event] = deque()
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._over = self._closing = False
        self._error: ClientError | None = None

    @property
    def session(self) -> Mapping[str, Any]:
        """The session as the server shows it: its model, tools, voice, ..."""
        return self._dialect.session or {}

    @property
    def time(self) -> float:
        """Seconds since the call was set up: the clock of the events."""
        return self._loop.time() - self._began

    @property
    def closed(self) -> bool:
        """Whether the call is over."""
        return self._over or self._closing

    # -- for the caller ---------------------------------------------------------------

    async def send(self, samples: npt.ArrayLike) -> None:
        """The caller's next sound, float [N] in +-1 at `rate`, any N.

        Sound is to be sent at the pace at which it is spoken: a server drops what comes much
        faster. Raises AudioError for what is no such sound, CallEnded when the call is over.
        """
        sound = checked(samples)
        piece = max(1, round(_PIECE * self.rate))
        for at in range(0, len(sound), piece):
            if text := self._dialect.append(sound[at : at + piece]):
                await self._send_text(text)

    async def say(self, text: str) -> None:
        """The agent is to say `text`, after what it is saying now.

        An Antiphon server says it word for word; another's model takes it for an instruction.
        """
        await self._send(self._dialect.say(text))

    async def tool_result(self, id: str, output: Any, *, respond: bool = True) -> None:
        """What a tool gave: text, or what JSON can hold. `respond`: and the agent may go on."""
        text = output if isinstance(output, str) else json.dumps(output)
        await self._send(self._dialect.tool_result(id, text, respond=respond))

    async def interrupt(self) -> None:
        """Stop the agent."""
        await self._send([self._dialect.interrupt()])

    async def truncate(self, item: str, seconds: float) -> None:
        """Tell the server that only so much of an item was played."""
        await self._send([self._dialect.truncate(item, seconds)])

    async def update(self, session: Mapping[str, Any]) -> None:
        """Change the session: what is not named stays. Returns when the server has taken it.

        Raises ClientError when it does not, with the server's reason.
        """
        await self._settle(self._dialect.update(session))

    async def close(self) -> None:
        """End the call. What came before can still be read. More than once is no harm."""
        if self._closing:
            return
        self._closing = True
        self._room.set()
        await self._socket.close()
        await self._stop()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if self._over:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        event = self._events.popleft()
        if len(self._events) < _MOST:
            self._room.set()
        return event

    # -- for the client -----------------------------------------------------------------

    async def open(
        self,
        *,
        instructions: str | None,
        tools: Sequence[Mapping[str, Any]] | None,
        extras: bool,
        session: Mapping[str, Any] | None,
    ) -> None:
        """Set the session up. Raises ClientError."""
        self._pump = asyncio.create_task(self._receive(), name=f"call {self._socket.name}")
        hello = self._dialect.hello(
            instructions=instructions, tools=tools, extras=extras, session=session
        )
        await self._settle(hello)
        self._began = self._loop.time()
        # What came while it was set up came at the beginning.
        self._events = deque(event.model_copy(update={"time": 0.0}) for event in self._events)

    async def abort(self) -> None:
        """End the call without taking leave: for a task that is being cancelled."""
        self._closing = True
        self._room.set()
        self._socket.abort()
        await self._stop()

    # -- the parts --------------------------------------------------------------------

    async def _settle(self, message: Message) -> None:
        """Send a change of the session and wait until it is taken or not."""
        await self._send([message])
        dialect = self._dialect
        waiting = self._loop.time() + self._patience
        while not dialect.settled and dialect.refused is None:
            if self._over:
                raise self._error or CallEnded(f"{self._socket.name} ended the call")
            left = waiting - self._loop.time()
            if left <= 0:
                raise ProtocolError(
                    f"{self._socket.name} did not set up a session within {self._patience:g} s; "
                    "does it speak the Realtime protocol?"
                )
            self._news.clear()
            try:
                async with asyncio.timeout(left):
                    await self._news.wait()
            except TimeoutError:
                continue
        if dialect.refused is not None:
            why = without(self._key, dialect.refused)
            raise Refused(f"{self._socket.name} does not take this session: {why}")

    async def _send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            await self._send_text(json.dumps(message))

    async def _send_text(self, text: str) -> None:
        if self.closed:
            raise self._error or CallEnded(f"the call with {self._socket.name} is over")
        try:
            await self._socket.send(text)
        except ClientError as error:
            raise self._error or error from None

    async def _receive(self) -> None:
        """Read until there is nothing more to read."""
        try:
            while (text := await self._socket.recv()) is not None:
                try:
                    events, sends = self._dialect.receive(text, self.time)
                except ProtocolError as error:
                    raise ProtocolError(f"{self._socket.name} {error}") from None
                self._events += events
                self._news.set()
                if not self._closing:
                    await self._send(sends)
                while len(self._events) >= _MOST and not self._closing:
                    self._room.clear()
                    await self._room.wait()
        except ClientError as error:
            self._error = None if self._closing else error
            self._over = True
            self._news.set()
            if isinstance(error, ProtocolError):
                await self._socket.close(violated=True)
        finally:
            self._over = True
            self._news.set()

    async def _stop(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
