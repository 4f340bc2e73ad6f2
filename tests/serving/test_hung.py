"""An engine that stands still, seen from a caller's socket and from the operator's side."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import sqlalchemy as sa
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from antiphon.runtime.engine import Engine
from antiphon.serving.guarding import GuardWatch, guarding, service_of
from antiphon.serving.store import StoreConfig
from antiphon.serving.store.models import AuditRow
from antiphon.serving.watch import Watch, WatchConfig, watching
from tests.serving.served import agent_of, served

SILENCE = base64.b64encode(bytes(2 * 24_000 // 10)).decode()


class Freezer:
    """Lets every step of a network stand still, until it is thawed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._thaw, self._step = threading.Event(), Engine.step
        self._monkeypatch = monkeypatch

    def freeze(self) -> None:
        def frozen(engine: Engine, inputs: Any) -> Any:
            assert self._thaw.wait(60)
            return self._step(engine, inputs)

        self._monkeypatch.setattr(Engine, "step", frozen)

    def thaw(self) -> None:
        self._monkeypatch.undo()
        self._thaw.set()


@pytest.fixture
def freezer(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Freezer(monkeypatch)
    yield made
    made.thaw()


async def calling(url: str, freezer: Freezer) -> tuple[float, float, int, str]:
    """Call, let the engine freeze: (seconds until something loud was heard or the call ended,
    the loudest sample, close code, close reason)."""
    loudest = 0.0
    async with connect(f"{url}/v1/realtime") as socket:
        append = json.dumps({"type": "input_audio_buffer.append", "audio": SILENCE})
        for _ in range(5):
            await socket.send(append)
        await asyncio.sleep(0.4)
        freezer.freeze()
        began = time.monotonic()
        try:
            while time.monotonic() - began < 15 and not loudest:
                await socket.send(append)
                event = json.loads(await asyncio.wait_for(socket.recv(), 15))
                if event["type"] == "response.output_audio.delta":
                    sound = np.frombuffer(base64.b64decode(event["delta"]), "<i2")
                    loudest = max(loudest, float(np.abs(sound).max()) / 32768)
        except ConnectionClosed:
            pass
        after = time.monotonic() - began
    return after, loudest, socket.close_code or 0, socket.close_reason or ""


def audited(watch: Watch) -> list[tuple[str, str]]:
    assert watch.store is not None
    with watch.store.database.read() as session:
        return [(row.action, row.detail) for row in session.scalars(sa.select(AuditRow))]


def test_a_guarded_call_on_a_frozen_engine_hears_the_phrase_and_everybody_is_told(
    tiny_bundle: Path, tmp_path: Path, freezer: Freezer
) -> None:
    config = WatchConfig(store=StoreConfig(folder=tmp_path))
    with watching(config) as watch:
        service = service_of(agent_of(tiny_bundle))
        phrase = service.rules.config.breaker.handover
        service.ready = {phrase: np.full(8_000, 0.3, np.float32)}
        note = watch.store.note if watch.store is not None else None
        watch.observers.append(GuardWatch(service, registry=watch.metrics.registry, note=note))
        parts: dict[str, Any] = {
            "routers": watch.routers,
            "observers": watch.observers,
            "stages": [guarding(service)],
            "on_hung": watch.hung,
        }
        with served(tiny_bundle, **parts) as server, httpx.Client(base_url=server.http) as http:
            watch.attach(server.app)
            assert http.get("/readyz").status_code == 200
            after, loudest, _, _ = asyncio.run(calling(server.ws, freezer))
            assert loudest == pytest.approx(0.3, abs=0.05)
            assert after < 4.0  # 1 s until it is noticed, and the machine may be busy
            said = http.get("/readyz")
            assert said.status_code == 503
            assert "the engine has not answered for" in said.json()["checks"]["calls"][0]
            assert "antiphon_engine_hangs_total 1.0" in http.get("/metrics").text
            with pytest.raises(InvalidStatus) as refused:
                asyncio.run(connect(f"{server.ws}/v1/realtime").__aenter__())
            assert refused.value.response.status_code == 503
            assert b"engine_hung" in (refused.value.response.body or b"")
            freezer.thaw()
            server.wait(lambda: http.get("/readyz").status_code == 200)
            assert "antiphon_engine_hung_seconds 0.0" in http.get("/metrics").text
        entries = audited(watch)
        (hung,) = [detail for action, detail in entries if action == "engine.hung"]
        assert "has not returned for 1.0 s; 1 calls were on it" in hung
        assert any(action == "guard.level" and "engine" in detail for action, detail in entries)


def test_without_a_guard_the_call_ends_with_the_reason(tiny_bundle: Path, freezer: Freezer) -> None:
    with served(tiny_bundle) as server:
        after, loudest, code, reason = asyncio.run(calling(server.ws, freezer))
        assert (loudest, code) == (0.0, 1011)
        assert after < 4.0
        assert "engine" in reason
        server.wait(lambda: not server.house.reception.calls)
