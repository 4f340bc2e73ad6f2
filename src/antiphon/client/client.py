"""A server at an address: calls by WebSocket, single questions by HTTP."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from antiphon.audio import SAMPLE_RATE
from antiphon.client.address import parse
from antiphon.client.call import Call
from antiphon.client.events import Samples
from antiphon.client.rest import VOICE, Door
from antiphon.errors import AntiphonError

PATIENCE = 10.0  # s for a server to answer, to set up a session, and to take a message
REST_PATIENCE = 60.0  # s for a text to be spoken or a recording to be written down


class Client:
    """A server that speaks OpenAI's Realtime protocol: ours, or any other.

    >>> client = antiphon.Client("ws://127.0.0.1:8080")              # doctest: +SKIP
    >>> async with client.call() as call:
    ...     await call.send(samples)
    ...     async for event in call:
    ...         ...

    url: `ws://host:port`, `https://host/v1`, `wss://host/v1/realtime?model=x`, ... `patience`
    (seconds) bounds whatever the server is waited for. It holds no connection of its own, so it
    needs no closing. Raises AntiphonError for what is no address or no key.
    """

    def __init__(self, url: str, key: str | None = None, *, patience: float = PATIENCE) -> None:
        if key is not None and not (key.isascii() and key.isprintable() and key.strip() == key):
            raise AntiphonError("the key holds letters that no key has; was it copied whole?")
        self._address = parse(url)
        self._key, self._patience = key or None, patience

    @property
    def name(self) -> str:
        """The server's address without secrets, as sentences and reports name it."""
        return self._address.name

    @asynccontextmanager
    async def call(
        self,
        *,
        model: str | None = None,
        rate: int = SAMPLE_RATE,
        instructions: str | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        extras: bool = False,
        session: Mapping[str, Any] | None = None,
    ) -> AsyncGenerator[Call]:
        """A call, set up and ready to be spoken into; at the end of the block it is closed.

        model: None leaves it to the address, or the server. rate: Hz of the samples in both
        directions. instructions, tools ({name, description, parameters}): None leaves the
        server's own. extras: an Antiphon server's own events too. session: anything else of the
        protocol's session, laid over what these make.

        Raises Unreachable, Refused (`retry_after`), WrongKey or ProtocolError.
        """
        try:
            from antiphon.client.socket import Socket
        except ImportError:
            raise AntiphonError(
                "calling a server needs websockets; pip install 'antiphon[client]'"
            ) from None
        socket = await Socket.open(
            self._address.realtime(model), self.name, key=self._key, patience=self._patience
        )
        try:
            call = Call(socket, rate=rate, key=self._key, patience=self._patience)
        except BaseException:
            socket.abort()
            raise
        try:
            await call.open(instructions=instructions, tools=tools, extras=extras, session=session)
            yield call
        except asyncio.CancelledError:
            await call.abort()
            raise
        finally:
            await call.close()

    async def models(self) -> tuple[str, ...]:
        """The models (bundles) that the server has. Raises ClientError."""
        return await self._door(self._patience).models()

    async def speech(
        self, text: str, *, model: str | None = None, voice: str = VOICE, rate: int = SAMPLE_RATE
    ) -> Samples:
        """`text` spoken, float32 [N] at `rate` (Hz). Raises ClientError."""
        return await self._door().speech(text, model=model, voice=voice, rate=rate)

    async def transcribe(
        self,
        audio: str | os.PathLike[str] | Samples,
        *,
        model: str | None = None,
        rate: int = SAMPLE_RATE,
    ) -> str:
        """What a recording says: a file, or float samples [N] at `rate` (Hz).

        Raises AudioError for what is no recording, ClientError.
        """
        return await self._door().transcribe(audio, model=model, rate=rate)

    def _door(self, patience: float | None = None) -> Door:
        longer = max(self._patience, REST_PATIENCE)
        return Door(self._address, self._key, longer if patience is None else patience)
