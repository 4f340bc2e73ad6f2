"""Which threads of the machine go first: those that keep the beat.

A thread in Linux's round-robin class runs before all ordinary work, as sound does on a desktop.
Among themselves the higher rank goes first.
"""

from __future__ import annotations

import os
from contextlib import suppress

STEPS = 2  # rank of the threads that step the network
LOOP = 1
"""Rank of the event loops that feed them and carry what they say. A step is not to be broken off:
the threads that step compute in turn (`clock.Clock`), so that another core is the loops'. Where a
loop came before them a beat was longer by all that it did meanwhile, beats overlapped, and two that
overlap are slower each (docs/experiments/service.md)."""


def come_first(rank: int) -> bool:
    """Put this thread before all ordinary ones; threads and processes that it starts are ordinary.

    Linux lets root, CAP_SYS_NICE or an `rtprio` limit; elsewhere nothing changes. Whether it did.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(rank))
    except (OSError, AttributeError):
        return False
    return True


def be_ordinary() -> None:
    """Take it back."""
    with suppress(OSError, AttributeError):
        # The flag stays: to take it off needs more rights than to set it.
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))


def core_of(part: int, parts: int) -> int | None:
    """The core for one of `parts` threads that come first, where there is one for each.

    Threads that compute in turn would all find the same core free, and Linux takes a core away from
    threads that come first for the last 50 ms of a second of which they had the rest
    (`sched_rt_runtime_us`): more than half a beat.
    """
    try:
        cores = sorted(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return None
    return cores[part] if parts == len(cores) else None


def stay_on(core: int) -> None:
    """Keep this thread on a core, where the system knows how."""
    with suppress(OSError, AttributeError):
        os.sched_setaffinity(0, {core})
