"""Many calls on one beat: every 80 ms each of them hears a frame and says one.

In: samples of callers, in pieces of any size, at any time. Out: once a beat and call, that beat's
events. Nobody waits for a call whose input is late: it is left out of a beat or two while its
agent is silent, so that no hole is torn into a word, and then hears silence in the place of what
is missing. What came in a burst is heard at one frame a beat; what outgrows the backlog is dropped
and counted.

The slots stand in groups, an engine each, and every thread has groups of its own to step. A group's
size never changes, so that a call's result does not depend on how many others there are. The clock
knows nothing of sockets, protocols or event loops.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, SkipValidation

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.quick_resample import QuickResampler
from antiphon.corpus.delivery import OWN, Delivery
from antiphon.errors import AntiphonError, AudioError
from antiphon.runtime.agent import Agent
from antiphon.runtime.caller_buffer import BACKLOG, PREBUFFER, CallerBuffer
from antiphon.runtime.engine import END, PAD, Engine, StepInput, StepOutput, forced
from antiphon.runtime.events import Event, Samples
from antiphon.runtime.latency import AUDIBLE
from antiphon.runtime.metronome import CATCH_UP, Metronome, remembered
from antiphon.runtime.priority import core_of
from antiphon.runtime.session import SECONDS, Session
from antiphon.runtime.watchdog import PATIENCE

GROUP = 4  # slots of an engine: a step for one of four costs what a step for all four does
HUSH = 6  # frames for which an agent that was stopped stays silent whatever it wants

_log = logging.getLogger(__name__)


class ClockFull(AntiphonError):
    """Every slot of the clock is taken."""


class ClockHung(ClockFull):
    """A step of the network does not return; the clock stands until it does."""


class HeardEvent(BaseModel):
    """The caller's side of a beat: the first of its events."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    type: Literal["heard"] = "heard"
    time: float
    """Seconds of the call that have been heard, this frame included."""
    samples: Annotated[Samples, SkipValidation] = Field(repr=False)
    """The frame as the network got it, float32 [1280], 16 kHz."""
    filled: int = 0
    """How many of its samples are silence in the place of what had not come."""
    out: Annotated[StepOutput, SkipValidation] = Field(repr=False)
    """All that the network made of it: voice activity, text ids, turn, tone, confidence."""


class EndedEvent(BaseModel):
    """The clock ended a call by itself: the last of its events."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["ended"] = "ended"
    time: float
    reason: str


ClockEvent = Event | HeardEvent | EndedEvent
Tell = Callable[[Sequence[ClockEvent]], None]


class Line:
    """One call's place on a clock. Its methods may be called from any thread and return at once."""

    def __init__(self, clock: Clock, tell: Tell, seed: int, rate: int) -> None:
        self._clock, self._tell, self.seed = clock, tell, seed
        self._buffer = CallerBuffer(clock.prebuffer, clock.backlog)
        self._resample = QuickResampler(rate, SAMPLE_RATE)
        self._lock = threading.RLock()  # `tell` may close the line
        self._orders: deque[tuple[str, str]] = deque()
        self.session: _HushedSession | None = None
        """The clock's own: the call in its slot, once it has one."""
        self.engine: _Group | None = None
        """The clock's own."""
        self.open = True
        self._delivery = OWN

    @property
    def delivery(self) -> Delivery:
        """How the agent is told to speak; what it is told counts from the next beat on.

        Setting it raises BundleError for a bundle without styles.
        """
        return self._delivery

    @delivery.setter
    def delivery(self, wanted: Delivery) -> None:
        self._clock.check_delivery(wanted)
        self._delivery = wanted

    def push(self, samples: npt.ArrayLike) -> None:
        """The caller's next samples, float [N] at the line's rate, any N.

        Raises AudioError for what is not one channel of finite numbers.
        """
        new = np.asarray(samples, dtype=np.float32)
        if new.ndim != 1 or not np.isfinite(new).all():
            raise AudioError(f"a line takes one channel of finite samples, got shape {new.shape}")
        with self._lock:
            self._buffer.push(self._resample(new))

    def say(self, text: str) -> None:
        """From the next beat on the agent says `text`. Raises AntiphonError for unsayable text."""
        self._clock.check_sayable(text)
        with self._lock:
            self._orders.append(("say", text))

    def hush(self) -> None:
        """The agent ends its turn with the next beat; what is left of its voice is its coda."""
        with self._lock:
            self._orders.append(("hush", ""))

    def clear(self) -> None:
        """Forget what waits of the caller's samples."""
        with self._lock:
            self._buffer.clear()

    def flush(self) -> None:
        """Nothing more comes for now: what waits is heard without waiting for the rest."""
        with self._lock:
            self._buffer.flush()

    def close(self) -> None:
        """Leave the clock. The place is free at once; `tell` is not called again."""
        with self._lock:
            was, self.open = self.open, False
        if was:
            self._clock.leave(self)

    @property
    def backlog(self) -> float:
        """Seconds of the caller that wait."""
        return self._buffer.waiting / SAMPLE_RATE

    @property
    def dropped(self) -> float:
        """Seconds of the caller that were lost because too much waited."""
        return self._buffer.dropped / SAMPLE_RATE

    def begin(self) -> tuple[Samples, int] | None:
        """The clock's own: this beat's frame, and how much of it is fill; None: not this beat.

        Orders are carried out.
        """
        session = self.session
        assert session is not None
        with self._lock:
            orders, self._orders = self._orders, deque()
        for order, text in orders:
            if order == "say":
                session.say(text)
            else:
                session.hush()
        with self._lock:
            return self._buffer.take(may_wait=not session.busy)

    def tell(self, events: Sequence[ClockEvent]) -> None:
        """The clock's own: hand a beat's events over."""
        with self._lock:
            if self.open:
                self._tell(events)

    def end(self, reason: str) -> None:
        """The clock's own, from any thread: an EndedEvent is the last that is told."""
        now = self.session.time if self.session is not None else 0.0
        with self._lock:
            try:
                self.tell([EndedEvent(time=now, reason=reason)])
            except Exception:
                _log.exception("nobody took the end of a call")
            self.close()


class Clock:
    """`slots` places on a beat of 80 ms, in threads of its own.

    group: slots of one engine. threads: how many step engines, each its own; they are an equal part
    of a beat apart, so that they compute in turn and leave a core to those who feed them.
    `prebuffer` and `backlog` are seconds. first: the threads that step come before all others of
    the machine, where the system lets them. Without `start` the clock stands, and `beat` moves it
    by hand.

    patience: seconds after which a step that has not returned is taken never to return. Then the
    lines of that thread's engines are ended from another thread, `on_hung` is told why, and `open`
    raises ClockHung; should the step return after all, the clock goes on.

    >>> with Clock(agent, slots=16) as clock:                 # doctest: +SKIP
    ...     line = clock.open(lambda events: ...)
    ...     line.push(samples)
    """

    def __init__(
        self,
        agent: Agent,
        slots: int,
        *,
        group: int = GROUP,
        threads: int = 1,
        prebuffer: float = PREBUFFER,
        backlog: float = BACKLOG,
        catch_up: int = CATCH_UP,
        patience: float = PATIENCE,
        first: bool = False,
        on_hung: Callable[[str], None] | None = None,
    ) -> None:
        if slots < 1 or group < 1 or threads < 1:
            raise AntiphonError("a clock needs at least one slot, one group and one thread")
        if agent.bundle.manifest.batch != "dynamic":
            group = agent.bundle.manifest.batch
        self.slots, self.prebuffer, self.backlog = slots, prebuffer, backlog
        self.bundle = agent.bundle.manifest.name
        """The name of the agent's bundle."""
        self.text_lead = agent.bundle.manifest.delays.text_lead
        """Frames by which the agent's text leads its voice."""
        self.process_seconds = remembered()
        """What the last beats cost."""
        self._agent, self._on_hung = agent, on_hung
        self._lock = threading.Lock()
        self._lines: list[Line] = []
        self._groups = [_Group(agent, group, self._lock) for _ in range(-(-slots // group))]
        self._by_hand = 0  # beats
        apart = min(threads, len(self._groups))
        now = time.perf_counter()
        self._metronomes: list[Metronome] = []
        for part in range(apart):
            mine = self._groups[part::apart]
            self._metronomes.append(
                Metronome(
                    partial(_step, mine),
                    partial(_wanted, mine),
                    costs=self.process_seconds,
                    origin=now + part * SECONDS / apart,
                    catch_up=catch_up,
                    patience=patience,
                    first=first,
                    core=core_of(part, apart) if first else None,
                    on_hung=partial(self._give_up, mine, patience),
                    name=f"antiphon-step-{part}",
                )
            )

    # -- for those who call -----------------------------------------------------

    @property
    def active(self) -> int:
        """Lines that are open."""
        return len(self._lines)

    @property
    def beats(self) -> int:
        """Beats done, of each thread that steps."""
        return self._by_hand + sum(each.beats for each in self._metronomes)

    @property
    def missed(self) -> int:
        """Those of them that were not over 80 ms after they were due."""
        return sum(each.missed for each in self._metronomes)

    @property
    def skipped(self) -> int:
        """Beats that were let go because a thread was too far behind."""
        return sum(each.skipped for each in self._metronomes)

    @property
    def hangs(self) -> int:
        """Steps that did not return in time."""
        return sum(each.hangs for each in self._metronomes)

    @property
    def hung(self) -> float:
        """Seconds for which a step has not returned; 0.0 while the clock is well."""
        return max(each.hung for each in self._metronomes)

    def open(self, tell: Tell, *, seed: int = 0, rate: int = SAMPLE_RATE) -> Line:
        """A place on the clock from the next beat on; `rate` (Hz) is that of what will be pushed.

        `tell` is called once a beat, from one of the clock's threads, with that beat's events: a
        HeardEvent, an AudioEvent and what else there was; after an EndedEvent no more, and not for
        a beat that the line is left out of. It must only hand them over. Raises ClockFull, and
        ClockHung where it would not be called.
        """
        line = Line(self, tell, seed, rate)
        with self._lock:
            if self.hung:
                raise ClockHung("the engine does not answer")
            if len(self._lines) >= self.slots:
                raise ClockFull(f"all {self.slots} places are taken")
            # The fullest engine that has room, so that few are stepped.
            group = max((g for g in self._groups if g.free), key=lambda g: len(g.lines))
            group.lines.append(line)
            line.engine = group
            self._lines.append(line)
        self._wake()
        return line

    def check_sayable(self, text: str) -> None:
        """Raises AntiphonError when there is nothing in `text` that the voice can say."""
        self._agent.pieces.words(text)

    def check_delivery(self, wanted: Delivery) -> None:
        """Raises BundleError for a style or a speed where the bundle knows none."""
        self._groups[0].engine.check_delivery(wanted)

    def leave(self, line: Line) -> None:
        """Called by a line that was closed."""
        with self._lock:
            if line not in self._lines:
                return
            self._lines.remove(line)
            group, line.engine = line.engine, None
            assert group is not None
            group.lines.remove(line)
            group.gone.append(line)
        self._wake()

    # -- the beat ---------------------------------------------------------------

    def start(self) -> None:
        """Begin to beat; the first call is not the one that waits for cold engines."""
        if self._metronomes[0].running:
            return
        for group in self._groups:
            group.engine.warm()
        for each in self._metronomes:
            each.start()

    def stop(self) -> None:
        """End the beat; lines that are open hear nothing more. A step that hangs is left behind."""
        for each in self._metronomes:
            each.stop()

    def __enter__(self) -> Clock:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def beat(self) -> None:
        """One beat, now: every open line hears a frame and is told what came of it."""
        _step(self._groups)
        self._by_hand += 1

    def _wake(self) -> None:
        for each in self._metronomes:
            each.wake()

    def _give_up(self, groups: Sequence[_Group], patience: float) -> None:
        """From a watchdog's thread: a step hangs. Its lines end, for nothing will come."""
        with self._lock:
            lines = [line for group in groups for line in group.lines]
        reason = f"engine: a step has not returned for {patience:.1f} s"
        _log.error("%d calls end: %s", len(lines), reason)
        for line in lines:
            line.end(reason)
        if self._on_hung is not None:
            self._on_hung(f"{reason}; {len(lines)} calls were on it")


class _HushedSession(Session):
    """A session whose agent can be stopped."""

    _hushed = 0

    @property
    def busy(self) -> bool:
        """Whether the agent speaks, or is to: then its frames must not stop."""
        out = self.last
        if self.saying or self._hushed:
            return True
        return out is not None and (
            int(np.argmax(out.turn)) != 0 or float(np.abs(out.agent).max()) >= AUDIBLE
        )

    def hush(self) -> None:
        """End the agent's turn with the next frame, and keep it silent for a moment."""
        self._script = None
        self._hushed = HUSH

    def next_input(self) -> tuple[int, StepInput]:
        if not self._hushed:
            return super().next_input()
        script, self._script = self._script, None  # words given meanwhile come after the end
        slot, given = super().next_input()
        self._script = script
        given = forced(given, END if self._hushed == HUSH else PAD)
        self._hushed = 0 if script is not None else self._hushed - 1
        return slot, given


@dataclass(eq=False)
class _Group:
    """An engine and the lines in its slots, which are the clock's to put there and take away."""

    agent: Agent
    size: int
    lock: threading.Lock
    """The clock's: it guards the two lists."""
    lines: list[Line] = field(default_factory=list["Line"])
    """Open ones; those without a session get theirs with the next beat."""
    gone: list[Line] = field(default_factory=list["Line"])
    """Closed ones, whose sessions still have their slots."""

    def __post_init__(self) -> None:
        self.engine: Engine = self.agent.engine(self.size)

    @property
    def free(self) -> bool:
        return len(self.lines) < self.size

    def seats(self) -> list[Line]:
        """Free the slots of lines that are gone, and give one to those that are new."""
        with self.lock:
            gone, self.gone = self.gone, []
            lines = list(self.lines)
        for line in gone:
            if line.session is not None:
                line.session.close()
                line.session = None
        for line in lines:
            if line.session is None:
                try:
                    self._seat(line)
                except Exception as error:
                    _log.exception("a call could not be begun")
                    line.end(f"the call could not be begun: {error}")
        return lines

    def _seat(self, line: Line) -> None:
        agent = self.agent
        line.session = _HushedSession(
            self.engine,
            agent.pieces,
            agent.vocabulary,
            seed=line.seed,
            delivery=line.delivery,
        )

    def step(self) -> None:
        """A frame of every line. What fails ends the lines that it concerns, and no other."""
        given: dict[int, StepInput] = {}
        heard: dict[int, tuple[Line, _HushedSession, Samples, int]] = {}
        lines = self.seats()
        for line in lines:
            session = line.session
            if not line.open or session is None:
                continue
            try:
                taken = line.begin()
                if taken is None:
                    continue
                frame, filled = taken
                session.feed(frame)
                session.delivery = line.delivery
                slot, wanted = session.next_input()
            except Exception as error:
                self._fail([line], error)
                continue
            given[slot] = wanted
            heard[slot] = (line, session, frame, filled)
        if not given:
            return
        try:
            outputs = self.engine.step(given)
        except Exception as error:
            # What the engine's buffers hold now is not known, of those left out of this beat too.
            self._fail([line for line in lines if line.open], error)
            self.engine = self.agent.engine(self.size)
            return
        for slot, (line, session, frame, filled) in heard.items():
            out = outputs[slot]
            try:
                if not np.isfinite(out.agent).all():
                    raise AntiphonError("the network gave NaN")
                session.accept(out)
                told: list[ClockEvent] = [
                    HeardEvent(time=session.time, samples=frame, filled=filled, out=out)
                ]
                told += session.events()
                line.tell(told)
            except Exception as error:
                self._fail([line], error)

    def _fail(self, lines: Sequence[Line], error: Exception) -> None:
        _log.error("%d calls end: %s", len(lines), error, exc_info=error)
        for line in lines:
            line.end(f"engine: {str(error) or type(error).__name__}")


def _step(groups: Sequence[_Group]) -> None:
    for group in groups:
        if group.lines or group.gone:
            group.step()


def _wanted(groups: Sequence[_Group]) -> bool:
    return any(group.lines or group.gone for group in groups)
