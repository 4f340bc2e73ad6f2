"""Who gets a call and who is refused: capacity, limits of a key, and the drain at the end.

    Reception.open(...)  ->  LiveCall, or Refused with an HTTP status and a time to wait

A caller beyond the capacity is refused at once: nobody is queued, and nobody's call gets worse
because another one came. It knows nothing of sockets and protocols.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from pydantic import BaseModel, ConfigDict

from antiphon.audio import FRAME
from antiphon.runtime.agent import Agent
from antiphon.runtime.clock import GROUP, Clock, ClockFull, ClockHung
from antiphon.runtime.places import Places
from antiphon.runtime.session import SECONDS
from antiphon.serving.auth import Caller
from antiphon.serving.call import CallInfo, LiveCall, MakeStage, Observer
from antiphon.serving.config import ServerConfig

WIDE = 8  # slots of an engine where there are many calls
TRIAL = 7  # beats that are measured for a number of slots
NOISE = 1.02  # by how much a measured beat may be over the budget

_log = logging.getLogger(__name__)


class Refused(Exception):
    """A call that is not taken: HTTP status, error code, sentence, and when to come back."""

    def __init__(
        self, status: int, code: str, message: str, *, retry: int | None = None, reason: str = ""
    ) -> None:
        """retry: seconds; reason: the label under which refusals are counted."""
        super().__init__(message)
        self.status, self.code, self.message, self.retry = status, code, message, retry
        self.reason = reason or code

    def body(self) -> dict[str, dict[str, str | None]]:
        """The error as OpenAI's clients read it."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        if self.status == 429:
            kind = "rate_limit_error"
        return {"error": {"message": self.message, "type": kind, "param": None, "code": self.code}}

    def headers(self) -> dict[str, str]:
        """What goes with it."""
        headers = {"Retry-After": str(self.retry)} if self.retry is not None else {}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return headers


class Capacity(BaseModel):
    """How many calls this machine carries, and how that was found."""

    model_config = ConfigDict(frozen=True)

    slots: int
    threads: int
    group: int
    steps: tuple[tuple[int, float], ...] = ()
    """(slots, milliseconds of a beat with all of them), measured; () where slots were given."""
    budget_ms: float = 0.0

    def __str__(self) -> str:
        how = f"{self.slots} calls at once on {self.threads} thread(s)"
        if not self.steps:
            return f"{how}, as given"
        measured = ", ".join(f"{slots}: {cost:.1f} ms" for slots, cost in self.steps)
        return f"{how}: a beat may cost {self.budget_ms:.0f} of 80 ms; measured {measured}"


def cores() -> int:
    """The processor cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def group_of(slots: int, threads: int) -> int:
    """Slots of one engine, where nobody says: many where they give every thread as much to do.

    Sixteen calls on two threads take a beat of 42 ms in eights and of 48 in fours
    (docs/experiments/service.md); few calls are better off in small groups, which cost less.
    """
    return WIDE if slots % (WIDE * threads) == 0 else GROUP


def measure(agent: Agent, config: ServerConfig) -> Capacity:
    """Find the capacity: beats with growing numbers of calls, until one costs too much.

    Each trial is a real clock with every slot hearing noise. One call is always taken.
    """
    threads = config.threads or cores()
    if config.slots is not None:
        group = config.group or group_of(config.slots, threads)
        return Capacity(slots=config.slots, threads=threads, group=group)
    budget = config.budget * SECONDS
    steps: list[tuple[int, float]] = []

    def fits(slots: int) -> bool:
        group = config.group or group_of(slots, threads)
        cost = beat_cost(agent, slots, group=group, threads=threads)
        steps.append((slots, cost * 1e3))
        return cost <= budget * NOISE

    # Every thread gets a group more at a time; where that is too much, single groups are tried.
    least = config.group or GROUP
    stride = least * threads
    best = 0
    while best < config.most_slots and fits(min(best + stride, config.most_slots)):
        best = min(best + stride, config.most_slots)
    for slots in range(steps[-1][0] - least, best, -least):
        if fits(slots):
            best = slots
            break
    if best == 0:
        best = 1
        _log.warning("a beat of %d calls costs %.0f ms here", steps[-1][0], steps[-1][1])
    steps.sort()
    return Capacity(
        slots=best,
        threads=threads,
        group=config.group or group_of(best, threads),
        steps=tuple(steps),
        budget_ms=budget * 1e3,
    )


def beat_cost(agent: Agent, slots: int, *, group: int, threads: int) -> float:
    """Seconds that a beat with `slots` calls takes, in time: the median of a few."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(TRIAL * FRAME).astype(np.float32) * np.float32(0.05)
    with Clock(agent, slots, group=group, threads=threads) as clock:
        for seed in range(slots):
            clock.open(lambda _: None, seed=seed).push(noise)
        time.sleep(TRIAL * SECONDS)
        while not clock.process_seconds:
            time.sleep(SECONDS)
        return float(np.median(clock.process_seconds))


@dataclass(frozen=True)
class Routed:
    """Where a call goes, where that is not the reception's own clock."""

    info: CallInfo
    clock: Places
    stages: Sequence[MakeStage]


class Reception:
    """Opens calls on a clock, counts them by key, and turns callers away."""

    def __init__(
        self,
        clock: Places,
        config: ServerConfig,
        *,
        observers: Sequence[Observer] = (),
        stages: Sequence[MakeStage] = (),
        today: Callable[[], str] = lambda: datetime.now(UTC).date().isoformat(),
    ) -> None:
        self.clock, self.config = clock, config
        self.observers, self.stages = observers, stages
        self.calls: dict[str, LiveCall] = {}
        """The calls that are open, by id."""
        self.refused: Counter[str] = Counter()
        """How many calls were refused, by reason."""
        self.draining = False
        self.route: Callable[[CallInfo], Routed | None] | None = None
        """Says which version answers a call; None: the clock's (see `serving.deploy`)."""
        self._today = today
        self._used: dict[tuple[str, str], float] = {}  # (day, key): seconds of calls that are over
        self._empty = asyncio.Event()
        self._empty.set()

    def check(self, caller: Caller) -> None:
        """Raises Refused where `open` would: before a handshake."""
        try:
            self._check(caller)
        except Refused as refused:
            self.refused[refused.reason] += 1
            raise

    def _check(self, caller: Caller) -> None:
        retry = self.config.retry_seconds
        if self.draining:
            raise Refused(
                503, "server_draining", "the server is going down; try another", retry=retry
            )
        if caller.key:
            sessions = caller.sessions or self.config.sessions_per_key
            if sum(call.info.key == caller.key for call in self.calls.values()) >= sessions:
                raise Refused(
                    429,
                    "session_limit_exceeded",
                    f"this key may hold {sessions} calls at once",
                    retry=retry,
                )
            minutes = caller.minutes or self.config.minutes_per_day
            if self.used(caller.key) >= minutes * 60:
                raise Refused(
                    429,
                    "minutes_limit_exceeded",
                    f"this key has used its {minutes:g} minutes of today (UTC)",
                    retry=_until_midnight(),
                )
        if self.route is None and self.clock.hung:
            raise self._hung()
        if max(self.clock.active, len(self.calls)) >= self.clock.slots:
            raise self._full()

    def _hung(self) -> Refused:
        return Refused(
            503,
            "engine_hung",
            "the engine does not answer; try another server, or again in a moment",
            retry=self.config.retry_seconds,
        )

    def _full(self) -> Refused:
        return Refused(
            503,
            "server_full",
            f"all {self.clock.slots} lines are taken; try again in a moment",
            retry=self.config.retry_seconds,
        )

    def used(self, key: str) -> float:
        """Seconds of calls of a key today, those that are going on included."""
        now = [call.seconds for call in self.calls.values() if call.info.key == key]
        return self._used.get((self._today(), key), 0.0) + sum(now)

    def open(
        self,
        protocol: str,
        *,
        caller: Caller | None = None,
        metadata: dict[str, str] | None = None,
        seed: int | None = None,
    ) -> LiveCall:
        """A call by `protocol` ("realtime", "live", ...). Raises Refused."""
        caller = caller or Caller()
        self.check(caller)
        if seed is None:
            seed = self.config.seed if self.config.seed is not None else secrets.randbits(32)
        info = CallInfo(
            bundle=self.clock.bundle, protocol=protocol, key=caller.key, metadata=metadata or {}
        )
        place = Routed(info, self.clock, self.stages)
        if self.route is not None:
            place = self.route(info) or place
        try:
            call = LiveCall(
                place.clock,
                place.info,
                observers=self.observers,
                stages=place.stages,
                seed=seed,
                waiting=self.config.send_seconds,
                dtmf_pause=self.config.dtmf_pause,
                on_closed=self._closed,
            )
        except ClockFull as error:
            refused = self._hung() if isinstance(error, ClockHung) else self._full()
            self.refused[refused.reason] += 1
            raise refused from None
        self.calls[call.id] = call
        self._empty.clear()
        return call

    def _closed(self, call: LiveCall) -> None:
        self.calls.pop(call.id, None)
        if call.info.key:
            today = self._today()
            self._used = {at: used for at, used in self._used.items() if at[0] == today}
            at = (today, call.info.key)
            self._used[at] = self._used.get(at, 0.0) + call.seconds
        if not self.calls:
            self._empty.set()

    async def drain(self, seconds: float) -> None:
        """Take no new calls, wait for those that are open, then close them with a reason."""
        self.draining = True
        if self.calls:
            _log.info("%d calls have %.0f s to end", len(self.calls), seconds)
            try:
                async with asyncio.timeout(seconds):
                    await self._empty.wait()
            except TimeoutError:
                _log.warning("%d calls are cut off by the server's end", len(self.calls))
        for call in list(self.calls.values()):
            call.close("server: going down")


def _until_midnight() -> int:
    now = datetime.now(UTC)
    return 86_400 - (now.hour * 3600 + now.minute * 60 + now.second)
