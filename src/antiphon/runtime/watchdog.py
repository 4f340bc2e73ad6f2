"""Notices, from outside, a beat that does not end.

In: the number of the beat that is going on. Out: a call, once for each beat that hangs. It knows
nothing of what a beat does; a step that hangs while it holds Python's lock stops this thread too,
and only the supervisor's probe of `/healthz` can see that.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

LOOK = 0.1  # s between looks
PATIENCE = 1.0  # s after which a beat is taken to hang: twelve are due by then

_log = logging.getLogger(__name__)


class Watchdog:
    """A thread that looks at `beat` and calls `bark` with the number of a beat that hangs.

    beat: the number of the one that is going on, None between two. patience: seconds. It counts
    its own looks and not the time, so that a process that was stopped as a whole, or that gets no
    processor, is not taken for a hung engine.
    """

    def __init__(
        self,
        beat: Callable[[], int | None],
        bark: Callable[[int], None],
        *,
        patience: float = PATIENCE,
    ) -> None:
        self._beat, self._bark = beat, bark
        self._looks = max(1, round(patience / LOOK))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="antiphon-watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look; once."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        seen: int | None = None
        looks = 0
        while not self._over.wait(LOOK):
            now = self._beat()
            looks = looks + 1 if now is not None and now == seen else 0
            seen = now
            if now is not None and looks == self._looks:
                try:
                    self._bark(now)
                except Exception:
                    _log.exception("a beat that hangs could not be dealt with")
