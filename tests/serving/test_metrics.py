from __future__ import annotations

import json
import re
from collections import Counter, deque
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from antiphon.serving.metrics import Metrics
from antiphon.serving.store import Store, StoreConfig
from tests.serving.store.acting import beats, info, turn, whole_call

DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana" / "antiphon.json"


def house() -> SimpleNamespace:
    """What the metrics read of a server."""
    clock = SimpleNamespace(
        slots=16,
        active=3,
        missed=2,
        beats=1000,
        hung=0.0,
        hangs=1,
        process_seconds=deque([0.04] * 200),
    )
    return SimpleNamespace(
        clock=clock, reception=SimpleNamespace(draining=False, refused=Counter(server_full=4))
    )


def values(metrics: Metrics) -> dict[str, float]:
    """Every sample by name{labels}."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_calls_are_counted() -> None:
    metrics = Metrics()
    first = info()
    metrics.opened(first)
    assert values(metrics)["antiphon_sessions_active"] == 1
    metrics.closed(first.id, "client")
    whole_call(metrics)
    seen = values(metrics)
    assert seen["antiphon_sessions_active"] == 0
    assert seen["antiphon_sessions_total{bundle=tiny,protocol=realtime}"] == 2
    assert seen["antiphon_sessions_closed_total{reason=client}"] == 2
    assert seen["antiphon_turns_total{speaker=caller}"] == 1
    assert seen["antiphon_tool_calls_total"] == 1
    assert seen["antiphon_first_audio_seconds_count"] == 1
    assert seen["antiphon_first_audio_seconds_sum"] == pytest.approx(0.34)
    assert seen["antiphon_session_seconds_sum"] == pytest.approx(2.0)


def test_how_quickly_the_agent_stops_for_a_caller_who_breaks_in() -> None:
    metrics = Metrics()
    call = info()
    metrics.opened(call)
    cut = turn(1, "agent", "well let me", 2.0, end=3.3, interrupted=True)
    metrics.turn(call.id, cut)
    metrics.turn(call.id, turn(2, "caller", "no stop", 3.0))
    metrics.turn(call.id, turn(3, "caller", "please", 3.1))  # one breaking in, counted once
    seen = values(metrics)
    assert seen["antiphon_barge_in_stop_seconds_count"] == 1
    assert seen["antiphon_barge_in_stop_seconds_sum"] == pytest.approx(0.3)


def test_the_servers_own_figures_are_read_when_asked_for() -> None:
    metrics = Metrics()
    running: list[SimpleNamespace] = []
    metrics.watch(lambda: running[0] if running else None)
    assert "antiphon_slots" not in values(metrics)  # not yet started
    running.append(house())
    seen = values(metrics)
    assert seen["antiphon_slots"] == 16
    assert seen["antiphon_slots_used"] == 3
    assert seen["antiphon_frame_deadline_missed_total"] == 2
    assert seen["antiphon_realtime_factor"] == pytest.approx(0.5)
    assert seen["antiphon_sessions_rejected_total{reason=server_full}"] == 4
    assert seen["antiphon_draining"] == 0
    metrics.rtp_lost(7)
    assert values(metrics)["antiphon_rtp_lost_packets_total"] == 7


def test_a_stores_backlog_and_losses_are_seen(tmp_path: Path) -> None:
    metrics = Metrics()
    with Store.open(StoreConfig(folder=tmp_path)) as store:
        metrics.watch_store(store)
        assert values(metrics)["antiphon_store_ready"] in (0, 1)
        with store.serving() as observer:
            call = info()
            observer.opened(call)
            beats(observer, call.id, 3)
            assert store.flush()
            seen = values(metrics)
            assert seen["antiphon_store_waiting"] == 0
            assert seen["antiphon_store_commits_total"] >= 1
            assert seen["antiphon_store_lost_total{what=event}"] == 0
            assert seen["antiphon_store_lost_total{what=frame}"] == 0


def test_reasons_from_outside_cannot_make_series_without_end() -> None:
    metrics = Metrics()
    for number in range(100):
        call = info()
        metrics.opened(call)
        metrics.closed(call.id, f"odd {number}: because\nof {number}")
    names = [name for name in values(metrics) if name.startswith("antiphon_sessions_closed_total")]
    assert len(names) == 21
    assert values(metrics)["antiphon_sessions_closed_total{reason=other}"] == 80


def test_the_route_answers_whoever_may_read() -> None:
    metrics = Metrics()
    open_to_all, closed = FastAPI(), FastAPI()
    open_to_all.include_router(metrics.make_router())

    def nobody() -> None:
        raise HTTPException(401)

    closed.include_router(metrics.make_router(nobody))
    answer = TestClient(open_to_all).get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert "antiphon_sessions_active" in answer.text
    assert TestClient(closed).get("/metrics").status_code == 401


def test_the_dashboard_asks_for_figures_that_there_are(tmp_path: Path) -> None:
    metrics = Metrics()
    metrics.watch(house)  # type: ignore[arg-type]
    with Store.open(StoreConfig(folder=tmp_path)) as store, store.serving():
        metrics.watch_store(store)
        known = {name.split("{")[0] for name in values(metrics)}
        for family in text_string_to_metric_families(metrics.text().decode()):
            known |= {family.name, f"{family.name}_total"}
            if family.type == "histogram":
                known |= {f"{family.name}_{part}" for part in ("bucket", "sum", "count")}
    board = json.loads(DASHBOARD.read_text())
    asked: set[str] = set()
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            asked |= set(re.findall(r"antiphon_[a-z_]+", target["expr"]))
    assert len(asked) > 15
    assert asked <= known
    # Every name of the house's conventions is on it.
    assert {
        "antiphon_sessions_active",
        "antiphon_sessions_rejected_total",
        "antiphon_first_audio_seconds_bucket",
        "antiphon_barge_in_stop_seconds_bucket",
        "antiphon_frame_deadline_missed_total",
        "antiphon_realtime_factor",
        "antiphon_rtp_lost_packets_total",
    } <= asked
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
