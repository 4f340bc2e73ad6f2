from __future__ import annotations

from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from antiphon.serving import health
from antiphon.serving.metrics import Metrics
from antiphon.serving.watch import STUCK, Watch


def client(**checks: object) -> TestClient:
    app = FastAPI()
    app.include_router(health.make_router(**checks))  # type: ignore[arg-type]
    return TestClient(app)


def test_a_server_without_a_problem_is_alive_and_ready() -> None:
    server = client(ready={"store": list})
    assert server.get("/healthz").json() == {"status": "ok", "checks": {}}
    assert server.get("/readyz").json() == {"status": "ok", "checks": {"store": []}}


def test_what_is_in_the_way_is_told() -> None:
    server = client(ready={"calls": lambda: ["all 4 places are taken"], "store": list})
    assert server.get("/healthz").status_code == 200
    answer = server.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"calls": ["all 4 places are taken"], "store": []}


def test_what_is_dead_is_not_ready_either() -> None:
    server = client(live={"clock": lambda: ["it stands"]})
    assert server.get("/healthz").status_code == server.get("/readyz").status_code == 503


def test_a_check_that_fails_is_a_problem_and_no_500() -> None:
    def broken() -> list[str]:
        raise RuntimeError("with a secret")

    answer = client(ready={"odd": broken}).get("/readyz")
    assert answer.status_code == 503
    assert "secret" not in answer.text


def test_the_watch_sees_a_clock_that_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("antiphon.serving.watch.time.monotonic", lambda: now[0])
    app = FastAPI()
    watch = Watch(Metrics())
    assert list(watch.alive()) == []
    assert list(watch.welcoming()) == ["the server is starting"]
    clock = SimpleNamespace(beats=1, active=1, slots=2, hung=0.0)
    reception = SimpleNamespace(draining=False)
    app.state.house = SimpleNamespace(clock=clock, reception=reception)
    watch.attach(app)
    for _ in range(3):
        assert list(watch.alive()) == []
        now[0] += STUCK - 1
        clock.beats += 1
    assert list(watch.alive()) == []
    now[0] += STUCK + 1
    assert "has not moved for 6 s" in next(iter(watch.alive()))
    clock.active = 0  # it rests when nobody calls
    assert list(watch.alive()) == []
    assert list(watch.welcoming()) == []
    clock.hung = 1.2  # its calls were ended
    assert list(watch.alive()) == []
    assert list(watch.welcoming()) == ["the engine has not answered for 1.2 s"]
    clock.hung = STUCK + 1
    assert list(watch.alive()) == ["the engine has not answered for 6 s"]
    clock.hung = 0.0
    clock.active = 2
    assert list(watch.welcoming()) == ["all 2 places are taken"]
    reception.draining = True
    assert list(watch.welcoming()) == ["the server is going down"]
