"""A cluster in the test's own process: a ledger, replicas, and the way between, without Ray."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from antiphon.serving.cluster.leases import Holding, Ledger
from antiphon.serving.cluster.replica import News, Order, Replica


class Killed(Exception):
    """What is met where a replica was."""


class Way:
    """The way to a replica, which can be cut (an error) or blocked (no answer)."""

    def __init__(self, replica: Replica) -> None:
        self.replica, self.cut, self.blocked = replica, False, False

    async def hear(self, gateway: str, life: int, orders: Sequence[Order]) -> None:
        await self._pass()
        await self.replica.hear(gateway, life, orders)

    async def listen(self, gateway: str, life: int) -> News:
        await self._pass()
        news = await self.replica.listen(gateway, life)
        await self._pass()
        return news

    async def _pass(self) -> None:
        if self.cut:
            raise Killed
        if self.blocked:
            await asyncio.sleep(3600)


class LocalDesk:
    """The ledger by its methods; replicas report from a thread, as often as they would."""

    def __init__(self) -> None:
        self.ledger, self.ways = Ledger(), dict[str, Way]()
        self.away = False  # whether the ledger does not answer
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._reporting, daemon=True)
        self._thread.start()

    def add(self, replica: Replica) -> Way:
        way = self.ways[replica.name] = Way(replica)
        self._report(way)
        return way

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        for way in self.ways.values():
            way.replica.stop()

    def do(self, what: str, *args: Any) -> Any:
        """A method of the ledger, now."""
        with self._lock:
            return getattr(self.ledger, what)(time.monotonic(), *args)

    def used(self) -> dict[str, int]:
        return {shown.replica: shown.used for shown in self.do("show")}

    def wait(self, true: Callable[[], Any], seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, "it did not come about"
            time.sleep(0.01)

    async def visit(self, holder: str, bundle: str, *, want: int, back: Sequence[str]) -> Holding:
        if self.away:
            raise Killed
        with self._lock:
            return self.ledger.visit(time.monotonic(), holder, bundle, want=want, back=back)

    async def lost(self, replica: str, life: int) -> None:
        self.do("lost", replica, life)

    async def reach(self, replica: str) -> Way:
        return self.ways[replica]

    def _report(self, way: Way) -> None:
        if not way.cut and not way.blocked and not self.away:
            ended = self.do("report", way.replica.report())
            asyncio.run(way.replica.end(ended))

    def _reporting(self) -> None:
        while not self._over.wait(0.1):
            for way in list(self.ways.values()):
                self._report(way)
