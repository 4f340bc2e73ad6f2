"""The cascade's recogniser beside the network: what a second ear makes of the caller's turn.

In: the caller's frames, each with whether a voice is in it. Out: the turn's words and how well they
fit its sound, once they are asked for. The two ears go wrong on different turns, so each can mend
the other (docs/experiments/reading.md). It costs about half a core while a caller speaks and works
beside the beat: what is not there in time is done without.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING

from antiphon.audio import FRAME_RATE
from antiphon.runtime.events import Samples

if TYPE_CHECKING:
    from antiphon.cascade.recogniser import Heard
    from antiphon.cascade.session import Listener

_ONSET = 2  # frames of voice on end that open a turn
_PRE_ROLL = 5  # frames before them that are heard too: quiet first consonants
_OVER = round(2.0 * FRAME_RATE)  # frames of silence that end a turn that nobody asked for
_LONGEST = round(20.0 * FRAME_RATE)  # frames of a turn
_BEHIND = round(2.0 * FRAME_RATE)  # frames that may wait; a recogniser further behind is no help


class SecondEar:
    """One call's. `executor`: where the recogniser works; None: within `push`.

    done: told when the recogniser is free again.
    """

    def __init__(
        self,
        recogniser: Listener,
        executor: Executor | None = None,
        *,
        done: Callable[[], None] | None = None,
    ) -> None:
        self._recogniser, self._executor, self._done = recogniser, executor, done
        self._before: deque[Samples] = deque(maxlen=_PRE_ROLL)
        self._open = self.closed = False
        self._voiced = self._quiet = self._length = 0  # frames
        self._asked = 0  # turns that were asked for
        self._found: tuple[int, Heard | None] = (0, None)
        self._todo: deque[Callable[[], None]] = deque()
        self._work: Future[None] | None = None
        self._lock = threading.Lock()

    # -- the beat ---------------------------------------------------------------

    def push(self, samples: Samples, *, voiced: bool) -> None:
        """The caller's next frame, float32 [1280] at 16 kHz."""
        if self.closed:
            return
        self._voiced = self._voiced + 1 if voiced else 0
        if not self._open:
            self._before.append(samples)
            if self._voiced >= _ONSET and len(self._todo) < _BEHIND:
                self._begin()
        else:
            self._hear(samples)
            self._quiet = 0 if voiced else self._quiet + 1
            if self._quiet >= _OVER or self._length >= _LONGEST:
                self._end(self._drop)
        self._go_on()

    def finish(self) -> None:
        """The turn is over and its words are wanted; without an open turn, those of the last."""
        if self._open and not self.closed:
            self._asked += 1
            number = self._asked
            self._end(lambda: self._tell(number))
            self._go_on()

    @property
    def busy(self) -> bool:
        """Whether words that were asked for are not there yet."""
        return self._found[0] < self._asked and not self.closed

    @property
    def heard(self) -> Heard | None:
        """The turn that was last asked for; None: it is no sentence, or another has begun."""
        return None if self._open or self.busy else self._found[1]

    def close(self) -> None:
        """The call is over, or the recogniser is needed elsewhere."""
        if self.closed:
            return
        self.closed = True
        if self._work is not None and not self._work.done():
            self._work.add_done_callback(lambda _: self._free())
        else:
            self._free()

    def _begin(self) -> None:
        self._open, self._quiet, self._length = True, 0, 0
        self._found = (self._found[0], None)
        self._todo.append(self._recogniser.open)
        for samples in self._before:
            self._hear(samples)
        self._before.clear()

    def _hear(self, samples: Samples) -> None:
        self._length += 1
        self._todo.append(lambda: self._recogniser.push(samples))

    def _end(self, task: Callable[[], None]) -> None:
        self._open, self._voiced = False, 0
        self._todo.append(task)

    # -- the recogniser ---------------------------------------------------------

    def _go_on(self) -> None:
        if self._executor is None:
            self._run()
        elif self._work is None or self._work.done():
            self._work = self._executor.submit(self._run)

    def _run(self) -> None:
        with self._lock:
            while self._todo and not self.closed:
                self._todo.popleft()()

    def _tell(self, number: int) -> None:
        self._found = (number, self._recogniser.close())

    def _drop(self) -> None:
        self._recogniser.close()

    def _free(self) -> None:
        if self._done is not None:
            self._done()
