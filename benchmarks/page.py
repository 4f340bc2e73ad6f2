"""docs/performance.md, from a run's figures. Every number on the page is computed here."""

from __future__ import annotations

from dataclasses import dataclass

from timing import FRAME_MS, Cost


@dataclass(frozen=True)
class Measured:
    """A subject's best round, and the medians (CPU ms) of the best and the worst."""

    cost: Cost
    low: float
    high: float

    @staticmethod
    def best(rounds: list[Cost]) -> Measured:
        """The round with the lowest median CPU time."""
        medians = [cost.cpu_p50 for cost in rounds]
        cost = min(rounds, key=lambda cost: cost.cpu_p50)
        return Measured(cost, min(medians), max(medians))


@dataclass(frozen=True)
class Run:
    """One run of the benchmark."""

    bundle: str
    batches: tuple[int, ...]
    measured: dict[str, Measured]
    bandwidth: float
    """Bytes a second that one core reads."""
    operators: dict[str, float]
    """Share of the graph's time by operator."""
    state_bytes: int
    graph_bytes: int
    versions: dict[str, str]
    frames: int
    rounds: int
    load: tuple[float, float]
    """Load average before and after."""
    machine: str

    def cost(self, name: str) -> Cost:
        return self.measured[name].cost

    @property
    def first(self) -> int:
        """The smallest batch: one session, unless the graph is made for more."""
        return self.batches[0]


def page(run: Run) -> str:
    """The page, Markdown."""
    return (
        "\n\n".join(
            [
                "# Performance",
                "Written by `make bench` (`benchmarks/bench.py`) from one run; do not edit.",
                _conditions(run),
                "## One frame on one core",
                _frames(run),
                "## Ratios",
                _ratios(run),
                "## Sessions on one core",
                _sessions(run),
                "## Where the time goes",
                _roofline(run),
                _operators(run),
            ]
        ).strip()
        + "\n"
    )


def _conditions(run: Run) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in run.versions.items())
    before, after = run.load
    return (
        f"Bundle `{run.bundle}` ({run.graph_bytes / 1e6:.1f} MB graph) on {run.machine}; "
        f"{versions}. Every subject ran in its own process with one thread tied to one core: "
        f"{run.frames} frames of 80 ms after a warm-up, in {run.rounds} round(s) by turns. The "
        "best round counts; the spread is that of the median over the rounds.\n\n"
        f"Load average {before:.1f} before, {after:.1f} after: beside a busy neighbour trust the "
        "CPU time. Peers have random weights, which cost what trained ones do, and are run by "
        "PyTorch in float32, streaming."
    )


def _frames(run: Run) -> str:
    rows = [
        ("our codec decoder", run.measured["part codec"]),
        ("our network", run.measured["part network"]),
        ("**our whole agent**", run.measured[f"agent {run.first}"]),
        ("Mimi encode", run.measured["mimi encode"]),
        ("Mimi decode", run.measured["mimi decode"]),
        (run.cost(f"moshi {run.first}").name, run.measured[f"moshi {run.first}"]),
    ]
    return _table(
        ("what", "parameters", "p50 ms", "p99 ms", "CPU p50 ms", "spread", "process MB"),
        [
            (
                name,
                f"{measured.cost.parameters / 1e6:.1f} M" if measured.cost.parameters else "",
                f"{measured.cost.wall_p50:.2f}",
                f"{measured.cost.wall_p99:.2f}",
                f"{measured.cost.cpu_p50:.2f}",
                f"{measured.low:.2f} to {measured.high:.2f}",
                f"{measured.cost.rss_mb:.0f}",
            )
            for name, measured in rows
        ],
    )


def _ratios(run: Run) -> str:
    codec = run.cost("part codec").cpu_p50
    network = run.cost("part network").cpu_p50
    agent = run.cost(f"agent {run.first}").cpu_p50
    encode, decode = run.cost("mimi encode").cpu_p50, run.cost("mimi decode").cpu_p50
    peer = run.cost(f"moshi {run.first}").cpu_p50
    table = _table(
        ("theirs", "ours", "theirs / ours, CPU p50"),
        [
            ("Mimi decode", "codec decoder", f"{decode / codec:.1f}"),
            ("Mimi encode + decode", "codec decoder", f"{(encode + decode) / codec:.1f}"),
            ("Moshi-shaped network", "network", f"{peer / network:.1f}"),
            (
                "Mimi encode + Moshi-shaped network + Mimi decode",
                "whole agent",
                f"{(encode + peer + decode) / agent:.1f}",
            ),
        ],
    )
    return (
        f"{table}\n\nIn a call our network hears the waveform itself, so a frame needs no codec "
        "encoder; with Mimi it needs both directions. Our network's time includes its acoustic "
        "encoder. Part of every ratio is onnxruntime against PyTorch."
    )


def _sessions(run: Run) -> str:
    rows: list[tuple[str, ...]] = []
    for kind, name in (("agent", "our whole agent"), ("moshi", "Moshi-shaped network alone")):
        for batch in run.batches:
            cost = run.cost(f"{kind} {batch}")
            rows.append(
                (
                    name,
                    str(batch),
                    f"{cost.wall_p50:.2f}",
                    f"{cost.wall_p99:.2f}",
                    f"{cost.cpu_p50 / batch:.2f}",
                    str(cost.sessions),
                    f"{cost.rss_mb:.0f}",
                )
            )
    table = _table(
        ("what", "B", "step p50 ms", "step p99 ms", "CPU ms a session", "sessions", "process MB"),
        rows,
    )
    return (
        f"{table}\n\nSessions: whole steps of B that fit in {FRAME_MS:.0f} ms of one core by the "
        f"median CPU time, times B. A session's past is {run.state_bytes / 1e6:.2f} MB, held "
        "twice (a step reads from one and writes to the other)."
    )


def _roofline(run: Run) -> str:
    rows: list[tuple[str, ...]] = []
    for name, key in (
        ("our codec decoder", "part codec"),
        ("our network", "part network"),
        ("Mimi encode", "mimi encode"),
        ("Mimi decode", "mimi decode"),
        ("Moshi-shaped network", f"moshi {run.first}"),
    ):
        cost = run.cost(key)
        floor = cost.streamed_bytes / run.bandwidth * 1e3
        rows.append(
            (
                name,
                f"{cost.streamed_bytes / 1e6:.1f}",
                f"{floor:.2f}",
                f"{cost.cpu_p50:.2f}",
                f"{floor / cost.cpu_p50:.0%}",
            )
        )
    table = _table(
        ("what", "weights read a frame, MB", "floor ms", "CPU p50 ms", "floor / measured"), rows
    )
    return (
        f"One core reads {run.bandwidth / 1e9:.1f} GB/s here. A frame at B = 1 must read every "
        f"weight but the embedding tables once, which gives a floor:\n\n{table}\n\nWeights that "
        "stay in a cache between frames cost less than the floor says; what is above it is "
        "arithmetic, activations, state and the call of each operator."
    )


def _operators(run: Run) -> str:
    top = list(run.operators.items())[:10]
    return "By operator, in onnxruntime's own profile of the whole graph:\n\n" + _table(
        ("operator", "share of time"), [(name, f"{share:.1%}") for name, share in top]
    )


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
