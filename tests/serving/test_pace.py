from __future__ import annotations

import gc
import sys

from antiphon.serving.pace import steady


def test_what_was_there_before_is_not_collected_again_and_is_afterwards() -> None:
    before = gc.get_freeze_count()
    with steady():
        assert gc.get_freeze_count() - before > 1_000
    assert gc.get_freeze_count() == 0


def test_garbage_that_comes_later_is_collected() -> None:
    class Ring:
        def __init__(self) -> None:
            self.me = self

    def rings() -> int:
        return sum(type(each) is Ring for each in gc.get_objects())

    with steady():
        Ring()
        assert rings() == 1
        gc.collect()
        assert rings() == 0


def test_a_thread_that_waits_gets_pythons_lock_sooner() -> None:
    before = sys.getswitchinterval()
    with steady():
        assert sys.getswitchinterval() < before
    assert sys.getswitchinterval() == before
