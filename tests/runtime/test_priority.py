"""Threads that come first, where the system lets them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

from antiphon.runtime.priority import (
    LOOP,
    STEPS,
    be_ordinary,
    come_first,
    core_of,
    stay_on,
)

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_setscheduler"), reason="no such classes here"
)


def in_a_thread(work: Callable[[], None]) -> None:
    """Run it where it can leave nothing behind."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def class_and_rank() -> tuple[int, int]:
    """This thread's."""
    return os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK, os.sched_getparam(0).sched_priority


@pytest.mark.parametrize("rank", [STEPS, LOOP])
def test_a_thread_comes_first_and_is_ordinary_again(rank: int) -> None:
    seen: list[tuple[int, int]] = []

    def work() -> None:
        come_first(rank)
        seen.append(class_and_rank())
        in_a_thread(lambda: seen.append(class_and_rank()))
        be_ordinary()
        seen.append(class_and_rank())

    in_a_thread(work)
    ordinary = (os.SCHED_OTHER, 0)
    if seen[0] == ordinary:
        pytest.skip("this system lets no thread of ours come first")
    assert seen == [(os.SCHED_RR, rank), ordinary, ordinary]


def test_a_system_that_says_no_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def no(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", no)
    before = class_and_rank()
    come_first(STEPS)
    be_ordinary()
    assert class_and_rank() == before


def test_no_step_is_broken_off_by_the_event_loop() -> None:
    assert LOOP < STEPS <= os.sched_get_priority_max(os.SCHED_RR)


def test_threads_that_are_as_many_as_the_cores_get_one_each() -> None:
    cores = sorted(os.sched_getaffinity(0))
    assert [core_of(part, len(cores)) for part in range(len(cores))] == cores
    assert core_of(0, len(cores) + 1) is None


def test_a_thread_stays_on_its_core_and_no_other_does() -> None:
    before = os.sched_getaffinity(0)
    core = max(before)
    seen: list[set[int]] = []

    def work() -> None:
        stay_on(core)
        seen.append(os.sched_getaffinity(0))

    in_a_thread(work)
    assert seen == [{core}]
    assert os.sched_getaffinity(0) == before
