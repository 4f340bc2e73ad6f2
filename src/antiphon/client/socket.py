"""A WebSocket with a deadline on everything, whose failures are sentences (websockets)."""

from __future__ import annotations

import asyncio
import logging
import ssl
from contextlib import suppress

from websockets import exceptions
from websockets.asyncio.client import ClientConnection, connect

from antiphon.client.errors import (
    CallEnded,
    ClientError,
    ProtocolError,
    Refused,
    Unreachable,
    refusal,
    why,
    without,
)

_CLOSING = 2.0  # s for the other side to take its leave
_LARGEST = 2**24  # bytes of a message: some servers send a whole reply as one
_QUEUE = 64  # frames that wait before the network is told to
_NORMAL, _VIOLATED, _BROKEN, _TRY_LATER, _POLICY = 1000, 1002, 1006, 1013, 1008


class _Direct(connect):
    """A connection to where it was asked for: a key is shown to nobody else."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Socket:
    """An open WebSocket. `name` is the server's in sentences; `key` is kept out of them."""

    def __init__(
        self, connection: ClientConnection, name: str, key: str | None, patience: float
    ) -> None:
        self.name = name
        self._connection, self._key, self._patience = connection, key, patience
        self._closing = False

    @classmethod
    async def open(cls, url: str, name: str, *, key: str | None, patience: float) -> Socket:
        """Connect within `patience` seconds. Raises ClientError: Unreachable, Refused, WrongKey."""
        # At its debug level the library writes every header, and so the key.
        mute = logging.Logger("antiphon.mute", logging.CRITICAL + 1)
        try:
            connection = await _Direct(
                url,
                additional_headers={"Authorization": f"Bearer {key}"} if key else None,
                compression=None,
                open_timeout=patience,
                close_timeout=_CLOSING,
                max_size=_LARGEST,
                max_queue=_QUEUE,
                logger=mute,
            )
        except exceptions.InvalidStatus as error:
            response = error.response
            raise refusal(
                name, response.status_code, response.headers, bytes(response.body or b""), key=key
            ) from None
        except TimeoutError:
            raise Unreachable(f"{name} did not answer within {patience:g} s") from None
        except ssl.SSLError as error:
            raise Unreachable(f"{name}: no secure connection ({why(error)})") from None
        except (exceptions.WebSocketException, EOFError) as error:
            raise Unreachable(
                f"{name} does not speak WebSocket ({why(error)}); is the address right?"
            ) from None
        except (OSError, ValueError) as error:
            raise Unreachable(
                f"nobody answers at {name} ({why(error)}); is the server running?"
            ) from None
        return cls(connection, name, key, patience)

    async def send(self, text: str) -> None:
        """Send a message. Raises ClientError where it is not taken."""
        try:
            async with asyncio.timeout(self._patience):
                await self._connection.send(text)
        except TimeoutError:
            raise CallEnded(
                f"{self.name} has taken nothing for {self._patience:g} s; the call is lost"
            ) from None
        except exceptions.ConnectionClosed as error:
            raise self._ended(error) or CallEnded(f"the call with {self.name} is over") from None

    async def recv(self) -> str | bytes | None:
        """The next message; None after a regular end. Raises ClientError for any other."""
        try:
            return await self._connection.recv()
        except exceptions.ConnectionClosed as error:
            end = self._ended(error)
            if end is None:
                return None
            raise end from None

    async def close(self, *, violated: bool = False) -> None:
        """Take leave; `violated`: because the other side broke the protocol."""
        self._closing = True
        with suppress(OSError, exceptions.WebSocketException):
            await self._connection.close(_VIOLATED if violated else _NORMAL)

    def abort(self) -> None:
        """Leave without a word: for a task that is being cancelled."""
        self._closing = True
        self._connection.transport.abort()

    def _ended(self, error: exceptions.ConnectionClosed) -> ClientError | None:
        """Why the connection is over; None where that is as it should be."""
        if self._closing:
            return None
        frame = error.rcvd
        if frame is None:
            if error.sent is not None and error.sent.code not in (_NORMAL, _BROKEN):
                # The library closed it: what came is no WebSocket message, or no pong came.
                if error.sent.code == 1011:
                    return CallEnded(f"{self.name} gave no sign of life; the call is lost")
                return ProtocolError(f"{self.name} broke the protocol ({error.sent.reason})")
            return CallEnded(f"the connection to {self.name} broke; the call is lost")
        if frame.code == _NORMAL:
            return None
        reason = without(self._key, frame.reason)
        if frame.code == _TRY_LATER:
            return Refused(
                f"{self.name} takes no more calls now ({reason or 'close 1013'}); try again later"
            )
        why = f"{frame.code}: {reason}" if reason else f"close {frame.code}"
        return CallEnded(f"{self.name} ended the call ({why})", code=frame.code, reason=reason)
