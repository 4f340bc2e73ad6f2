"""Work that a thread of its own does every 80 ms, as long as there is somebody to do it for.

It knows when a beat is due, catches up after a late one, lets time go when it is too far behind,
and notices a beat that does not end. It knows nothing of what is done in a beat.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from antiphon.runtime.priority import STEPS, come_first, stay_on
from antiphon.runtime.session import SECONDS
from antiphon.runtime.watchdog import PATIENCE, Watchdog

CATCH_UP = 12  # beats that may be late and are still made up for; beyond that time is let go
REMEMBERED = 45_000  # beats whose cost is kept: an hour

_log = logging.getLogger(__name__)


def remembered() -> deque[float]:
    """Room for the costs of the last beats."""
    return deque(maxlen=REMEMBERED)


class Metronome:
    """Calls `work` on every beat while `wanted` says that there is any.

    costs: where to add what each beat cost, in seconds. origin: when a beat of it is due, in
    seconds of `time.perf_counter`; the others are multiples of 80 ms away, so that metronomes with
    different origins stay apart. first: its thread comes before all others of the machine, where
    the system lets it. core: where its thread then stays; None: anywhere.

    patience: seconds after which a beat that has not ended is taken never to end. Then `on_hung`
    is called from another thread; should the beat end after all, it goes on.
    """

    def __init__(
        self,
        work: Callable[[], None],
        wanted: Callable[[], bool],
        *,
        costs: deque[float] | None = None,
        origin: float = 0.0,
        catch_up: int = CATCH_UP,
        patience: float = PATIENCE,
        first: bool = False,
        core: int | None = None,
        on_hung: Callable[[], None] = lambda: None,
        name: str = "antiphon-clock",
    ) -> None:
        self._work, self._wanted, self._on_hung = work, wanted, on_hung
        self._origin, self._catch_up = origin, catch_up
        self._first, self._core, self._name = first, core, name
        self.patience = patience
        self.beats = 0
        """Beats done."""
        self.missed = 0
        """Beats that were not over 80 ms after they were due."""
        self.skipped = 0
        """Beats that were let go because it was too far behind."""
        self.hangs = 0
        """Beats that did not end in time."""
        self.process_seconds: deque[float] = costs if costs is not None else remembered()
        """What each of the last beats cost."""
        self._news = threading.Condition()
        self._running = False
        self._thread: threading.Thread | None = None
        self._watchdog: Watchdog | None = None
        self._begun = 0  # beats that began
        self._going: int | None = None  # the one that goes on
        self._hung_since: float | None = None  # when it began, if it hangs

    @property
    def going(self) -> int | None:
        """The number of the beat that is going on; None between two."""
        return self._going

    @property
    def hung(self) -> float:
        """Seconds for which a beat has not ended; 0.0 while all is well."""
        since = self._hung_since
        return 0.0 if since is None else time.perf_counter() - since

    @property
    def running(self) -> bool:
        """Whether it was started, and not stopped since."""
        return self._thread is not None

    def wake(self) -> None:
        """There may be work. From any thread."""
        with self._news:
            self._news.notify()

    def start(self) -> None:
        """Begin to beat."""
        if self._thread is None:
            self._running = True
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
            self._watchdog = Watchdog(lambda: self._going, self._give_up, patience=self.patience)
            self._watchdog.start()

    def stop(self) -> None:
        """End the beat. One that hangs is left behind."""
        with self._news:
            self._running = False
            self._news.notify()
        if self._thread is not None:
            while self._thread.is_alive() and self._hung_since is None:
                self._thread.join(SECONDS)
            self._thread = None
        if self._watchdog is not None:
            self._watchdog.stop()
            self._watchdog = None

    def _run(self) -> None:
        # An ordinary thread must be free to go where its neighbours are not.
        if self._first and come_first(STEPS) and self._core is not None:
            stay_on(self._core)
        due: float | None = None
        late = _Late()
        while True:
            with self._news:
                while self._running and not self._wanted():
                    due = None
                    self._news.wait()
                if not self._running:
                    return
            now = time.perf_counter()
            if due is None:
                due = self._next(now)
            if now < due:
                time.sleep(due - now)
            elif now - due > self._catch_up * SECONDS:
                skipped = int((now - due) / SECONDS)
                self.skipped += skipped
                due += skipped * SECONDS
            took, computed = self._beat()
            due += SECONDS
            over = time.perf_counter()
            if over > due:
                self.missed += 1
                late.add(over - due, took, computed)
            elif late.beats:
                _log.warning("%s", late)
                late = _Late()

    def _next(self, now: float) -> float:
        """When the next beat is due."""
        return self._origin + math.ceil((now - self._origin) / SECONDS) * SECONDS

    def _beat(self) -> tuple[float, float]:
        """Seconds that it took, and those of them in which this thread computed."""
        began, computed = time.perf_counter(), time.thread_time()
        self._begun += 1
        self._going = self._begun
        try:
            self._work()
        except Exception:
            _log.exception("a beat failed")
        over = time.perf_counter()
        with self._news:
            self._going, hung = None, self._hung_since
            self._hung_since = None
        if hung is not None:
            _log.warning("a step returned after %.1f s; the clock goes on", over - hung)
        self.process_seconds.append(over - began)
        self.beats += 1
        return over - began, time.thread_time() - computed

    def _give_up(self, beat: int) -> None:
        """From the watchdog's thread: this beat hangs."""
        with self._news:
            if self._going != beat:
                return
            self._hung_since = time.perf_counter() - self.patience
            self.hangs += 1
        self._on_hung()


@dataclass
class _Late:
    """Beats on end that were late, for the log: was there too much to do, or no core to do it?"""

    beats: int = 0
    worst: float = 0.0
    took: float = 0.0
    computed: float = 0.0

    def add(self, late: float, took: float, computed: float) -> None:
        self.beats += 1
        self.worst = max(self.worst, late)
        self.took += took
        self.computed += computed

    def __str__(self) -> str:
        worst, took, computed = (
            f"{1e3 * seconds:.0f} ms"
            for seconds in (self.worst, self.took / self.beats, self.computed / self.beats)
        )
        return (
            f"{self.beats} beats on end were late, {worst} at the worst; "
            f"each took {took} on average, {computed} of them computing"
        )
