"""All that watches a server, put together: store, metrics, traces, logs, health.

with watching(WatchConfig(store=StoreConfig())) as watch:
    app = create_app(config, observers=watch.observers, routers=watch.routers)
    watch.attach(app)
    Server(app, config).run()
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel, ConfigDict

from antiphon.serving import health, logs
from antiphon.serving.call import Observer
from antiphon.serving.house import House, welcome
from antiphon.serving.logs import LogConfig
from antiphon.serving.metrics import Metrics
from antiphon.serving.store import Store, StoreConfig, api
from antiphon.serving.traces import TraceConfig, tracing

STUCK = 5.0  # seconds without a beat, with calls on the clock, after which it is taken for dead


class WatchConfig(BaseModel):
    """What is kept and told of calls. The default logs and counts, and keeps nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: StoreConfig | None = None
    log: LogConfig = LogConfig()
    trace: TraceConfig = TraceConfig()


@dataclass
class Watch:
    """What an application needs to be watched: pass the lists on, then `attach` it."""

    metrics: Metrics
    store: Store | None = None
    observers: list[Observer] = field(default_factory=list[Observer])
    routers: list[APIRouter] = field(default_factory=list[APIRouter])
    _app: FastAPI | None = None
    _beats: tuple[int, float] = (-1, 0.0)

    def attach(self, app: FastAPI) -> None:
        """Read this application's clock and reception when asked for figures or health."""
        self._app = app

    @property
    def house(self) -> House | None:
        """The parts of the running server; None before it has started."""
        return None if self._app is None else getattr(self._app.state, "house", None)

    def hung(self, reason: str) -> None:
        """An engine stands still: a line for the audit log. Called by the clock's watchdog."""
        if self.store is not None:
            self.store.note("engine.hung", detail={"reason": reason})

    def alive(self) -> Iterator[str]:
        """Why the process should be started again."""
        house = self.house
        if house is None:
            return
        now, beats = time.monotonic(), house.clock.beats
        if beats != self._beats[0] or not house.clock.active:
            self._beats = (beats, now)
            # Its calls were ended, so nothing waits for a beat any more.
            if house.clock.hung > STUCK:
                yield f"the engine has not answered for {house.clock.hung:.0f} s"
        elif now - self._beats[1] > STUCK:
            yield f"the clock has not moved for {now - self._beats[1]:.0f} s"

    def welcoming(self) -> Iterator[str]:
        """Why calls should go elsewhere."""
        house = self.house
        if house is None:
            yield "the server is starting"
        elif house.reception.draining:
            yield "the server is going down"
        elif house.clock.hung:
            yield f"the engine has not answered for {house.clock.hung:.1f} s"
        elif house.clock.active >= house.clock.slots:
            yield f"all {house.clock.slots} places are taken"


@contextmanager
def watching(config: WatchConfig) -> Generator[Watch]:
    """Everything that is configured, open while the context lasts. Raises StoreError."""
    handler = logs.configure(config.log)
    watch = Watch(Metrics())
    watch.metrics.watch(lambda: watch.house)
    watch.observers += [watch.metrics, logs.observer(config.log)]
    with ExitStack() as stack:
        stack.callback(logging.getLogger().removeHandler, handler)
        trace = stack.enter_context(tracing(config.trace))
        if trace is not None:
            watch.observers.append(trace)
        ready: dict[str, health.Check] = {"calls": watch.welcoming}
        if config.store is not None:
            store = watch.store = stack.enter_context(Store.open(config.store))
            # The store first: a turn is on its way to the disk before others are told of it.
            watch.observers.insert(0, stack.enter_context(store.serving()))
            watch.routers.append(api.make_router(store))
            watch.metrics.watch_store(store)
            ready["store"] = store.problems
        watch.routers.append(health.make_router(live={"clock": watch.alive}, ready=ready))
        watch.routers.append(watch.metrics.make_router(_allowed))
        yield watch


async def _allowed(request: Request) -> None:
    """Figures are for whoever may call."""
    welcome(request.app.state.house, request)
