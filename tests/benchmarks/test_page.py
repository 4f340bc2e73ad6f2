from __future__ import annotations

from dataclasses import replace

from page import Measured, Run, page
from timing import Cost, time_frames

COST = Cost(
    name="subject",
    batch=1,
    frames=10,
    wall_p50=3.0,
    wall_p99=4.0,
    cpu_p50=2.0,
    cpu_p99=3.0,
    rss_mb=100.0,
    parameters=1_000_000,
    streamed_bytes=4_000_000,
)


def _run(**costs: Cost) -> Run:
    names = ["part network", "part codec", "mimi encode", "mimi decode"]
    names += [f"{kind} {batch}" for kind in ("agent", "moshi") for batch in (1, 4)]
    given = {name.replace("_", " "): cost for name, cost in costs.items()}
    return Run(
        bundle="cafe",
        batches=(1, 4),
        measured={name: Measured.best([given.get(name, COST)]) for name in names},
        bandwidth=10e9,
        operators={"MatMul": 0.75, "Add": 0.25},
        state_bytes=1_000_000,
        graph_bytes=20_000_000,
        versions={"onnxruntime": "1.0"},
        frames=10,
        rounds=1,
        load=(0.1, 0.2),
        machine="a processor, 2 cores",
    )


def test_the_best_round_counts_and_the_spread_is_kept() -> None:
    measured = Measured.best([replace(COST, cpu_p50=value) for value in (5.0, 2.0, 3.0)])
    assert measured.cost.cpu_p50 == 2.0
    assert (measured.low, measured.high) == (2.0, 5.0)


def test_ratios_are_those_of_the_costs() -> None:
    text = page(
        _run(mimi_encode=replace(COST, cpu_p50=30.0), mimi_decode=replace(COST, cpu_p50=50.0))
    )
    assert "| Mimi decode | codec decoder | 25.0 |" in text
    assert "| Mimi encode + decode | codec decoder | 40.0 |" in text


def test_the_floor_is_bytes_over_bandwidth() -> None:
    assert "| our network | 4.0 | 0.40 | 2.00 | 20% |" in page(_run())


def test_sessions_are_whole_steps_that_fit_in_a_frame() -> None:
    assert replace(COST, cpu_p50=30.0, batch=16).sessions == 32
    assert replace(COST, cpu_p50=81.0).sessions == 0


def test_warm_up_frames_are_not_reported() -> None:
    calls: list[int] = []
    cost = time_frames(lambda: calls.append(1), name="x", frames=5, warm_up=3)
    assert len(calls) == 8
    assert cost.frames == 5
    assert cost.rss_mb > 0
