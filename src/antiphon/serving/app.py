"""The server as an ASGI application: `create_app(config)`.

    uvicorn --factory ...          or          antiphon serve

It owns what lives as long as the server: the agent, the clock and the reception. What watches it
(store, metrics, traces, logs: `watch.watching`) and what guards it come in as observers, stages and
routers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware

from antiphon.errors import AntiphonError
from antiphon.runtime.agent import Agent
from antiphon.runtime.clock import GROUP, Clock
from antiphon.runtime.places import Places
from antiphon.serving import problems, rest
from antiphon.serving.admission import Capacity, Reception, measure
from antiphon.serving.auth import Gatekeeper, KeyFile
from antiphon.serving.call import MakeStage, Observer
from antiphon.serving.config import ServerConfig
from antiphon.serving.house import House
from antiphon.serving.realtime import socket as realtime_socket

if TYPE_CHECKING:
    from antiphon.serving.deploy.fleet import Deploying
    from antiphon.serving.notes import Notes

_log = logging.getLogger(__name__)


def create_app(
    config: ServerConfig,
    *,
    agent: Agent | None = None,
    capacity: Capacity | None = None,
    observers: Sequence[Observer] = (),
    stages: Sequence[MakeStage] = (),
    routers: Sequence[APIRouter] = (),
    found: Callable[[Capacity], None] | None = None,
    deploying: Deploying | None = None,
    on_hung: Callable[[str], None] | None = None,
    places: Places | None = None,
) -> FastAPI:
    """The application. `agent` and `capacity` spare loading and measuring them again; `found` is
    told the capacity. `deploying` serves several versions by the plan in a store's folder.
    `on_hung` is told, from a thread, why an engine is taken to hang. `places` hold the calls
    elsewhere (`serving.cluster`) in place of a clock here.

    Its parts are in `app.state.house` while it runs. Raises AntiphonError when the configuration
    would open the server to strangers, or names something that is not there.
    """
    if config.key_file is None and not config.loopback:
        raise AntiphonError(
            f"{config.host} can be reached by others: give --key-file (keys are made with: "
            "antiphon serve keys add NAME), or listen on 127.0.0.1"
        )
    if places is not None:
        capacity = capacity or Capacity(slots=0, threads=0, group=config.group or GROUP)
    keys = KeyFile(config.key_file) if config.key_file is not None else None
    gatekeeper = Gatekeeper(keys, origins=config.origins)
    agent = agent or Agent.load(config.bundle)
    _ = agent.scenario  # it is read late, and takes longer than a beat
    capacity = capacity or measure(agent, config)
    if found is not None and places is None:
        found(capacity)

    parts = agent, capacity
    guards = tuple(stages)
    kept = _kept(observers)
    if kept is not None:
        observers = [*observers, kept[1]]
        stages = [_noting(kept[1], agent), *stages]

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        agent, capacity = parts
        clock = places or Clock(
            agent,
            capacity.slots,
            group=capacity.group,
            threads=capacity.threads,
            first=config.first,
            prebuffer=config.prebuffer,
            backlog=config.backlog,
            on_hung=on_hung,
        )
        reception = Reception(clock, config, observers=observers, stages=stages)
        async with AsyncExitStack() as stack:
            bench = await stack.enter_async_context(rest.bench(config))
            app.state.house = House(config, agent, clock, reception, gatekeeper, capacity, bench)
            clock.start()
            if deploying is not None:
                from antiphon.serving.deploy.fleet import Fleet

                recorders, notes = ([kept[0]], kept[1]) if kept is not None else ([], None)
                fleet = Fleet(
                    deploying,
                    config,
                    agent,
                    clock,
                    capacity,
                    stages=guards,
                    recorders=recorders,
                    notes=notes,
                )
                reception.observers = [*reception.observers, fleet]
                reception.route = fleet.route
                await stack.enter_async_context(fleet.running())
            try:
                yield
            finally:
                await reception.drain(0.0)
                await asyncio.to_thread(clock.stop)

    app = FastAPI(
        title="antiphon",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses=problems.ANSWERS,
    )
    problems.install(app)
    app.add_middleware(problems.BodyLimit, most=config.upload_bytes + (64 << 10))
    if config.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(config.origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "OpenAI-Beta"],
            expose_headers=["Location", "Retry-After"],
        )
    for router in (realtime_socket.router, rest.router, *_others(config), *routers):
        app.include_router(router)
    return app


def _kept(observers: Sequence[Observer]) -> tuple[Observer, Notes] | None:
    """The store's observer, where there is one, and notes that go to it."""
    from antiphon.serving.notes import Notes
    from antiphon.serving.store.observer import StoreObserver

    keeper = next((each for each in observers if isinstance(each, StoreObserver)), None)
    return None if keeper is None else (keeper, Notes(keeper))


def _noting(notes: Notes, agent: Agent) -> MakeStage:
    from antiphon.serving.replay import bundle_fingerprint

    manifest = agent.bundle.manifest
    return notes.stage(manifest.name, bundle_fingerprint(manifest))


def _others(config: ServerConfig) -> list[APIRouter]:
    """Protocols and pages that can be left out, with what they import."""
    found: list[APIRouter] = []
    if config.live:
        from antiphon.serving.live import socket as live_socket

        found.append(live_socket.router)
    if config.webrtc:
        from antiphon.serving import webrtc

        servers = tuple(webrtc.IceServer.model_validate(each) for each in config.ice_servers)
        found.append(webrtc.make_router(servers))
    if config.pages:
        from antiphon.serving import pages

        found.append(pages.make_router(config.ice_servers))
    return found
