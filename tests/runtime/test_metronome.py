from __future__ import annotations

import os
import threading
import time
from collections import deque

import numpy as np
import pytest

from antiphon.runtime.metronome import Metronome


def test_two_that_are_half_a_beat_apart_stay_so() -> None:
    now = time.perf_counter()
    times: tuple[list[float], list[float]] = ([], [])
    metronomes = [
        Metronome(
            lambda mine=mine: mine.append(time.perf_counter()),
            lambda: True,
            origin=now + 0.04 * part,
        )
        for part, mine in enumerate(times)
    ]
    for each in metronomes:
        each.start()
        time.sleep(0.03)  # whenever they begin
    time.sleep(1.2)
    for each in metronomes:
        each.stop()
    first, second = (np.array(mine) - now for mine in times)
    assert min(len(first), len(second)) >= 8
    assert np.median(first % 0.08) == pytest.approx(0.0, abs=0.015)
    assert np.median(second % 0.08) == pytest.approx(0.04, abs=0.015)


def test_it_rests_until_it_is_woken() -> None:
    wanted, done = threading.Event(), threading.Event()
    metronome = Metronome(done.set, wanted.is_set)
    metronome.start()
    assert not done.wait(0.2)
    wanted.set()
    metronome.wake()
    assert done.wait(2)
    metronome.stop()
    assert metronome.beats >= 1


def test_a_thread_that_may_not_come_first_is_free_to_go_to_any_core(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    stays: list[int] = []
    monkeypatch.setattr(os, "sched_setscheduler", no, raising=False)
    monkeypatch.setattr("antiphon.runtime.metronome.stay_on", stays.append)
    done = threading.Event()
    metronome = Metronome(done.set, lambda: True, first=True, core=0)
    metronome.start()
    assert done.wait(2)
    metronome.stop()
    assert not stays
    assert not metronome.running


def test_work_that_fails_is_told_and_it_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> None:
        raise RuntimeError("no such thing")

    costs = deque[float]()
    metronome = Metronome(fails, lambda: True, costs=costs)
    metronome.start()
    end = time.monotonic() + 5
    while metronome.beats < 2 and time.monotonic() < end:
        time.sleep(0.01)
    metronome.stop()
    assert len(costs) == metronome.beats >= 2
    assert "no such thing" in caplog.text
