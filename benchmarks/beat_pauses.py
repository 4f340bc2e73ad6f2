"""What holds up a beat of the clock, by cause: Python's lock, garbage collection, cold engines.

    python benchmarks/beat_pauses.py --slots 16 --rounds 6

For the lock, beats are stepped by one thread while another does an event loop's work for a share
of the time, with Python's own switch interval and with that of `antiphon serve` in alternation.
What the beat waited is its wall time without what it computed and what it waited for a core
(Linux's schedstat), so that a busy machine can be measured on, too. It plays no calls and knows no
sockets.
"""

from __future__ import annotations

import argparse
import base64
import gc
import json
import sys
import threading
import time
from pathlib import Path

import numpy as np

from antiphon.audio.quick_resample import QuickResampler
from antiphon.runtime.agent import Agent
from antiphon.runtime.clock import Clock
from antiphon.serving.app import create_app
from antiphon.serving.config import ServerConfig
from antiphon.serving.pace import SWITCH, steady
from antiphon.serving.server import Server
from antiphon.serving.watch import WatchConfig, watching

SLICE = 0.02  # seconds in which the event loop works once
BEATS = 6  # of a round


def spent() -> tuple[float, float]:
    """Seconds that this thread computed, and that it waited for a core."""
    told = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_text().split()
    return int(told[0]) / 1e9, int(told[1]) / 1e9


def work(share: float, over: threading.Event) -> None:
    """What an event loop does with the agent's sound, for a share of the time."""
    resample, frame = QuickResampler(16_000, 24_000), np.zeros(1280, dtype=np.float32)
    while not over.is_set():
        until = time.thread_time() + SLICE * share
        while time.thread_time() < until:
            json.loads(json.dumps({"delta": base64.b64encode(resample(frame)).decode()}))
        time.sleep(SLICE * (1 - share))


def waits(clock: Clock, beats: int) -> list[float]:
    """Milliseconds that beats waited for Python's lock."""
    rng = np.random.default_rng(0)
    found: list[float] = []
    for _ in range(beats):
        for line in clock._lines:  # pyright: ignore[reportPrivateUsage]
            line.push(rng.standard_normal(1280).astype(np.float32) * np.float32(0.05))
        (ran, queued), began = spent(), time.perf_counter()
        clock.beat()
        wall, now = time.perf_counter() - began, spent()
        found.append(1e3 * (wall - (now[0] - ran) - (now[1] - queued)))
    return found


def lock(agent: Agent, slots: int, rounds: int) -> None:
    """Waits for the lock, by the event loop's share and the switch interval."""
    clock = Clock(agent, slots)
    for seed in range(slots):
        clock.open(lambda _: None, seed=seed)
    waits(clock, 2)
    python = sys.getswitchinterval()
    for share in (0.3, 0.6):
        over = threading.Event()
        loop = threading.Thread(target=work, args=(share, over))
        loop.start()
        found: dict[float, list[float]] = {python: [], SWITCH: []}
        for _ in range(rounds):
            for interval, mine in found.items():
                sys.setswitchinterval(interval)
                mine += waits(clock, BEATS)
        sys.setswitchinterval(python)
        over.set()
        loop.join()
        for interval, mine in found.items():
            p50, p90, most = np.percentile(mine, [50, 90, 100])
            print(
                f"an event loop that works {share:.0%} of the time, {interval * 1e3:g} ms: "
                f"waited {p50:.1f} ms (P50), {p90:.1f} (P90), {most:.1f} at the worst of "
                f"{len(mine)} beats of {slots} calls",
                flush=True,
            )


def collector(agent: Agent) -> None:
    """A full collection of a server that is loaded."""
    config = ServerConfig(slots=1)
    with watching(WatchConfig()) as watch:
        app = create_app(config, agent=agent, observers=watch.observers, routers=watch.routers)
        _ = Server(app, config)
        print(f"a full collection: {collection():.0f} ms", end=", ")
        with steady():
            print(f"{collection():.1f} ms of what came later")


def collection() -> float:
    """Milliseconds that one takes, of computing."""
    costs: list[float] = []
    for _ in range(9):
        began = time.thread_time()
        gc.collect()
        costs.append(time.thread_time() - began)
    return 1e3 * float(np.median(costs))


def cold(agent: Agent) -> None:
    """The first beat of a clock that was not started, and a later one."""
    clock = Clock(agent, 4)
    clock.open(lambda _: None)
    costs: list[float] = []
    for _ in range(8):
        began = time.thread_time()
        clock.beat()
        costs.append(1e3 * (time.thread_time() - began))
    print(f"a cold engine: {costs[0]:.0f} ms, then {np.median(costs[2:]):.0f} ms")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=6)
    given = parser.parse_args()
    agent = Agent.load("cafe")
    cold(agent)
    lock(agent, given.slots, given.rounds)
    collector(agent)


if __name__ == "__main__":
    main()
