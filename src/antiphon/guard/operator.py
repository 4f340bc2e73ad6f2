"""Handing a call over to a person: the message that goes with it, and who takes it."""

from __future__ import annotations

import json
import logging
import urllib.request
from concurrent.futures import Executor
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from antiphon.errors import AntiphonError

_log = logging.getLogger(__name__)
_SECONDS = 5.0


class Line(BaseModel):
    """A line of the transcript; personal data is taken out."""

    model_config = ConfigDict(frozen=True)

    speaker: str
    text: str


class Handover(BaseModel):
    """What a person who takes a call should know."""

    model_config = ConfigDict(frozen=True)

    call_id: str
    time: float
    """Seconds of the call."""
    reason: str
    transcript: tuple[Line, ...] = ()
    order: tuple[dict[str, Any], ...] = ()
    """What is on order."""
    tone: str | None = None
    """The caller's, last told."""
    waiting: str = ""
    """What the caller has said and nobody has answered."""


class Operators(Protocol):
    """Who takes calls: a SIP transfer, a desk's web hook, a log."""

    def take(self, message: Handover, /) -> None:
        """A call is theirs. Must return at once."""
        ...


class LogOperators:
    """Nobody: it is written to the log that a person was asked for."""

    def take(self, message: Handover, /) -> None:
        """Write it down."""
        _log.warning("call %s wants a person: %s", message.call_id, message.reason)


class WebhookOperators:
    """A POST of the message as JSON, by the executor's threads."""

    def __init__(self, url: str, executor: Executor) -> None:
        """Raises AntiphonError for a URL that is not HTTP."""
        if not url.startswith(("http://", "https://")):
            raise AntiphonError(f"the operators' URL {url!r} does not begin with http(s)://")
        self._url, self._executor = url, executor

    def take(self, message: Handover, /) -> None:
        """Send it; a failure is written to the log."""
        self._executor.submit(self._post, message)

    def _post(self, message: Handover) -> None:
        body = json.dumps(message.model_dump(mode="json")).encode()
        head = {"Content-Type": "application/json"}
        try:
            request = urllib.request.Request(self._url, data=body, headers=head, method="POST")
            urllib.request.urlopen(request, timeout=_SECONDS).close()
        except OSError:
            _log.exception("the operators could not be told of call %s", message.call_id)
