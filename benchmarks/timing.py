"""Timing one frame at a time on one core.

Knows nothing of models: it takes a function that does one frame and returns what that cost.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

FRAME_MS = 80.0  # what a frame lasts, so what it may cost


@dataclass(frozen=True)
class Cost:
    """What one frame of one subject cost, in milliseconds, and what its process held.

    `wall` is what a caller waits and includes what other processes take from the core; `cpu` is
    what this process used, so on a busy machine it is the fairer of the two. `streamed_bytes` are
    the weights that every frame has to read: all but embedding tables.
    """

    name: str
    batch: int
    frames: int
    wall_p50: float
    wall_p99: float
    cpu_p50: float
    cpu_p99: float
    rss_mb: float
    parameters: int
    streamed_bytes: int

    @property
    def sessions(self) -> int:
        """How many sessions one core keeps up with: whole steps in a frame's time, each of B."""
        return int(FRAME_MS / self.cpu_p50) * self.batch

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def one_core() -> int:
    """Ties this process to the last core that it may use; returns that core's number.

    Called before numpy's, torch's or onnxruntime's threads exist, so they inherit it.
    """
    if not hasattr(os, "sched_setaffinity"):  # macOS: the scheduler decides
        return -1
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def resident_mb() -> float:
    """What this process holds in memory now, MB (Linux; elsewhere its highest so far)."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def time_frames(
    frame: Callable[[], object],
    *,
    name: str,
    frames: int,
    warm_up: int,
    batch: int = 1,
    parameters: int = 0,
    streamed_bytes: int = 0,
) -> Cost:
    """Calls `frame` `warm_up + frames` times and reports the last `frames` of them."""
    for _ in range(warm_up):
        frame()
    wall = np.empty(frames)
    cpu = np.empty(frames)
    for index in range(frames):
        wall_before, cpu_before = time.perf_counter(), time.process_time()
        frame()
        wall[index] = time.perf_counter() - wall_before
        cpu[index] = time.process_time() - cpu_before
    wall_p50, wall_p99 = np.percentile(wall * 1e3, [50, 99])
    cpu_p50, cpu_p99 = np.percentile(cpu * 1e3, [50, 99])
    return Cost(
        name=name,
        batch=batch,
        frames=frames,
        wall_p50=float(wall_p50),
        wall_p99=float(wall_p99),
        cpu_p50=float(cpu_p50),
        cpu_p99=float(cpu_p99),
        rss_mb=resident_mb(),
        parameters=parameters,
        streamed_bytes=streamed_bytes,
    )


def memory_bandwidth(megabytes: int = 256, rounds: int = 5) -> float:
    """Bytes a second that one core reads from memory: the best of `rounds` sums over an array.

    The array is several times larger than any last-level cache slice of one core, so the figure
    is main memory's.
    """
    data = np.ones(megabytes * 1_000_000 // 8, np.float64)
    best = float("inf")
    for _ in range(rounds):
        before = time.perf_counter()
        data.sum()
        best = min(best, time.perf_counter() - before)
    return data.nbytes / best
