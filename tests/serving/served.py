"""A whole server, as `antiphon serve` runs it, in a thread of the test's process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from antiphon.runtime.agent import Agent
from antiphon.serving.admission import Capacity
from antiphon.serving.app import create_app
from antiphon.serving.config import ServerConfig
from antiphon.serving.house import House
from antiphon.serving.server import Server

_AGENTS: dict[str, Agent] = {}


def agent_of(bundle: str | Path) -> Agent:
    """An agent, loaded once a process: sessions of one agent share nothing but its weights."""
    return _AGENTS.setdefault(str(bundle), Agent.load(bundle))


class Served:
    """A running server: where it is, and what is in it."""

    def __init__(self, server: Server, app: FastAPI) -> None:
        self.server, self.app = server, app

    @property
    def house(self) -> House:
        return self.app.state.house

    @property
    def http(self) -> str:
        return self.server.address

    @property
    def ws(self) -> str:
        return self.server.address.replace("http", "ws", 1)

    def wait(self, true: Callable[[], Any], seconds: float = 10.0) -> None:
        """Until it is so."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, "it did not come about"
            time.sleep(0.01)

    def wait_empty(self) -> None:
        """Until no call is open and every place is free."""
        self.wait(lambda: not self.house.reception.calls and self.house.clock.active == 0)


@contextmanager
def served(
    bundle: str | Path, *, slots: int = 2, group: int = 2, threads: int = 1, **settings: Any
) -> Generator[Served]:
    """Serve a bundle on a port that the system chooses; it is down when the block is left."""
    parts = {
        name: settings.pop(name)
        for name in ("routers", "observers", "stages", "on_hung", "deploying", "places")
        if name in settings
    }
    config = ServerConfig(bundle=str(bundle), port=0, **settings)
    app = create_app(
        config,
        agent=agent_of(bundle),
        capacity=Capacity(slots=slots, threads=threads, group=group),
        **parts,
    )
    up = threading.Event()
    server = Server(app, config, ready=lambda _: up.set())
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert up.wait(60), "the server did not start"
    try:
        yield Served(server, app)
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        assert not thread.is_alive(), "the server did not stop"
