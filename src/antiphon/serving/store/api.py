"""The store over HTTP, under /v1/antiphon/calls: list, read, hear, erase.

    GET    /v1/antiphon/calls?q=&since=&until=&bundle=&key=&limit=&cursor=
    GET    /v1/antiphon/calls/{id}          call, turns, tool_calls, events, pauses, latencies
    GET    /v1/antiphon/calls/{id}/turns/{n}    one turn, explained
    GET    /v1/antiphon/calls/{id}/audio    FLAC, caller left, agent right; ranges
    DELETE /v1/antiphon/calls/{id}          everything; /{id}/audio: the recording alone
    POST   /v1/antiphon/calls/erasures      {"caller": "..."}: every call of one caller

Whoever shows a key reads and erases the calls of that key; where no key is asked for, all. A
caller's name or number stands in a body and never in a URL, for URLs are written into logs.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from antiphon.serving.auth import Caller
from antiphon.serving.explain import TurnAccount, explained
from antiphon.serving.house import welcome_key
from antiphon.serving.problems import Unfit
from antiphon.serving.store import ranges
from antiphon.serving.store.errors import BadFilter, CallInProgress, NoSuchCall, StoreError
from antiphon.serving.store.reading import MOST, CallRecord, CallSummary, Filter
from antiphon.serving.store.store import Store

Text = Annotated[str | None, Query(max_length=200)]
Moment = Annotated[datetime | None, Query(description="ISO 8601; UTC where it names no zone.")]


_FLAC = {"content": {"audio/flac": {"schema": {"type": "string", "format": "binary"}}}}
_SOUND: dict[int | str, dict[str, Any]] = {
    200: _FLAC,
    206: {**_FLAC, "description": "The part that was asked for"},
    304: {"description": "It is as it was"},
    416: {"description": "There is no such part"},
}


class Calls(BaseModel):
    """A page of calls, the newest first."""

    object: str = "list"
    data: list[CallSummary]
    has_more: bool
    next_cursor: str | None
    """The `cursor` of the next page."""


class Erasure(BaseModel):
    """Whose calls are to be erased."""

    model_config = ConfigDict(extra="forbid")

    caller: str = Field(min_length=1, max_length=200)


class Erased(BaseModel):
    """What is no more."""

    object: str = "call.erased"
    ids: list[str]


async def _visitor(request: Request) -> Caller:
    return welcome_key(request, "reads none")


Who = Annotated[Caller, Depends(_visitor)]


def make_router(store: Store) -> APIRouter:
    """The routes over one store; they answer from threads, not on the event loop."""
    router = APIRouter(prefix="/v1/antiphon/calls", tags=["calls"])

    def own(call_id: str, who: Caller) -> CallRecord:
        try:
            record = store.call(call_id)
        except NoSuchCall:
            raise _missing(call_id) from None
        except StoreError as error:
            raise _away(error) from None
        if who.key and record.call.key != who.key:
            raise _missing(call_id)
        return record

    @router.get("")
    def calls(
        who: Who,
        q: Text = None,
        since: Moment = None,
        until: Moment = None,
        bundle: Text = None,
        key: Text = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
        cursor: Annotated[str | None, Query(max_length=400)] = None,
    ) -> Calls:
        """Calls by what was said in them, when, by which agent and with which key."""
        if who.key and key not in (None, who.key):
            return Calls(data=[], has_more=False, next_cursor=None)
        chosen = Filter(
            q=q,
            since=since,
            until=until,
            bundle=bundle,
            key=who.key or key,
            limit=limit,
            cursor=cursor,
        )
        try:
            page = store.calls(chosen)
        except BadFilter as error:
            raise Unfit(str(error), error.field) from None
        except StoreError as error:
            raise _away(error) from None
        more = page.next_cursor is not None
        return Calls(data=page.calls, has_more=more, next_cursor=page.next_cursor)

    @router.get("/{call_id}")
    def call(call_id: str, who: Who) -> CallRecord:
        """Everything of a call but its sound."""
        return own(call_id, who)

    @router.get("/{call_id}/turns/{number}")
    def turn(call_id: str, number: int, who: Who) -> TurnAccount:
        """What was heard, meant, checked and done in one turn, and when."""
        record = own(call_id, who)
        try:
            account = explained(record, number, store.recording(call_id))
        except StoreError as error:
            raise _away(error) from None
        if account is None:
            raise Unfit(
                f"the call {call_id} has no turn {number}; its turns are 0 to "
                f"{len(record.turns) - 1}"
                if record.turns
                else f"nothing was said in the call {call_id}",
                "number",
                status=404,
                code="not_found",
            )
        return account

    @router.get("/{call_id}/audio", response_class=Response, responses=_SOUND)
    @router.head("/{call_id}/audio", response_class=Response, responses=_SOUND)
    def audio(call_id: str, who: Who, request: Request) -> Response:
        """The recording as FLAC; of a call that goes on, all but the last second."""
        own(call_id, who)
        try:
            path = store.recording(call_id)
            if path is None:
                raise FileNotFoundError
            answer = ranges.send(request, path, "audio/flac", name=f"{path.stem}.flac")
        except (FileNotFoundError, NoSuchCall):
            raise Unfit(
                f"the call {call_id} has no recording", status=404, code="not_found"
            ) from None
        except StoreError as error:
            raise _away(error) from None
        if request.method == "GET" and not request.headers.get("range"):
            _noted(store, "call.heard", call_id, who)
        return answer

    @router.delete("/{call_id}")
    def erase(call_id: str, who: Who) -> Erased:
        """Erase a call with all that is kept of it, even while it goes on."""
        own(call_id, who)
        try:
            return Erased(ids=store.erase([call_id], actor=_name(who)))
        except StoreError as error:
            raise _away(error) from None

    @router.delete("/{call_id}/audio")
    def erase_audio(call_id: str, who: Who) -> Erased:
        """Erase the recording of a call; the words stay."""
        own(call_id, who)
        try:
            store.erase_recording(call_id, actor=_name(who))
        except CallInProgress as error:
            raise Unfit(str(error), status=409, code="call_in_progress") from None
        except NoSuchCall:
            raise _missing(call_id) from None
        except StoreError as error:
            raise _away(error) from None
        return Erased(object="recording.erased", ids=[call_id])

    @router.post("/erasures")
    def erase_caller(body: Erasure, who: Who) -> Erased:
        """Erase every call of one caller."""
        try:
            gone = store.erase_caller(body.caller, key=who.key or None, actor=_name(who))
        except StoreError as error:
            raise _away(error) from None
        return Erased(ids=gone)

    _ = calls, call, turn, audio, erase, erase_audio, erase_caller
    return router


def _name(who: Caller) -> str:
    return who.key or "operator"


def _noted(store: Store, action: str, call_id: str, who: Caller) -> None:
    try:
        store.note(action, call_id, actor=_name(who))
    except StoreError as error:
        raise _away(error) from None


def _missing(call_id: str) -> Unfit:
    return Unfit(f"there is no call {call_id[:128]!r}", "id", status=404, code="not_found")


def _away(error: StoreError) -> Unfit:
    return Unfit(str(error), status=503, code="store_unavailable")
