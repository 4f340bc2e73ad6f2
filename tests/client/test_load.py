"""The load generator against a server that is as good or as bad as the test wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from antiphon.client import Client, ToolCall, Unreachable, WrongKey
from antiphon.client import load as loading
from antiphon.client import speak as speaking
from antiphon.client.load import Bench, Progress, Recording, bench
from antiphon.client.sound import RATE
from tests.client.fake import ORDER, Fake


def recording(name: str) -> Recording:
    buzz = 0.3 * np.sin(np.arange(RATE // 4) / 3)
    samples = np.concatenate([buzz, np.zeros(RATE // 5)]).astype(np.float32)
    return Recording(name, samples, 0.25)


RECORDINGS = [recording(name) for name in ("right", "wrong", "unknown")]


def judge(spoken: Recording, calls: Sequence[ToolCall]) -> bool | None:
    wanted = {"right": ORDER, "wrong": {}}
    return (
        None if spoken.name not in wanted else [c.arguments for c in calls] == [wanted[spoken.name]]
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaking, "SETTLE", 0.3)
    monkeypatch.setattr(loading, "PAUSE", 0.05)
    monkeypatch.setattr(loading, "_TOLD", 0.05)


def put_under_load(server: Fake, **settings: object) -> Bench:
    async def work() -> Bench:
        async with asyncio.timeout(20):
            given = {"sessions": 3, "seconds": 1.5, "buffer": 0.3, "judge": judge, **settings}
            return await bench(Client(server.url), RECORDINGS, **given)  # type: ignore[arg-type]

    return asyncio.run(work())


def test_many_call_at_once_and_over_and_over() -> None:
    told: list[tuple[str, Progress]] = []
    with Fake() as server:
        made = put_under_load(server, alone=True, progress=lambda *far: told.append(far))
    assert made.alone is not None
    assert (made.alone.at_once, made.together.at_once) == (1, 3)
    assert made.together.calls > made.alone.calls >= 1
    assert made.together.failed == made.together.refused == 0
    assert made.together.answered == made.together.calls
    assert made.together.gaps == 0
    assert made.together.first_audio_ms is not None
    assert made.together.first_audio_ms.p50 >= 300
    assert made.together.sound_seconds == pytest.approx(0.32 * made.together.calls, rel=0.05)
    # "right" is right, "wrong" is wrong, and of "unknown" nobody knows.
    assert 0 < made.together.right < made.together.judged < made.together.calls
    assert made.same is not None
    assert {name for name, _ in told} == {"alone", "together"}
    assert all(0 <= far.share <= 1 for _, far in told)
    assert server.most == 3
    assert server.open == 0
    assert 0 <= made.together.generator.sent_late_p50 <= made.together.generator.sent_late_worst
    assert made.together.generator.cores > 0
    assert Bench.model_validate_json(made.model_dump_json()) == made


def test_gaps_are_counted_as_they_would_be_heard() -> None:
    with Fake(pause=(2, 0.8)) as server:
        made = put_under_load(server, sessions=1).together
    assert made.calls_with_gaps == made.calls
    assert made.gaps >= made.calls
    assert made.gap_worst_ms == pytest.approx(500, abs=300)
    assert made.late_share == pytest.approx(made.gaps / made.pieces, abs=1e-5)


def test_callers_beyond_the_places_are_counted_as_refused_and_come_again() -> None:
    with Fake(places=1) as server:
        made = put_under_load(server).together
    assert made.at_once == 1
    assert made.calls >= 1
    assert made.refused >= 2
    assert made.failed == 0
    assert made.refused_ms is not None
    assert made.refused_ms.p95 > 0


def test_calls_that_break_are_failures_with_a_reason() -> None:
    with Fake(fault="later 1011") as server:
        made = put_under_load(server).together
    assert made.calls == made.judged == 0
    assert made.right_share is None
    assert made.failed == sum(made.reasons.values()) >= 3
    assert any("the engine failed" in reason for reason in made.reasons)


def test_a_server_that_cannot_be_called_at_all_is_one_error() -> None:
    with Fake(fault="key") as server, pytest.raises(WrongKey):
        put_under_load(server)
    with pytest.raises(Unreachable):
        asyncio.run(bench(Client("ws://127.0.0.1:9"), RECORDINGS, sessions=1, seconds=1))


def test_nothing_is_left_when_a_run_is_broken_off() -> None:
    async def work(url: str) -> None:
        run = asyncio.create_task(bench(Client(url), RECORDINGS, sessions=3, seconds=30))
        await asyncio.sleep(0.8)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        await asyncio.sleep(0.05)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with Fake() as server:
        asyncio.run(work(server.url))
    assert server.open == 0
