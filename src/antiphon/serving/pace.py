"""Keeps Python from holding up the beat: a process that serves is set up for it while it does.

The beat's thread shares Python's lock with the event loop and stops for the garbage collector, and
80 ms have to do for all of it. The settings belong to the whole process, so that an application
which mounts the server decides for itself: `antiphon serve` does, `create_app` does not.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Generator
from contextlib import contextmanager

from antiphon.runtime.priority import LOOP, be_ordinary, come_first

SWITCH = 0.0005  # seconds for which a thread may keep Python's lock from one that waits for it


@contextmanager
def steady(first: bool = False) -> Generator[None]:
    """Enter it when everything is loaded; the process is as before when it is left.

    first: the thread that enters, the event loop's, comes before all ordinary ones of the machine.

    What is there is taken out of the garbage collector's sight: to look all of it through takes
    longer than a beat, and it stays for as long as the server does. And a thread that waits for
    Python's lock gets it in half a millisecond and not in 5: a beat lets go of the lock whenever
    the network or numpy works, and has to get it back from the event loop each time.
    `benchmarks/beat_pauses.py` measures both.
    """
    before = sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH)
    if first:
        come_first(LOOP)
    try:
        yield
    finally:
        if first:
            be_ordinary()
        sys.setswitchinterval(before)
        gc.unfreeze()
