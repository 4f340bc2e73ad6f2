"""The thread that commits: steps of all calls, in batches, at once for a finished turn."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError

from antiphon.serving.store.audit import Ledger
from antiphon.serving.store.database import reason
from antiphon.serving.store.journal import Journal
from antiphon.serving.store.records import Happened, Step, apply

_LOG = logging.getLogger(__name__)

_AGAIN = 1.0  # seconds before a database that failed is tried again
_BATCH = 2_000  # steps a transaction
_LAST = 10.0  # seconds that the end of a server waits for a database that fails
GONE = (OperationalError, InterfaceError, TimeoutError)
"""What a database that is away raises."""


@dataclass(frozen=True, slots=True)
class Journaled:
    """A step and its number in the journal; 0 for one that is not journaled."""

    step: Step
    number: int = 0


class Writer(threading.Thread):
    """Commits what is put on it. `put` may be called from any thread and returns at once.

    A database that is away is tried again and again, while steps wait; beyond `backlog` events
    are dropped, finished turns never. A step that the database refuses is dropped and logged, so
    that it does not stop the others. `erased` is told of calls that were erased by others.
    """

    def __init__(
        self,
        ledger: Ledger,
        journal: Journal,
        *,
        commit_seconds: float = 0.25,
        backlog: int = 50_000,
        erased: Callable[[set[str]], None] | None = None,
    ) -> None:
        super().__init__(name="antiphon-store", daemon=True)
        self._ledger, self._journal = ledger, journal
        self._commit_seconds, self._backlog = commit_seconds, backlog
        self._erased = erased
        self._queue: deque[Journaled] = deque()
        self._wake = threading.Event()
        self._idle = threading.Condition()
        self._ends: float | None = None
        self.problem: str | None = None
        """Why nothing can be committed at present; None when all is well."""
        self.lost = 0
        """Events that were dropped because the database was away for too long."""
        self.refused = 0
        """Steps that the database would not take."""
        self.commits = 0
        self.commit_seconds: deque[float] = deque(maxlen=1_000)
        """What the last commits took."""

    @property
    def waiting(self) -> int:
        """Steps that are not committed."""
        return len(self._queue)

    def put(self, step: Step, number: int = 0, *, at_once: bool = False) -> None:
        """Commit a step soon, or at once; `number` is its place in the journal."""
        if isinstance(step, Happened) and len(self._queue) >= self._backlog:
            self.lost += 1
            return
        self._queue.append(Journaled(step, number))
        if at_once:
            self._wake.set()

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until all that was put is committed; whether it was within `timeout` seconds."""
        self._wake.set()
        with self._idle:
            return self._idle.wait_for(lambda: not self._queue, timeout)

    def stop(self) -> bool:
        """Commit what waits and end the thread; whether everything could be committed."""
        self._ends = time.monotonic()
        self._wake.set()
        if self.is_alive():
            self.join()
        return not self._queue

    def run(self) -> None:
        """The thread's body."""
        while True:
            self._wake.wait(self._commit_seconds)
            self._wake.clear()
            ends = self._ends
            try:
                while self._queue:
                    self._commit_some()
            except GONE as error:
                if self.problem is None:
                    _LOG.error(
                        "%s: nothing can be stored: %s", self._ledger.database.name, reason(error)
                    )
                self.problem = f"nothing can be stored: {reason(error)}"
                if ends is not None and time.monotonic() - ends > _LAST:
                    return
                time.sleep(min(_AGAIN, self._commit_seconds) if ends is not None else _AGAIN)
                self._wake.set()
                continue
            except Exception:  # the thread must live on: every other call needs it
                _LOG.exception("%s: storing failed", self._ledger.database.name)
                time.sleep(self._commit_seconds)
            with self._idle:
                self._idle.notify_all()
            if ends is not None:
                return

    def _commit_some(self) -> None:
        """Commit the oldest steps and take them off the queue."""
        batch = [self._queue[place] for place in range(min(_BATCH, len(self._queue)))]
        started = time.perf_counter()
        erased, refused = commit(self._ledger, [item.step for item in batch])
        self.refused += refused
        self.commit_seconds.append(time.perf_counter() - started)
        self.commits += 1
        if self.problem is not None:
            _LOG.warning("%s: storing again", self._ledger.database.name)
            self.problem = None
        for _ in batch:
            self._queue.popleft()
        numbers = [item.number for item in batch if item.number]
        if numbers:
            self._journal.committed(max(numbers))
        if erased and self._erased is not None:
            self._erased(erased)


def commit(ledger: Ledger, steps: Sequence[Step]) -> tuple[set[str], int]:
    """Bring steps into the database: (calls that were erased, steps that it refused).

    Raises what `GONE` names when the database is away.
    """
    try:
        with ledger.write() as session:
            return apply(session, steps), 0
    except GONE:
        raise
    except Exception as error:
        if len(steps) == 1:
            _LOG.error(
                "%s: a step of %s (%s) is refused: %s",
                ledger.database.name,
                steps[0].call_id,
                steps[0].kind,
                reason(error),
            )
            return set(), 1
    # One of them is at fault: find it, so that the others are kept.
    half = len(steps) // 2
    first, second = commit(ledger, steps[:half]), commit(ledger, steps[half:])
    return first[0] | second[0], first[1] + second[1]
