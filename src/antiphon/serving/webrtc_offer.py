"""What a browser posts to begin a call by WebRTC: an offer, alone, in a form or in JSON.

Out: the offer's SDP as text and the session as a JSON object, neither of them read further. What
cannot be taken apart raises `Unfit`, which names the field.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Literal, cast

from fastapi import Request
from pydantic import BaseModel
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

from antiphon.serving.live.events import Message
from antiphon.serving.problems import Unfit

LONGEST_OFFER = 256 << 10  # bytes


def _object_of(required: list[str], **fields: Message) -> Message:
    return {"type": "object", "required": required, "properties": fields}


def _body_of(**schemas: Message) -> Message:
    content = {kind: {"schema": schema} for kind, schema in schemas.items()}
    return {"requestBody": {"required": True, "content": content}}


# The bodies are taken apart by hand, so OpenAPI is told of them by hand.
_TEXT: Message = {"type": "string"}
_FORM = _object_of(["sdp"], sdp=_TEXT, session=_TEXT)
_OFFER = _object_of(["type", "sdp"], type={"const": "webrtc"}, sdp=_TEXT)
_LIVE = _object_of(["transport"], transport=_OFFER, session={"type": "object"})
REALTIME_BODY = _body_of(**{"application/sdp": _TEXT, "multipart/form-data": _FORM})
LIVE_BODY = _body_of(**{"application/json": _LIVE, "multipart/form-data": _FORM})


class LiveCallId(BaseModel):
    """The call that has begun."""

    id: str


class LiveTransport(BaseModel):
    """The answer to the offer."""

    type: Literal["webrtc"]
    sdp: str


class LiveAnswer(BaseModel):
    """What an offer for Live is answered with."""

    session: LiveCallId
    transport: LiveTransport


async def realtime_offer(request: Request) -> tuple[str, Message]:
    """(SDP, session). Raises Unfit."""
    body, kind = await _body(request), _kind(request)
    if kind == "application/sdp":
        return _text(body), {}
    if kind != "multipart/form-data":
        raise Unfit("post application/sdp, or multipart/form-data with sdp and session", status=415)
    form = await _form(request.headers, body)
    sdp = await _field(form, "sdp")
    if sdp is None:
        raise Unfit("the form has no field sdp", "sdp")
    session = await _field(form, "session")
    return sdp, _object(session, "session") if session else {}


async def live_offer(request: Request) -> tuple[str, Message]:
    """(SDP, session). Raises Unfit."""
    body, kind = await _body(request), _kind(request)
    if kind == "multipart/form-data":
        form = await _form(request.headers, body)
        sdp, session = await _field(form, "sdp"), await _field(form, "session")
        if sdp is None:
            raise Unfit("the form has no field sdp", "sdp")
        return sdp, _object(session, "session") if session else {}
    if kind != "application/json":
        raise Unfit("post application/json with session and transport", status=415)
    whole = _object(_text(body), "body")
    transport, session = whole.get("transport"), whole.get("session", {})
    transport = cast("Message", transport) if isinstance(transport, dict) else {}
    if transport.get("type") != "webrtc" or not isinstance(transport.get("sdp"), str):
        raise Unfit('transport is {"type": "webrtc", "sdp": the offer}', "transport")
    if not isinstance(session, dict):
        raise Unfit("session is an object", "session")
    return transport["sdp"], cast("Message", session)


async def _body(request: Request) -> bytes:
    whole = bytearray()
    async for chunk in request.stream():
        whole += chunk
        if len(whole) > LONGEST_OFFER:
            raise Unfit(f"an offer is at most {LONGEST_OFFER >> 10} KiB", status=413)
    return bytes(whole)


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Unfit("the body is not UTF-8 text") from None


async def _form(headers: Mapping[str, str], body: bytes) -> FormData:
    async def once() -> AsyncGenerator[bytes]:
        yield body

    try:
        return await MultiPartParser(cast("Any", headers), once(), max_fields=8).parse()
    except (MultiPartException, KeyError, ValueError):
        raise Unfit("the form cannot be read; is its boundary right?") from None


async def _field(form: FormData, name: str) -> str | None:
    value = form.get(name)
    if value is None or isinstance(value, str):
        return value
    return _text(await value.read())


def _object(text: str, where: str) -> Message:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Unfit(f"{where} is no JSON object", where)
    return cast("Message", value)
