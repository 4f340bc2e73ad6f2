"""Whether the server lives (`/healthz`) and whether it may be sent calls (`/readyz`).

A server that is alive and not ready is left alone by its supervisor and by new callers. Each
check is a function that gives what is in the way, one sentence each, and nothing when all is well.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel

Check = Callable[[], Iterable[str]]
_LOG = logging.getLogger(__name__)


class Health(BaseModel):
    """How it is, and what is in the way, by check."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, list[str]]


_ANSWERS: dict[int | str, dict[str, Any]] = {
    503: {"model": Health, "description": "Something is in the way"}
}


def make_router(
    *, live: Mapping[str, Check] | None = None, ready: Mapping[str, Check] | None = None
) -> APIRouter:
    """The two routes. What is not alive is not ready either.

    >>> router = make_router(ready={"store": lambda: []})
    """
    router = APIRouter(tags=["health"])
    living, readying = dict(live or {}), dict(live or {}) | dict(ready or {})

    @router.get("/healthz", response_model=Health, responses=_ANSWERS)
    async def healthz() -> JSONResponse:
        """200 while the process can do its work at all; 503 means: restart it."""
        return _answer(living)

    @router.get("/readyz", response_model=Health, responses=_ANSWERS)
    async def readyz() -> JSONResponse:
        """200 while calls are welcome; 503 means: send them elsewhere."""
        return _answer(readying)

    _ = healthz, readyz
    return router


def _answer(checks: Mapping[str, Check]) -> JSONResponse:
    found: dict[str, list[str]] = {}
    for name, check in checks.items():
        try:
            found[name] = list(check())
        except Exception:
            _LOG.exception("the check %s fails", name)
            found[name] = ["the check itself fails; the log says why"]
    well = not any(found.values())
    body = {"status": "ok" if well else "unavailable", "checks": found}
    return JSONResponse(body, 200 if well else 503, headers={"Cache-Control": "no-store"})
