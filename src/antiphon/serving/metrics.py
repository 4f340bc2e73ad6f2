"""What a server does, in numbers for Prometheus.

`Metrics` is an observer of calls, and is shown the clock, the reception and the store to read their
counters when it is asked. Labels come from small fixed sets: nothing that a caller says or sends
can become one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.runtime.events import Samples

if TYPE_CHECKING:
    from pydantic import BaseModel

    from antiphon.runtime.places import Places
    from antiphon.serving.admission import Reception
    from antiphon.serving.call import CallInfo
    from antiphon.serving.house import House
    from antiphon.serving.store.store import Store
    from antiphon.serving.turns import Turn

_BEAT = FRAME / SAMPLE_RATE  # seconds
_LATELY = 125  # beats over which the real-time factor is taken: 10 s
_OTHER = "other"
_MOST_REASONS = 20  # labels of why calls ended; an error's sentence must not make a series each
_ANSWER = (0.08, 0.16, 0.24, 0.32, 0.4, 0.5, 0.65, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0)
_STOP = (0.08, 0.16, 0.24, 0.32, 0.4, 0.5, 0.65, 0.8, 1.0, 1.5, 2.0)
_LENGTH = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0)


@dataclass
class _Live:
    frames: int = 0
    cut: Turn | None = None  # the agent's last turn, if the caller broke into it


class Metrics:
    """An observer of calls that counts; `make_router` shows the counts."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        """Others (the guard) may add theirs."""
        at = self.registry
        self._calls: dict[str, _Live] = {}
        self._reasons: set[str] = set()
        self._active = Gauge("antiphon_sessions_active", "Calls that go on.", registry=at)
        self._opened = Counter(
            "antiphon_sessions", "Calls that began.", ["bundle", "protocol"], registry=at
        )
        self._closed = Counter(
            "antiphon_sessions_closed", "Calls that ended.", ["reason"], registry=at
        )
        self._seconds = Histogram(
            "antiphon_session_seconds", "How long calls were.", buckets=_LENGTH, registry=at
        )
        self._turns = Counter("antiphon_turns", "Finished turns.", ["speaker"], registry=at)
        self._tools = Counter("antiphon_tool_calls", "Tool calls of finished turns.", registry=at)
        self._answer = Histogram(
            "antiphon_first_audio_seconds",
            "From the caller's last word to the agent's first sound.",
            buckets=_ANSWER,
            registry=at,
        )
        self._stop = Histogram(
            "antiphon_barge_in_stop_seconds",
            "From a caller's breaking in to the end of the agent's sound.",
            buckets=_STOP,
            registry=at,
        )
        self._pauses = Counter(
            "antiphon_recording_pauses", "Recording pauses that began.", registry=at
        )
        self._rtp_lost = Counter(
            "antiphon_rtp_lost_packets", "RTP packets that did not come in time.", registry=at
        )

    # -- an observer of calls -----------------------------------------------------

    def opened(self, call: CallInfo) -> None:
        """A call begins."""
        self._calls[call.id] = _Live()
        self._active.set(len(self._calls))
        self._opened.labels(call.bundle, call.protocol).inc()

    def heard(self, call_id: str, samples: Samples) -> None:
        """A frame of the caller."""
        call = self._calls.get(call_id)
        if call is not None:
            call.frames += 1

    def played(self, call_id: str, samples: Samples) -> None:
        """A frame of the agent."""

    def event(self, call_id: str, event: BaseModel) -> None:
        """Anything but sound."""

    def turn(self, call_id: str, turn: Turn) -> None:
        """A finished turn."""
        self._turns.labels(turn.speaker).inc()
        self._tools.inc(len(turn.calls))
        if turn.gap_ms is not None and turn.speaker == "agent":
            self._answer.observe(max(0.0, turn.gap_ms / 1e3))
        call = self._calls.get(call_id)
        if call is None:
            return
        if turn.speaker == "agent":
            call.cut = turn if turn.interrupted else None
        elif call.cut is not None and call.cut.start < turn.start < call.cut.end:
            self._stop.observe(call.cut.end - turn.start)
            call.cut = None

    def paused(self, call_id: str, on: bool) -> None:
        """A recording pause begins or ends."""
        if on:
            self._pauses.inc()

    def closed(self, call_id: str, reason: str) -> None:
        """The call is over."""
        call = self._calls.pop(call_id, None)
        self._active.set(len(self._calls))
        self._closed.labels(self._reason(reason)).inc()
        if call is not None:
            self._seconds.observe(call.frames * _BEAT)

    # -- the rest of the server -----------------------------------------------------

    def rtp_lost(self, packets: int) -> None:
        """Packets of a telephone line that did not come in time."""
        self._rtp_lost.inc(packets)

    def watch(self, house: Callable[[], House | None]) -> None:
        """Read the figures of a server's clock and reception whenever asked, once it runs."""
        self.registry.register(_Collector(lambda: _of_house(house())))  # type: ignore[arg-type]

    def watch_store(self, store: Store) -> None:
        """Read the store's backlog and losses whenever asked."""
        self.registry.register(_Collector(lambda: _of_store(store)))  # type: ignore[arg-type]

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)

    def make_router(self, *dependencies: Callable[..., Any]) -> APIRouter:
        """`GET /metrics`; the dependencies say who may read it."""
        router = APIRouter(tags=["metrics"], dependencies=[Depends(one) for one in dependencies])

        @router.get("/metrics", response_class=PlainTextResponse)
        def metrics() -> Response:
            return Response(self.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

        _ = metrics
        return router

    def _reason(self, reason: str) -> str:
        """The part of a reason that says which kind it is, while there are few kinds."""
        kind = reason.partition(":")[0].strip()[:40] or _OTHER
        if kind not in self._reasons and len(self._reasons) >= _MOST_REASONS:
            return _OTHER
        self._reasons.add(kind)
        return kind


class _Collector:
    """Figures that are read when they are asked for."""

    def __init__(self, read: Callable[[], Iterator[Any]]) -> None:
        self._read = read

    def describe(self) -> list[Any]:
        """Nothing in advance: the registry then does not collect on registration."""
        return []

    def collect(self) -> Iterator[Any]:
        """The families."""
        yield from self._read()


def _of_house(house: House | None) -> Iterator[Any]:
    if house is not None:
        yield from _of_clock(house.clock)
        yield from _of_reception(house.reception)


def _of_clock(clock: Places) -> Iterator[Any]:
    lately = list(clock.process_seconds)[-_LATELY:]
    yield GaugeMetricFamily("antiphon_slots", "Calls that there is room for.", clock.slots)
    yield GaugeMetricFamily("antiphon_slots_used", "Slots of the clock in use.", clock.active)
    yield CounterMetricFamily(
        "antiphon_frame_deadline_missed", "Beats that took longer than their 80 ms.", clock.missed
    )
    yield CounterMetricFamily("antiphon_beats", "Beats of the clock.", clock.beats)
    yield CounterMetricFamily(
        "antiphon_engine_hangs", "Steps of the network that did not return in time.", clock.hangs
    )
    yield GaugeMetricFamily(
        "antiphon_engine_hung_seconds", "How long a step has not returned; 0: well.", clock.hung
    )
    factor = sum(lately) / len(lately) / _BEAT if lately else 0.0
    yield GaugeMetricFamily(
        "antiphon_realtime_factor", "Share of a beat that the network needs, over 10 s.", factor
    )


def _of_reception(reception: Reception) -> Iterator[Any]:
    refused = CounterMetricFamily(
        "antiphon_sessions_rejected", "Calls that were not taken.", labels=["reason"]
    )
    for reason, count in sorted(dict(reception.refused).items()):
        refused.add_metric([reason], count)
    yield refused
    yield GaugeMetricFamily(
        "antiphon_draining", "1 while the server goes down.", float(reception.draining)
    )


def _of_store(store: Store) -> Iterator[Any]:
    writer, recorder = store.writer, store.recorder
    yield GaugeMetricFamily(
        "antiphon_store_ready", "1 while calls can be kept.", float(not store.problems())
    )
    lost = CounterMetricFamily("antiphon_store_lost", "What could not be kept.", labels=["what"])
    if writer is not None:
        costs = list(writer.commit_seconds)[-100:]
        yield GaugeMetricFamily("antiphon_store_waiting", "Steps not committed.", writer.waiting)
        yield CounterMetricFamily("antiphon_store_commits", "Commits.", writer.commits)
        yield GaugeMetricFamily(
            "antiphon_store_commit_seconds",
            "The mean of the last 100 commits.",
            sum(costs) / len(costs) if costs else 0.0,
        )
        lost.add_metric(["event"], writer.lost)
        lost.add_metric(["refused"], writer.refused)
    if recorder is not None:
        yield GaugeMetricFamily(
            "antiphon_recorder_waiting", "Frames not yet encoded.", recorder.waiting
        )
        lost.add_metric(["frame"], recorder.lost)
        lost.add_metric(["recording"], recorder.failed)
    yield lost
