"""What can go wrong between a client and a server, each in one sentence that says what to do."""

from __future__ import annotations

import json
import math
import os
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

from antiphon.errors import AntiphonError

_LONGEST = 200  # letters of a server's own words that are repeated


class ClientError(AntiphonError):
    """A call or a request over the network failed."""


class Unreachable(ClientError):
    """Nobody answers at the address, not in time, or not in this protocol."""


class Refused(ClientError):
    """The server is there and does not take the call."""

    def __init__(
        self, sentence: str, *, status: int | None = None, retry_after: float | None = None
    ) -> None:
        """status: that of HTTP, if it came so; retry_after: seconds that the server named."""
        super().__init__(sentence)
        self.status, self.retry_after = status, retry_after


class WrongKey(Refused):
    """The server asks for a key, or does not know this one."""


class ProtocolError(ClientError):
    """The server said what the protocol does not have."""


class CallEnded(ClientError):
    """The server ended the call, or the connection broke."""

    def __init__(self, sentence: str, *, code: int | None = None, reason: str = "") -> None:
        """code: the WebSocket's close code; None where the connection broke without one."""
        super().__init__(sentence)
        self.code, self.reason = code, reason


def refusal(
    name: str, status: int, headers: Mapping[str, str], body: bytes, *, key: str | None
) -> ClientError:
    """The error for an answer that is not what was asked for. `key` is kept out of its words."""
    said = without(key, _said(body))
    about = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    retry = _seconds(headers.get("Retry-After"))
    if status == 401:
        fault = "does not take this key" if key else "asks for a key and was given none"
        return WrongKey(f"{name} {fault} ({about})", status=status)
    if status in (429, 503):
        when = "later" if retry is None else f"in {retry:g} s"
        sentence = f"{name} takes no more calls now ({about}); try again {when}"
        return Refused(sentence, status=status, retry_after=retry)
    if status == 404:
        return Refused(f"{name} has nothing there ({about}); is the address right?", status=status)
    return Refused(f"{name} refuses ({about})", status=status, retry_after=retry)


def why(error: BaseException) -> str:
    """Why a connection failed: the system's own words, where they lie behind a library's."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ConnectionError) and seen.errno:
            return os.strerror(seen.errno)  # asyncio repeats the address in its own
        if isinstance(seen, OSError) and seen.strerror and not isinstance(seen, ssl.SSLError):
            return seen.strerror
        seen = seen.__cause__ or seen.__context__
    return str(error) or type(error).__name__


def without(key: str | None, sentence: str) -> str:
    """The sentence without the key: servers quote keys that they refuse."""
    return sentence.replace(key, "...") if key else sentence


def _said(body: bytes) -> str:
    """The server's own sentence, where it sent one as OpenAI's API does."""
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    error = cast("dict[str, Any]", value).get("error") if isinstance(value, dict) else None
    message = cast("dict[str, Any]", error).get("message") if isinstance(error, dict) else None
    return " ".join(message.split())[:_LONGEST] if isinstance(message, str) else ""


def _seconds(text: str | None) -> float | None:
    """A Retry-After header, which is a number of seconds or a date (RFC 9110, 10.2.3)."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            until = parsedate_to_datetime(text)
        except ValueError:
            return None
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        seconds = (until - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
