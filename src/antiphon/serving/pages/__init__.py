"""The pages: `/` to talk to the agent, `/calls` to hear what was said. Static, no framework.

Out: HTML, scripts and styles from this package, and `pages/agent.json`, which tells the page whom
it talks to. The pages speak the Live protocol and the store's REST interface like any other client.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import resources
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.routing import NoMatchFound

from antiphon.serving.admission import Refused
from antiphon.serving.config import ServerConfig
from antiphon.serving.house import House, welcome
from antiphon.serving.live.order import OrderBook

_KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
EXAMPLES = 3  # things to say that the page shows


def make_router(ice_servers: tuple[dict[str, Any], ...] = ()) -> APIRouter:
    """The pages' routes. `ice_servers` are what a browser's RTCPeerConnection takes."""
    router = APIRouter(include_in_schema=False)
    examples: dict[str, list[str]] = {}  # by bundle

    @router.get("/")
    def talk(request: Request) -> Response:
        return _file(request, "talk.html")

    @router.get("/calls")
    def calls(request: Request) -> Response:
        return _file(request, "calls.html")

    @router.get("/pages/agent.json")
    def agent(request: Request) -> Response:
        house: House = request.app.state.house
        if house.model not in examples:
            examples[house.model] = _examples(house)
        about = {
            "name": house.model,
            "description": house.instructions.strip(),
            "examples": examples[house.model],
            "key_needed": house.gatekeeper.asks,
            "guarded": _guarded(request.app),
            "ice_servers": ice_servers,
            "full": house.clock.active >= house.clock.slots or house.reception.draining,
            "retry_seconds": house.config.retry_seconds,
        }
        return JSONResponse(about, headers={"Cache-Control": "no-store"})

    @router.get("/pages/check")
    def check(request: Request) -> Response:
        """204 for a caller who would be let in."""
        try:
            welcome(request.app.state.house, request)
        except Refused as refused:
            return JSONResponse(refused.body(), refused.status, refused.headers())
        return Response(status_code=204)

    @router.get("/pages/{name}")
    def part(request: Request, name: str) -> Response:
        return _file(request, name)

    return router


def _guarded(app: FastAPI) -> bool:
    """Whether there is an operator's switch (`serving.switch`)."""
    try:
        app.url_path_for("guard")
    except NoMatchFound:
        return False
    return True


def _examples(house: House) -> list[str]:
    """Short things to say."""
    drawn = OrderBook(house.agent.scenario).examples(8 * EXAMPLES)
    return sorted(drawn, key=len)[:EXAMPLES]


@lru_cache(maxsize=64)
def _read(name: str) -> tuple[bytes, str] | None:
    """(content, its tag) of a file of this package."""
    folder = resources.files("antiphon.serving.pages") / "static"
    known = {file.name: file for file in folder.iterdir() if file.is_file()}
    if name not in known or name.rpartition(".")[2] not in _KINDS:
        return None
    content = known[name].read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:20]}"'


def _file(request: Request, name: str) -> Response:
    found = _read(name)
    if found is None:
        return Response("there is no such page\n", 404, media_type="text/plain")
    content, tag = found
    # Every visit asks whether there is a newer one: an update of the server is never half seen.
    headers = {**security(request.app.state.house.config), "ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=_KINDS[name.rpartition(".")[2]])


def security(config: ServerConfig) -> dict[str, str]:
    """What a browser may do with a page: nothing but what is the server's own."""
    framers = "*" if "*" in config.origins else " ".join(("'self'", *config.origins))
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "media-src": "'self' blob:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": framers,
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {what}" for name, what in policy.items()),
        "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
