"""A beat that does not end is told once, and a busy clock never."""

from __future__ import annotations

import threading
import time

from antiphon.runtime.watchdog import Watchdog


def test_a_beat_that_does_not_end_is_told_once_and_soon() -> None:
    told: list[tuple[int, float]] = []
    began = time.monotonic()
    dog = Watchdog(lambda: 7, lambda n: told.append((n, time.monotonic() - began)), patience=0.3)
    dog.start()
    time.sleep(1.0)
    dog.stop()
    ((beat, after),) = told
    assert beat == 7
    assert 0.3 <= after < 0.95


def test_beats_that_end_and_rests_are_no_hang() -> None:
    told: list[int] = []
    beats = iter(range(1000))
    going = [lambda: next(beats), lambda: None]
    for beat in going:
        dog = Watchdog(beat, told.append, patience=0.1)
        dog.start()
        time.sleep(0.5)
        dog.stop()
    assert not told


def test_each_beat_that_hangs_is_told_and_a_failing_ear_is_no_end() -> None:
    now, told = [1], list[int]()
    second = threading.Event()

    def bark(beat: int) -> None:
        told.append(beat)
        now[0] += 1
        if beat == 2:
            second.set()
        raise RuntimeError("boom")

    dog = Watchdog(lambda: now[0], bark, patience=0.1)
    dog.start()
    assert second.wait(5.0)
    dog.stop()
    assert told[:2] == [1, 2]
