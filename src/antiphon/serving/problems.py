"""What a request that cannot be carried out is answered with: OpenAI's error body, one sentence.

Bad input is never a 500, and a 500 never shows what is inside.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from antiphon.errors import AntiphonError
from antiphon.serving.admission import Refused
from antiphon.serving.auth import Denied

_log = logging.getLogger(__name__)


class Fault(BaseModel):
    """What was wrong."""

    message: str
    type: str
    param: str | None
    """The field at fault."""
    code: str | None


class Problem(BaseModel):
    """An error's answer, as OpenAI's clients read it."""

    error: Fault


ANSWERS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "The request cannot be carried out; this is why"},
    503: {"model": Problem, "description": "Not now; Retry-After says when to come back"},
}
"""What any route may answer beside what it is for, as OpenAPI tells it."""


class Unfit(Exception):
    """A request that cannot be carried out as it stands, and its field at fault."""

    def __init__(
        self,
        message: str,
        param: str | None = None,
        *,
        status: int = 400,
        code: str | None = "invalid_value",
    ) -> None:
        super().__init__(message)
        self.message, self.param, self.status, self.code = message, param, status, code


def problem(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """An error's answer."""
    kind = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}.get(
        status, "server_error" if status >= 500 else "invalid_request_error"
    )
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return JSONResponse(body, status, headers)


def install(app: FastAPI) -> None:
    """Answer the application's errors so."""

    @app.exception_handler(Refused)
    async def _refused(_: Request, error: Refused) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        return JSONResponse(error.body(), error.status, error.headers())

    @app.exception_handler(Denied)
    async def _denied(_: Request, error: Denied) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        return problem(error.status, error.message, code=error.code)

    @app.exception_handler(Unfit)
    async def _unfit(_: Request, error: Unfit) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        return problem(error.status, error.message, param=error.param, code=error.code)

    @app.exception_handler(AntiphonError)
    async def _ours(_: Request, error: AntiphonError) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        return problem(400, str(error), code="invalid_value")

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        return _first(error)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        message = str(error.detail)
        if error.status_code == 404:
            message = f"there is nothing at {request.url.path}"
        elif error.status_code == 405:
            message = f"{request.method} is not for {request.url.path}"
        return problem(error.status_code, message, headers=error.headers)

    @app.exception_handler(Exception)
    async def _unforeseen(request: Request, error: Exception) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        _log.error("%s %s fails", request.method, request.url.path, exc_info=error)
        return problem(500, "the server could not do that; its log says why")


def _first(error: RequestValidationError) -> JSONResponse:
    """The first thing that is wrong with a body, a form or a query."""
    problems = cast("list[dict[str, object]]", error.errors())
    first = problems[0] if problems else {}
    loc = cast("tuple[object, ...]", first.get("loc", ()))
    kind = str(first.get("type", ""))
    if kind == "json_invalid":
        return problem(400, "the body is not JSON", code="invalid_json")
    steps = loc[1:] if loc and loc[0] in ("body", "query", "path", "header") else loc
    param = ".".join(str(step) for step in steps) or None
    message = str(first.get("msg", "is not valid")).removeprefix("Value error, ")
    code = {"missing": "missing_required_parameter", "extra_forbidden": "unknown_parameter"}
    sentence = f"{param}: {message}" if param else f"the body: {message}"
    if kind == "missing":
        sentence = f"{param or 'the body'} is missing"
    elif kind == "extra_forbidden":
        sentence = f"{param} is not known here"
    return problem(400, sentence, param=param, code=code.get(kind, "invalid_value"))


class BodyLimit:
    """ASGI middleware: requests whose body is longer than `most` bytes get 413, unread."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self._most:
            await self._refuse(scope, receive, send)
            return
        come = 0
        begun = over = False

        async def counted() -> Message:
            nonlocal come, over
            message = await receive()
            come += len(message.get("body", b""))
            if come > self._most:
                over = True
                raise _TooLong
            return message

        async def watched(message: Message) -> None:
            nonlocal begun
            if over and not begun:
                return  # what the application makes of half a body is not told
            begun = True
            await send(message)

        with suppress(_TooLong):
            await self._app(scope, counted, watched)
        if over and not begun:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = problem(413, f"the body is longer than {self._most} bytes", code="too_large")
        await answer(scope, receive, send)


class _TooLong(Exception):
    pass
