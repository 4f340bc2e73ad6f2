"""The operator's switch over HTTP: who answers all calls, or one, and why.

    GET  /v1/antiphon/guard                 who answers, by service and by call
    POST /v1/antiphon/guard                 {"level": "cascade", "reason": "..."}; null lets go
    GET  /v1/antiphon/guard/calls/{id}      the same for a call that goes on
    POST /v1/antiphon/guard/calls/{id}

A key sees and switches its own calls; all calls, and those of other keys, want a key made with
`--operator`. Every switch is an entry in the audit log, with its reason and whose key it was.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Annotated
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from antiphon.errors import AntiphonError
from antiphon.guard.breaker import Operator
from antiphon.guard.config import Level
from antiphon.guard.stage import Guard, Service
from antiphon.serving.auth import Caller
from antiphon.serving.guarding import Note, bare
from antiphon.serving.house import House, welcome_key
from antiphon.serving.problems import Unfit

if TYPE_CHECKING:
    from antiphon.serving.call import LiveCall

_log = logging.getLogger(__name__)

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


class Wanted(BaseModel):
    """What an operator wants."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Level | None
    """Held there whatever happens, but for a hand-over; None lets go."""
    reason: Reason


class Standing(BaseModel):
    """Who answers, and why."""

    model_config = ConfigDict(frozen=True)

    level: Level
    held: bool
    """Whether an operator holds it there."""
    reason: str = Field(description="Without the words that were said; empty at the start.")


class ServiceStanding(Standing):
    """Of all calls of one bundle."""

    bundle: str


class CallStanding(Standing):
    """Of one call: its own level or its service's, whichever trusts the network less."""

    id: str


class State(BaseModel):
    """All that is guarded."""

    model_config = ConfigDict(frozen=True)

    object: str = "guard"
    may_switch: bool
    """Whether the asking key may switch all calls."""
    services: list[ServiceStanding]
    calls: list[CallStanding]


class Switchboard:
    """The guards' services of one server, and the operator's hand on them.

    note: writes into the audit log (`Store.note`). Switches are made on the event loop, services
    may be added from any thread; they are forgotten when nobody else holds them.
    """

    def __init__(self, note: Note | None = None) -> None:
        self._note = note
        self._services: WeakKeyDictionary[Service, str] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._held: Operator | None = None

    def add(self, service: Service, bundle: str) -> None:
        """A service of a bundle's calls; it is held where the others are."""
        with self._lock:
            self._services[service] = bundle
            held = self._held
        if held is not None:
            service.take(held, service.clock)

    @property
    def services(self) -> list[tuple[str, Service]]:
        """(bundle, its service)."""
        with self._lock:
            known = [(bundle, service) for service, bundle in self._services.items()]
        return sorted(known, key=lambda each: each[0])

    def guard(self, call_id: str) -> Guard | None:
        """The guard of a call that goes on."""
        found = (service.guards.get(call_id) for _, service in self.services)
        return next((guard for guard in found if guard is not None), None)

    def switch_all(self, wanted: Wanted, who: str) -> None:
        """All calls, those to come included."""
        signal = Operator(wanted.level, who, wanted.reason)
        with self._lock:
            self._held = signal if wanted.level is not None else None
        for _, service in self.services:
            service.take(signal, service.clock)

    async def note(self, wanted: Wanted, who: str, call_id: str = "") -> None:
        """Into the audit log; what it does not take is logged, and the switch stands."""
        if self._note is None:
            return
        detail = {"level": wanted.level, "reason": self._clean(wanted.reason)}
        try:
            await asyncio.to_thread(self._note, "guard.switch", call_id, actor=who, detail=detail)
        except AntiphonError:
            _log.exception("the audit log did not take an operator's switch")

    def _clean(self, text: str) -> str:
        for _, service in self.services:
            return service.rules.redactor.text(text)
        return text


def make_router(board: Switchboard) -> APIRouter:
    """The routes over one server's services."""
    router = APIRouter(prefix="/v1/antiphon/guard", tags=["guard"])

    @router.get("", name="guard")
    async def state(who: Who, request: Request) -> State:
        """Who answers: all calls, and each that the key may see."""
        return _state(board, who, request)

    @router.post("")
    async def switch(who: Who, request: Request, wanted: Wanted) -> State:
        """Hold all calls at a level, or let them go."""
        if not who.operator:
            raise Unfit(
                "this key switches its own calls alone; a key for all calls is made with: "
                "antiphon serve keys add NAME --operator",
                status=403,
                code="forbidden",
            )
        board.switch_all(wanted, _name(who))
        await board.note(wanted, _name(who))
        return _state(board, who, request)

    @router.get("/calls/{call_id}")
    async def call(call_id: str, who: Who, request: Request) -> CallStanding:
        """Who answers one call."""
        return _call(_guard(board, call_id, who, request))

    @router.post("/calls/{call_id}")
    async def switch_call(call_id: str, who: Who, request: Request, wanted: Wanted) -> CallStanding:
        """Hold one call at a level, or let it go."""
        guard = _guard(board, call_id, who, request)
        try:
            guard.switch(wanted.level, _name(who), wanted.reason)
        except AntiphonError as error:
            raise Unfit(str(error), "level", status=409) from None
        await board.note(wanted, _name(who), call_id)
        return _call(guard)

    _ = state, switch, call, switch_call
    return router


async def _visitor(request: Request) -> Caller:
    return welcome_key(request, "switches none")


Who = Annotated[Caller, Depends(_visitor)]


def _name(who: Caller) -> str:
    return who.key or "operator"


def _sees(who: Caller, call: LiveCall) -> bool:
    return who.operator or call.info.key == who.key


def _guard(board: Switchboard, call_id: str, who: Caller, request: Request) -> Guard:
    house: House = request.app.state.house
    call = house.reception.calls.get(call_id)
    guard = board.guard(call_id)
    if call is None or guard is None or not _sees(who, call):
        raise Unfit(
            f"there is no guarded call {call_id[:60]} that goes on",
            "call_id",
            status=404,
            code="not_found",
        )
    return guard


def _state(board: Switchboard, who: Caller, request: Request) -> State:
    house: House = request.app.state.house
    seen = [call.id for call in house.reception.calls.values() if _sees(who, call)]
    guards = [guard for guard in map(board.guard, seen) if guard is not None]
    return State(
        may_switch=who.operator,
        services=[
            ServiceStanding(
                bundle=bundle,
                level=service.breaker.level,
                held=service.breaker.state.pinned,
                reason=bare(service.reason),
            )
            for bundle, service in board.services
        ],
        calls=[_call(guard) for guard in guards],
    )


def _call(guard: Guard) -> CallStanding:
    return CallStanding(
        id=guard.call_id,
        level=guard.level,
        held=guard.breaker.state.pinned,
        reason=bare(guard.reason),
    )
