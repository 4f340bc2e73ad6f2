"""For how long the machine let nobody run: what no program on it can help.

    python benchmarks/stalls.py --seconds 600

A thread in Linux's round-robin class, above every other of its kind here, sleeps 5 ms at a time and
tells when it was woken more than `--over` ms late: then its core was taken away from under the
system (a neighbour of a virtual machine, firmware), or the kernel itself was busy. One thread a
core, each bound to its own. Run it beside `antiphon bench serve` and put its times next to those of
the beats that the server's log calls late. It needs root or CAP_SYS_NICE.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from datetime import datetime

SLEEP = 0.005  # s
PRIORITY = 20  # of 99; the threads of `antiphon serve` have 1 and 2

Stall = tuple[float, int, float]  # seconds since the epoch, core, seconds


def watch(core: int, until: float, over: float, found: list[Stall]) -> None:
    """Sleep on one core until `until` (perf_counter), and note what came late."""
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))
    while (before := time.perf_counter()) < until:
        time.sleep(SLEEP)
        late = time.perf_counter() - before - SLEEP
        if late > over:
            found.append((time.time(), core, late))


def main() -> None:
    """Watch and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--over", type=float, default=10.0, help="milliseconds")
    given = parser.parse_args()
    found: list[Stall] = []
    until = time.perf_counter() + given.seconds
    threads = [
        threading.Thread(target=watch, args=(core, until, given.over / 1e3, found))
        for core in sorted(os.sched_getaffinity(0))
    ]
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))
    except OSError as error:
        sys.exit(f"stalls.py: {error.strerror}: run it as root, or with CAP_SYS_NICE")
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for at, core, late in sorted(found):
        print(f"{datetime.fromtimestamp(at):%H:%M:%S.%f}  core {core}  {1e3 * late:.0f} ms")
    total = sum(late for _, _, late in found)
    print(
        f"{len(found)} stalls over {given.over:g} ms on {len(threads)} cores in "
        f"{given.seconds:g} s, {total:.2f} s in all"
    )


if __name__ == "__main__":
    main()
