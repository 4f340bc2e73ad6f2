"""The clock as a server sees it, whose lines are on replicas elsewhere.

A server opens a call at once or refuses it at once. So a gateway keeps a few leases in hand, visits
the ledger every half second and whenever one is taken, and the way from a lease to its replica is
open before anybody needs it. A replica that answers no more ends its calls, with a reason.

It runs in a thread of its own and knows no Ray: `Desk` is the ledger and the way to replicas.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import numpy as np
import numpy.typing as npt

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.quick_resample import QuickResampler
from antiphon.corpus.delivery import OWN, Delivery
from antiphon.errors import AudioError
from antiphon.runtime.agent import Agent
from antiphon.runtime.caller_buffer import BACKLOG, PREBUFFER
from antiphon.runtime.clock import ClockEvent, ClockFull, EndedEvent, HeardEvent, Tell
from antiphon.runtime.metronome import remembered
from antiphon.runtime.priority import LOOP, come_first
from antiphon.serving.cluster.leases import LEASE, SILENCE, Holding, Lease
from antiphon.serving.cluster.replica import HOLD, Beat, News, Order

SPARE = 4  # leases in hand: so many calls may begin within one visit
VISIT = 0.5  # seconds between visits to the ledger
PACE = 0.02  # seconds between messages to one replica: what comes meanwhile goes together
BURST = 0.05  # seconds that a call may wait for a lease while there are free slots
FRESH = LEASE / 2  # seconds after a visit for which leases in hand are trusted

_log = logging.getLogger(__name__)


class ReplicaDesk(Protocol):
    """A replica, as it is reached: `replica.Replica`, or an actor of one."""

    async def hear(self, gateway: str, life: int, orders: Sequence[Order]) -> None: ...
    async def listen(self, gateway: str, life: int) -> News: ...


class Desk(Protocol):
    """The ledger, and the way to replicas. Whatever these raise is taken for a failure of it."""

    async def visit(
        self, holder: str, bundle: str, *, want: int, back: Sequence[str]
    ) -> Holding: ...
    async def lost(self, replica: str, life: int) -> None: ...
    async def reach(self, replica: str) -> ReplicaDesk: ...


class ClusterLine:
    """One call's place on a replica; see `clock.Line`."""

    def __init__(
        self, clock: ClusterClock, wire: _Wire, lease: Lease, tell: Tell, rate: int
    ) -> None:
        self._clock, self._wire, self.lease = clock, wire, lease
        self._tell = tell
        self._resample = QuickResampler(rate, SAMPLE_RATE)
        self._lock = threading.Lock()
        self._delivery = OWN
        self.open = True
        self._time = 0.0  # seconds heard
        self._pushed = self._forgotten = 0  # samples in all; those before the last `clear`
        self._clears = 0
        self._last: Beat | None = None

    @property
    def delivery(self) -> Delivery:
        """How the agent is told to speak; setting it raises BundleError without styles."""
        return self._delivery

    @delivery.setter
    def delivery(self, wanted: Delivery) -> None:
        self._clock.check_delivery(wanted)
        self._delivery = wanted
        self._order(Order(self.lease.id, "deliver", delivery=wanted))

    def push(self, samples: npt.ArrayLike) -> None:
        """The caller's next samples, float [N] at the line's rate. Raises AudioError."""
        new = np.asarray(samples, dtype=np.float32)
        if new.ndim != 1 or not np.isfinite(new).all():
            raise AudioError(f"a line takes one channel of finite samples, got shape {new.shape}")
        with self._lock:
            moved = np.array(self._resample(new), dtype=np.float32)
            self._pushed += len(moved)
            self._order(Order(self.lease.id, "push", samples=moved))

    def say(self, text: str) -> None:
        """The agent says `text`. Raises AntiphonError for unsayable text."""
        self._clock.check_sayable(text)
        self._order(Order(self.lease.id, "say", text=text))

    def hush(self) -> None:
        """The agent ends its turn."""
        self._order(Order(self.lease.id, "hush"))

    def clear(self) -> None:
        """Forget what waits of the caller's samples."""
        with self._lock:
            self._forgotten = self._pushed
            self._clears += 1
            self._order(Order(self.lease.id, "clear"))

    def flush(self) -> None:
        """Nothing more comes for now."""
        self._order(Order(self.lease.id, "flush"))

    def close(self) -> None:
        """Leave the replica; `tell` is not called again."""
        with self._lock:
            was, self.open = self.open, False
        if was:
            self._wire.order(Order(self.lease.id, "close"))

    @property
    def backlog(self) -> float:
        """Seconds of the caller that wait, those on their way included."""
        last = self._last
        there = last is not None and last.clears == self._clears  # else it tells of what is gone
        received = last.received if last is not None else 0
        on_the_way = self._pushed - max(received, self._forgotten)
        return on_the_way / SAMPLE_RATE + (last.waiting if last is not None and there else 0.0)

    @property
    def dropped(self) -> float:
        """Seconds of the caller that were lost because too much waited."""
        return 0.0 if self._last is None else self._last.dropped

    def take(self, beat: Beat) -> None:
        """The clock's own: what the replica gave."""
        self._last = beat
        self.told(beat.events)

    def lose(self, reason: str) -> None:
        """The clock's own: the replica is gone."""
        self.told([EndedEvent(time=self._time, reason=reason)])

    def told(self, events: Sequence[ClockEvent]) -> None:
        """Hand a beat's events over; after an end there are no more."""
        if not self.open:
            return
        for event in events:
            if isinstance(event, HeardEvent):
                self._time = event.time
            elif isinstance(event, EndedEvent):
                self.open = False
        try:
            self._tell(events)
        except Exception:
            _log.exception("nobody took the events of a call")

    def _order(self, order: Order) -> None:
        if self.open:
            self._wire.order(order)


class _Wire:
    """The way to one replica: orders there, news back. Its coroutine is the clock's loop's."""

    def __init__(self, clock: ClusterClock, lease: Lease, desk: ReplicaDesk) -> None:
        self.replica, self.life = lease.replica, lease.life
        self.done = self.missed = 0  # beats
        self._clock, self._desk = clock, desk
        self.lines: dict[str, ClusterLine] = {}
        self._orders: deque[Order] = deque()
        self._told = False  # that there are orders
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        self.task = self._loop.create_task(self._run(), name=f"wire {self.replica}")

    def order(self, order: Order) -> None:
        """From any thread."""
        self._orders.append(order)
        if self._told:
            return  # whoever carries them has still to look
        self._told = True
        with suppress(RuntimeError):  # the loop is closed: the server is going down
            self._loop.call_soon_threadsafe(self._wake.set)

    async def _run(self) -> None:
        sends = self._loop.create_task(self._send())
        try:
            await asyncio.gather(sends, self._listen())
        except Exception as error:
            late = isinstance(error, TimeoutError)
            _log.error("%s is lost: %s", self.replica, error or type(error).__name__)
            said = "does not answer" if late else "was lost"
            self._clock.lost(self, f"engine: {self.replica} {said}")
        finally:
            sends.cancel()

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._told = False  # what comes from here on is for the next time, and tells of itself
            orders = [self._orders.popleft() for _ in range(len(self._orders))]
            async with asyncio.timeout(self._clock.silence):
                await self._desk.hear(self._clock.name, self.life, orders)
            for order in orders:
                if order.verb == "close":  # only now may the slot be another's
                    self._clock.give_back(self, order.line)
            await asyncio.sleep(self._clock.pace)

    async def _listen(self) -> None:
        while True:
            async with asyncio.timeout(HOLD + self._clock.silence):
                news = await self._desk.listen(self._clock.name, self.life)
            self.done, self.missed = news.done, news.missed
            if news.beats:
                self._clock.count(news)
            for beat in news.beats:
                line = self.lines.get(beat.line)
                if line is None:
                    continue
                line.take(beat)
                if not line.open and any(isinstance(each, EndedEvent) for each in beat.events):
                    self._clock.give_back(self, beat.line)


class ClusterClock:
    """Places on the replicas of a cluster that run the agent's bundle (`runtime.places.Places`).

    agent: the same bundle, for what is known without a call: its words, styles and delays.
    spare: leases in hand. prebuffer, backlog: seconds, as the replicas have them.
    silence: seconds without an answer after which a replica is lost. pace: seconds between
    messages to one replica. first: its thread comes before all ordinary ones of the machine, as
    the event loop's does that it serves.
    """

    def __init__(
        self,
        agent: Agent,
        desk: Desk,
        *,
        spare: int = SPARE,
        prebuffer: float = PREBUFFER,
        backlog: float = BACKLOG,
        silence: float = SILENCE,
        pace: float = PACE,
        first: bool = False,
    ) -> None:
        manifest = agent.bundle.manifest
        self.name = f"gateway-{secrets.token_hex(4)}"
        self.bundle, self.text_lead = manifest.name, manifest.delays.text_lead
        self.prebuffer, self.backlog = prebuffer, backlog
        self.silence, self.pace, self._first = silence, pace, first
        self.process_seconds = remembered()
        """What a replica's last beat cost, with each batch."""
        self.hung = 0.0
        """Seconds: a replica whose engine hangs offers no slots, and so this clock never does."""
        self.hangs = 0
        """Replicas that were lost."""
        self._agent, self._desk, self._spare = agent, desk, spare
        self._engine = agent.engine(1)  # knows which deliveries there are
        self._news = threading.Condition()  # guards what follows
        self._hand: deque[Lease] = deque()
        self._used: dict[str, ClusterLine] = {}
        self._back: list[str] = []
        self._wires: dict[tuple[str, int], _Wire] = {}
        self._dead: set[tuple[str, int]] = set()
        self._free, self._visited = 0, float("-inf")
        self._done_before = self._missed_before = 0  # beats of replicas that are let go
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hurry: asyncio.Event | None = None
        self._main: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None

    # -- for those who call -----------------------------------------------------------

    @property
    def slots(self) -> int:
        """Calls that this server holds or could: leases in hand and free slots included."""
        with self._news:
            could = len(self._hand) + self._free if self._fresh else 0
            return self.active + could

    @property
    def active(self) -> int:
        """Lines that are open."""
        return sum(line.open for line in list(self._used.values()))

    @property
    def beats(self) -> int:
        """Beats of the replicas that this server has had calls on."""
        return self._done_before + sum(wire.done for wire in list(self._wires.values()))

    @property
    def missed(self) -> int:
        """Those of them that were late."""
        return self._missed_before + sum(wire.missed for wire in list(self._wires.values()))

    def open(self, tell: Tell, *, seed: int = 0, rate: int = SAMPLE_RATE) -> ClusterLine:
        """A place on a replica; as `Clock.open`. Raises ClockFull."""
        with self._news:
            if not self._hand and self._free and self._fresh:
                self._news.wait_for(lambda: bool(self._hand), BURST)
            if not self._hand or not self._fresh:
                raise ClockFull("no replica has a free slot")
            lease = self._hand.popleft()
            wire = self._wires[lease.replica, lease.life]
            line = ClusterLine(self, wire, lease, tell, rate)
            self._used[lease.id] = wire.lines[lease.id] = line
            wire.order(Order(lease.id, "open", seed=seed))
        self._visit_soon()
        return line

    def check_sayable(self, text: str) -> None:
        """Raises AntiphonError when there is nothing in `text` that the voice can say."""
        self._agent.pieces.words(text)

    def check_delivery(self, wanted: Delivery) -> None:
        """Raises BundleError for a style or a speed where the bundle knows none."""
        self._engine.check_delivery(wanted)

    def start(self) -> None:
        """Begin to hold leases; waits a moment for the first."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=lambda: asyncio.run(self._run()), name="antiphon-cluster", daemon=True
            )
            self._thread.start()
            with self._news:
                self._news.wait_for(lambda: bool(self._hand), 2 * VISIT)

    def stop(self) -> None:
        """Give every lease back; lines that are open hear nothing more."""
        loop, main, thread = self._loop, self._main, self._thread
        if loop is None or main is None or thread is None:
            return
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(main.cancel)
        thread.join()
        self._thread = None

    # -- in the thread ------------------------------------------------------------------

    async def _run(self) -> None:
        if self._first:
            come_first(LOOP)
        self._loop, self._hurry = asyncio.get_running_loop(), asyncio.Event()
        self._main = self._loop.create_task(self._keep())
        with suppress(asyncio.CancelledError):
            await self._main
        for wire in list(self._wires.values()):
            wire.task.cancel()
        held = [*self._back, *self._used, *(lease.id for lease in self._hand)]
        with suppress(Exception):
            async with asyncio.timeout(1.0):
                await self._desk.visit(self.name, self.bundle, want=0, back=held)

    async def _keep(self) -> None:
        """Visit the ledger, again and again."""
        assert self._hurry is not None
        well = True
        while True:
            self._hurry.clear()
            try:
                await self._visit()
                well = True
            except Exception as error:
                if well:
                    _log.error("the ledger does not answer: %s", error or type(error).__name__)
                well = False
            with suppress(TimeoutError):
                async with asyncio.timeout(VISIT):
                    await self._hurry.wait()

    async def _visit(self) -> None:
        now = time.monotonic()
        with self._news:
            back = tuple(self._back)
            want = max(0, self._spare - len(self._hand))
        async with asyncio.timeout(self.silence):
            holding = await self._desk.visit(self.name, self.bundle, want=want, back=back)
        for lease in holding.leases:
            await self._connect(lease)
        with self._news:
            self._back = [lease for lease in self._back if lease not in back]
            self._hand.clear()
            for lease in holding.leases:
                if lease.id in self._used or lease.id in back or lease.id in self._back:
                    continue
                if lease.draining or (lease.replica, lease.life) not in self._wires:
                    self._back.append(lease.id)
                else:
                    self._hand.append(lease)
            self._free, self._visited = holding.free, now
            self._news.notify_all()
            self._cut()
            if self._back:
                self._visit_soon()

    async def _connect(self, lease: Lease) -> None:
        at = lease.replica, lease.life
        if at in self._wires or at in self._dead:
            return
        try:
            async with asyncio.timeout(self.silence):
                desk = await self._desk.reach(lease.replica)
        except Exception as error:
            _log.error("%s cannot be reached: %s", lease.replica, error or type(error).__name__)
            self._dead.add(at)
            await self._desk.lost(*at)
            return
        self._wires[at] = _Wire(self, lease, desk)

    def _cut(self) -> None:
        """Let go of the ways that lead to no lease."""
        needed = {(lease.replica, lease.life) for lease in self._hand}
        needed |= {(line.lease.replica, line.lease.life) for line in self._used.values()}
        for at in [at for at in self._wires if at not in needed]:
            wire = self._wires.pop(at)
            self._let_go(wire)
            wire.task.cancel()

    def _let_go(self, wire: _Wire) -> None:
        self._done_before += wire.done
        self._missed_before += wire.missed

    def lost(self, wire: _Wire, reason: str) -> None:
        """A wire's own: its replica is gone, and so are its calls."""
        at = wire.replica, wire.life
        with self._news:
            self._dead.add(at)
            self.hangs += 1
            self._wires.pop(at, None)
            self._let_go(wire)
            self._hand = deque(each for each in self._hand if (each.replica, each.life) != at)
            for lease in wire.lines:
                self._used.pop(lease, None)
                self._back.append(lease)
        for line in list(wire.lines.values()):
            line.lose(reason)
        assert self._loop is not None
        self._telling = self._loop.create_task(self._tell_lost(at))

    async def _tell_lost(self, at: tuple[str, int]) -> None:
        with suppress(Exception):
            await self._desk.lost(*at)
        self._visit_soon()

    def give_back(self, wire: _Wire, lease: str) -> None:
        """A wire's own: a line has ended over there too."""
        with self._news:
            wire.lines.pop(lease, None)
            if self._used.pop(lease, None) is not None:
                self._back.append(lease)
        self._visit_soon()

    def count(self, news: News) -> None:
        """A wire's own: beats have come."""
        self.process_seconds.append(news.cost)

    @property
    def _fresh(self) -> bool:
        return time.monotonic() - self._visited < FRESH

    def _visit_soon(self) -> None:
        loop, hurry = self._loop, self._hurry
        if loop is not None and hurry is not None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(hurry.set)
