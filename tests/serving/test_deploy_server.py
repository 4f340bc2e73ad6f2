"""A whole server with a plan: who answers is noted, and a change needs no restart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from antiphon.serving.admission import Capacity
from antiphon.serving.app import create_app
from antiphon.serving.config import ServerConfig
from antiphon.serving.deploy.control import Control
from antiphon.serving.deploy.figures import VERSION
from antiphon.serving.deploy.fleet import Deploying
from antiphon.serving.deploy.plan import Plan, first, promoted, with_version
from antiphon.serving.store import Filter, Store, StoreConfig
from antiphon.serving.store.api import make_router
from tests.serving.served import agent_of


def until(found: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What `found` gives, once it gives something."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return value


def test_a_running_server_follows_the_plan(tiny_bundle: Path, tmp_path: Path) -> None:
    store = Store.open(StoreConfig(folder=tmp_path / "store"))
    control = Control(store)
    bundle = str(tiny_bundle)

    def change(make: Callable[[Plan | None], Plan]) -> None:
        control.change(make, action="deploy.set", actor="operator")

    change(lambda _: first("stable", bundle, "begin"))
    with store.serving() as observer:
        app = create_app(
            ServerConfig(bundle=bundle, webrtc=False),
            agent=agent_of(tiny_bundle),
            capacity=Capacity(slots=2, threads=1, group=2),
            observers=[observer],
            routers=[make_router(store)],
            deploying=Deploying(store),
        )
        with TestClient(app, base_url="http://127.0.0.1") as client:

            def answered() -> str:
                async def brief() -> str:
                    call = app.state.house.reception.open("realtime")
                    await asyncio.sleep(0.2)
                    call.close("client")
                    return call.id

                assert client.portal is not None
                call_id = client.portal.call(brief)

                def over() -> list[Any]:
                    chosen = Filter(ids=(call_id,))
                    return [c for c in store.calls(chosen).calls if c.ended is not None]

                return until(over)[0].metadata[VERSION]

            assert answered() == "stable"

            def two(plan: Plan | None) -> Plan:
                assert plan is not None
                plan = with_version(plan, "next", "newer", bundle=bundle, share=0.5)
                return promoted(plan, "next", "all of it")

            change(two)
            until(lambda: control.history()[0]["action"] == "deploy.read")
            assert answered() == "next"
            call = store.calls(Filter()).calls[0]
            began = store.call(call.id).events[0]
            assert (began.type, began.data["version"]) == ("began", "next")
            assert client.get("/pages/turn.html").status_code == 200
