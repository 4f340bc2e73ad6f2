"""Which threads of the machine go first: those that keep the beat.

A thread in Linux's round-robin class runs before all ordinary work, as sound does on a desktop.
Among themselves the higher rank goes first.
"""

from __future__ import annotations

import os
from contextlib import suppress

STEPS = 1  # rank of the threads that step the network
LOOP = 2
"""Rank of the event loop that feeds them. It is above them, because it may hold Python's lock: a
loop that has to wait for a core while it does makes every step wait with it."""


def come_first(rank: int) -> None:
    """Put this thread before all ordinary ones; threads and processes that it starts are ordinary.

    Linux lets root, CAP_SYS_NICE or an `rtprio` limit; elsewhere nothing changes.
    """
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(rank))


def be_ordinary() -> None:
    """Take it back."""
    with suppress(OSError, AttributeError):
        # The flag stays: to take it off needs more rights than to set it.
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
