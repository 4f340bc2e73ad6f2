"""Every ugly way to drop a session, once each; `benchmarks/ugly_sessions.py` does many more."""

from __future__ import annotations

import asyncio
import logging
from itertools import cycle
from pathlib import Path

import pytest

import ugly_sessions  # type: ignore[import-not-found]  # benchmarks/ is on the path
from tests.serving.realtime.test_socket import left_behind
from tests.serving.served import served
from ugly_sessions import LIVE, PATHS, Door  # type: ignore[import-not-found]


def test_ugly_ways_leave_nothing_behind_and_nothing_to_hear(
    tiny_bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = {id(each) for each in left_behind()}  # of servers that were stopped as they hung
    with served(tiny_bundle, slots=4, group=4, seed=7) as server:
        host, port = server.http.removeprefix("http://").split(":")

        async def every_way() -> tuple[list[str], bool]:
            listener = Door(host, int(port), LIVE)
            first = await ugly_sessions.listen(listener)
            plan = list(zip(ugly_sessions.WAYS, cycle(PATHS), strict=False))
            found: list[str] = []

            async def worker() -> None:
                while plan:
                    way, protocol = plan.pop()
                    outcome = await ugly_sessions.go(way, Door(host, int(port), protocol))
                    found.extend([f"{way.__name__}, {protocol}: {outcome}"] if outcome else [])

            await asyncio.gather(*(worker() for _ in range(4)))
            await asyncio.to_thread(server.wait_empty)
            again = await asyncio.gather(*(ugly_sessions.listen(listener) for _ in range(4)))
            return found, all(each == first for each in again)

        with caplog.at_level(logging.ERROR, logger="antiphon"):
            found, same = asyncio.run(asyncio.wait_for(every_way(), 90))
        assert found == []
        assert same, "a later session was given another sound than the first"
        server.wait_empty()
        server.wait(lambda: all(id(each) in before for each in left_behind()))
        assert [record.getMessage() for record in caplog.records if _ours(record)] == []


def _ours(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR and record.name.startswith("antiphon")
