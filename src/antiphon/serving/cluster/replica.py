"""A clock that takes orders from gateways and gives them their calls' events, a batch at a time.

    hear(gateway, orders)   what was done to its lines, in order; returns when it is done
    listen(gateway)         what came of them since the last time; waits a moment for something

Both are coroutines of one event loop (Ray's, or a test's), and nothing here knows of Ray.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from antiphon.corpus.delivery import Delivery
from antiphon.errors import AntiphonError
from antiphon.runtime.agent import Agent
from antiphon.runtime.clock import Clock, ClockEvent, EndedEvent, Line
from antiphon.runtime.events import Samples
from antiphon.serving.admission import Capacity, measure
from antiphon.serving.cluster.leases import Report
from antiphon.serving.config import ServerConfig

HOLD = 0.5  # seconds for which `listen` waits for something to tell
GATHER = 0.002  # seconds: the lines of one engine are told one after another
MOST = 8  # beats in one answer: about 90 kB; from 100 kB on Ray goes through its object store
ABANDONED = 200  # beats that nobody fetched, after which a gateway without lines is gone

Verb = Literal["open", "push", "say", "hush", "clear", "flush", "deliver", "close"]


class ReplicaConfig(BaseModel):
    """One replica: what it runs, and how much of its machine it takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: str = "cafe"
    """A bundle's name or folder, on the replica's machine."""
    slots: int | None = Field(default=None, ge=1)
    """Calls at once; None: measured when it starts."""
    threads: int = Field(default=1, ge=1)
    """Threads that step the network; a core is asked for each."""
    cores: float | None = Field(default=None, ge=0)
    """Cores to ask the cluster for in place of one a thread."""
    group: int | None = Field(default=None, ge=1)
    """Slots of one engine, as in ServerConfig."""
    prebuffer: float = Field(default=0.04, ge=0)
    """Seconds, as in ServerConfig."""
    backlog: float = Field(default=30.0, ge=0)
    """Seconds, as in ServerConfig."""
    first: bool = True
    """Whether they come before all other work of the machine, where the system lets them."""


@dataclass(frozen=True, slots=True)
class Order:
    """One thing that is done to a line. Which field counts is the verb's."""

    line: str
    """The id of the line's lease."""
    verb: Verb
    samples: Samples | None = None
    """push: float32 [N], 16 kHz."""
    text: str = ""
    """say."""
    seed: int = 0
    """open."""
    delivery: Delivery | None = None
    """deliver."""


@dataclass(frozen=True, slots=True)
class Beat:
    """What one beat gave for one line."""

    line: str
    events: Sequence[ClockEvent]
    received: int
    """Samples that the line has been pushed in all."""
    waiting: float
    """Seconds of them that wait."""
    dropped: float
    """Seconds of them that there was no room for."""
    clears: int
    """How often what waited was cleared."""


@dataclass(frozen=True, slots=True)
class News:
    """All that a gateway is told at a time."""

    beats: Sequence[Beat]
    done: int
    """Beats of the replica's clock since it began."""
    missed: int
    """Those of them that were late."""
    cost: float
    """Seconds that its last beat took."""


class ReplicaGone(AntiphonError):
    """The replica was started anew and knows nothing of the calls before."""


@dataclass(eq=False)
class _Open:
    line: Line
    gateway: str
    received: int = 0
    clears: int = 0


@dataclass(eq=False)
class _Outbox:
    beats: list[Beat] = field(default_factory=list[Beat])
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Replica:
    """A clock of `capacity.slots` lines that are had by lease."""

    def __init__(self, name: str, config: ReplicaConfig) -> None:
        """Loads the bundle, measures the machine and begins to beat. Raises AntiphonError."""
        self.name, self.life = name, time.time_ns()
        agent = Agent.load(config.bundle)
        self.capacity: Capacity = measure(
            agent,
            ServerConfig(slots=config.slots, threads=config.threads, group=config.group),
        )
        self._clock = Clock(
            agent,
            self.capacity.slots,
            group=self.capacity.group,
            threads=self.capacity.threads,
            first=config.first,
            prebuffer=config.prebuffer,
            backlog=config.backlog,
        )
        self._lines: dict[str, _Open] = {}
        self._outboxes: dict[str, _Outbox] = {}
        self._clock.start()

    def stop(self) -> None:
        """End the beat."""
        self._clock.stop()

    @property
    def hung(self) -> float:
        """Seconds for which a step has not returned; 0.0 while all is well."""
        return self._clock.hung

    # -- to the ledger --------------------------------------------------------------

    def report(self) -> Report:
        """What this replica is and holds."""
        lines = {lease: each.gateway for lease, each in list(self._lines.items())}
        slots = 0 if self._clock.hung else self.capacity.slots
        return Report(self.name, self.life, self._clock.bundle, slots, lines)

    async def end(self, leases: Collection[str]) -> None:
        """End the lines that nobody holds any more."""
        for lease in leases:
            self._end(lease, "engine: the lease on its slot ran out")

    # -- to gateways ----------------------------------------------------------------

    async def hear(self, gateway: str, life: int, orders: Sequence[Order]) -> None:
        """Carry a gateway's orders out. Raises ReplicaGone for those meant for an earlier start."""
        self._check(life)
        outbox = self._outbox(gateway)
        for order in orders:
            try:
                self._obey(gateway, outbox, order)
            except Exception as error:  # of one line, and no other's
                self._end(order.line, f"engine: {str(error) or type(error).__name__}")

    async def listen(self, gateway: str, life: int) -> News:
        """The next events of a gateway's lines; none after HOLD seconds without. Raises as hear."""
        self._check(life)
        outbox = self._outbox(gateway)
        if not outbox.beats:
            outbox.news.clear()
            try:
                async with asyncio.timeout(HOLD):
                    await outbox.news.wait()
                await asyncio.sleep(GATHER)
            except TimeoutError:
                pass
        beats, outbox.beats = outbox.beats[:MOST], outbox.beats[MOST:]
        costs = self._clock.process_seconds
        clock = self._clock
        return News(beats, clock.beats, clock.missed, costs[-1] if costs else 0.0)

    def _check(self, life: int) -> None:
        if life != self.life:
            raise ReplicaGone(f"{self.name} was started anew")

    def _outbox(self, gateway: str) -> _Outbox:
        return self._outboxes.setdefault(gateway, _Outbox())

    def _obey(self, gateway: str, outbox: _Outbox, order: Order) -> None:
        if order.verb == "open":
            self._open(gateway, outbox, order)
            return
        held = self._lines.get(order.line)
        if held is None or held.gateway != gateway:
            return  # it has ended by itself, and its gateway is about to be told
        line = held.line
        match order.verb:
            case "push" if order.samples is not None:
                line.push(order.samples)
                held.received += len(order.samples)
            case "say":
                line.say(order.text)
            case "deliver" if order.delivery is not None:
                line.delivery = order.delivery
            case "hush":
                line.hush()
            case "clear":
                line.clear()
                held.clears += 1
            case "flush":
                line.flush()
            case _:
                self._drop(order.line)

    def _open(self, gateway: str, outbox: _Outbox, order: Order) -> None:
        loop, lease = asyncio.get_running_loop(), order.line

        def tell(events: Sequence[ClockEvent]) -> None:  # from the clock's thread
            loop.call_soon_threadsafe(self._tell, lease, events)

        try:
            line = self._clock.open(tell, seed=order.seed)
        except AntiphonError as error:
            ended = EndedEvent(time=0.0, reason=f"engine: {error}")
            self._put(outbox, Beat(lease, [ended], 0, 0.0, 0.0, 0))
            return
        self._lines[lease] = _Open(line, gateway)

    def _tell(self, lease: str, events: Sequence[ClockEvent]) -> None:
        held = self._lines.get(lease)
        if held is None:
            return
        line = held.line
        beat = Beat(lease, events, held.received, line.backlog, line.dropped, held.clears)
        self._put(self._outbox(held.gateway), beat)
        if any(isinstance(event, EndedEvent) for event in events):
            self._drop(lease)

    def _put(self, outbox: _Outbox, beat: Beat) -> None:
        outbox.beats.append(beat)
        outbox.news.set()

    def _end(self, lease: str, reason: str) -> None:
        """End a line from here, and say why."""
        held = self._lines.get(lease)
        if held is None:
            return
        now = held.line.session.time if held.line.session is not None else 0.0
        self._tell(lease, [EndedEvent(time=now, reason=reason)])

    def _drop(self, lease: str) -> None:
        held = self._lines.pop(lease, None)
        if held is None:
            return
        held.line.close()
        if not any(each.gateway == held.gateway for each in self._lines.values()):
            outbox = self._outboxes.get(held.gateway)
            if outbox is not None and len(outbox.beats) > ABANDONED:
                del self._outboxes[held.gateway]
