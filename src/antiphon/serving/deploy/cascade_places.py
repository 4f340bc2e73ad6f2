"""Places on which the cascade answers, so that it can hear the callers of a bundle as a shadow.

In: the caller, 80 ms at a time. Out: what a clock tells of a call, with the cascade's voice and
words. One thread steps all of them: they are recorded and nobody waits for them. Needs
`antiphon[cascade]`.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

import numpy as np
import numpy.typing as npt

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.audio.quick_resample import QuickResampler
from antiphon.cascade import Cascade, CascadeSession
from antiphon.cascade.session import TICK
from antiphon.corpus.delivery import OWN, Delivery
from antiphon.corpus.scenario import Scenario
from antiphon.errors import AntiphonError
from antiphon.runtime.caller_buffer import BACKLOG, PREBUFFER, CallerBuffer
from antiphon.runtime.clock import ClockEvent, ClockFull, EndedEvent, HeardEvent, Tell
from antiphon.runtime.events import AudioEvent, Samples
from antiphon.runtime.metronome import Metronome
from antiphon.serving.call import nobody

Sessions = Callable[[int], AbstractContextManager[CascadeSession]]
"""Gives a call's session for a seed."""

_log = logging.getLogger(__name__)


def sessions_of(scenario: Scenario, ready: int = 1) -> Sessions:
    """The cascade of a scenario, with `ready` recognisers in hand; takes seconds.

    Raises VoiceError without a voice to speak with.
    """
    cascade = Cascade(scenario)
    with ExitStack() as stack:
        for _ in range(ready):
            stack.enter_context(cascade.session())
    return cascade.session


class CascadePlaces:
    """`slots` places on one beat of 80 ms; a `runtime.places.Places`.

    prebuffer, backlog: seconds of the caller that are kept in hand, and that may wait at most.
    """

    bundle = "cascade"
    text_lead = 0
    hung = 0.0
    hangs = 0

    def __init__(
        self,
        sessions: Sessions,
        slots: int,
        *,
        prebuffer: float = PREBUFFER,
        backlog: float = BACKLOG,
    ) -> None:
        self.slots, self.prebuffer, self.backlog = slots, prebuffer, backlog
        self._sessions = sessions
        self._places: list[CascadePlace] = []
        self._lock = threading.Lock()
        self._metronome = Metronome(self.beat, lambda: bool(self._places), name="antiphon-cascade")

    @property
    def beats(self) -> int:
        """Beats done."""
        return self._metronome.beats

    @property
    def missed(self) -> int:
        """Beats that were not over 80 ms after they were due."""
        return self._metronome.missed

    @property
    def process_seconds(self) -> deque[float]:
        """What the last beats cost."""
        return self._metronome.process_seconds

    @property
    def active(self) -> int:
        """Places that are taken."""
        return len(self._places)

    def open(self, tell: Tell, *, seed: int = 0, rate: int = SAMPLE_RATE) -> CascadePlace:
        """A place, as `clock.Clock.open` gives it. Raises ClockFull."""
        with self._lock:
            if len(self._places) >= self.slots:
                raise ClockFull(f"all {self.slots} places are taken")
            place = CascadePlace(self, tell, seed, rate)
            self._places.append(place)
        self._metronome.wake()
        return place

    def check_sayable(self, text: str) -> None:
        """The cascade's voice says whatever is written."""

    def check_delivery(self, wanted: Delivery) -> None:
        """Raises AntiphonError for a style or a speed: the cascade has one voice."""
        if wanted != OWN:
            raise AntiphonError("the cascade knows no styles and no speeds")

    def leave(self, place: CascadePlace) -> None:
        """Called by a place that was closed."""
        with self._lock:
            if place in self._places:
                self._places.remove(place)

    def session(self, seed: int) -> AbstractContextManager[CascadeSession]:
        """The session of a new call."""
        return self._sessions(seed)

    def start(self) -> None:
        """Begin to beat."""
        self._metronome.start()

    def stop(self) -> None:
        """End the beat; places that are open hear nothing more."""
        self._metronome.stop()

    def beat(self) -> None:
        """One beat, now."""
        with self._lock:
            places = list(self._places)
        for place in places:
            place.step()


class CascadePlace:
    """One call's place; a `runtime.places.Place`."""

    def __init__(self, places: CascadePlaces, tell: Tell, seed: int, rate: int) -> None:
        self._places, self._tell, self._seed = places, tell, seed
        self._buffer = CallerBuffer(places.prebuffer, places.backlog)
        self._resample = QuickResampler(rate, SAMPLE_RATE)
        self._lock = threading.RLock()
        self._said: list[str] = []
        self._open = True
        self._held = ExitStack()
        self._session: CascadeSession | None = None
        self._time = 0.0

    @property
    def delivery(self) -> Delivery:
        """The cascade's own; setting another raises AntiphonError."""
        return OWN

    @delivery.setter
    def delivery(self, wanted: Delivery) -> None:
        self._places.check_delivery(wanted)

    @property
    def backlog(self) -> float:
        """Seconds of the caller that wait."""
        return self._buffer.waiting / SAMPLE_RATE

    @property
    def dropped(self) -> float:
        """Seconds of the caller that were lost because too much waited."""
        return self._buffer.dropped / SAMPLE_RATE

    def push(self, samples: npt.ArrayLike) -> None:
        """The caller's next samples, float [N] at the place's rate."""
        with self._lock:
            self._buffer.push(self._resample(np.asarray(samples, dtype=np.float32)))

    def say(self, text: str) -> None:
        """From the next beat on the cascade says `text`."""
        with self._lock:
            self._said.append(text)

    def hush(self) -> None:
        """Nobody hears a shadow, so nobody stops it."""

    def clear(self) -> None:
        """Forget what waits of the caller's samples."""
        with self._lock:
            self._buffer.clear()

    def flush(self) -> None:
        """Nothing more comes for now."""
        with self._lock:
            self._buffer.flush()

    def close(self) -> None:
        """The place is free at once; `tell` is not called again."""
        with self._lock:
            if not self._open:
                return
            self._open = False
            self._held.close()
        self._places.leave(self)

    def step(self) -> None:
        """The places' own: a frame. What fails ends this call and no other."""
        with self._lock:
            if not self._open:
                return
            try:
                self._tell(self._frame())
            except Exception as error:
                _log.exception("a shadow of the cascade's ends")
                reason = f"cascade: {str(error) or type(error).__name__}"
                self._tell([EndedEvent(time=self._time, reason=reason)])
                self.close()

    def _frame(self) -> list[ClockEvent]:
        if self._session is None:
            self._session = self._held.enter_context(self._places.session(self._seed))
        for text in self._said:
            self._session.say(text)
        self._said.clear()
        taken = self._buffer.take()
        frame, filled = taken if taken is not None else (np.zeros(FRAME, np.float32), FRAME)
        voice: list[Samples] = []
        told: list[ClockEvent] = []
        for at in range(0, FRAME, TICK):
            out = self._session.push(frame[at : at + TICK])
            voice.append(out.agent)
            told += out.told
        self._time = now = self._session.time
        heard = HeardEvent(time=now, samples=frame, filled=filled, out=nobody(frame))
        return [heard, AudioEvent(time=now, samples=np.concatenate(voice)), *told]
