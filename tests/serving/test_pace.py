from __future__ import annotations

import gc
import sys

import pytest

from antiphon.runtime.priority import LOOP
from antiphon.serving import pace
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


@pytest.mark.parametrize("first", [True, False])
def test_the_thread_that_enters_comes_first_if_it_is_to(
    first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    monkeypatch.setattr(pace, "come_first", told.append)
    monkeypatch.setattr(pace, "be_ordinary", lambda: told.append("ordinary"))
    with steady(first=first):
        assert told == ([LOOP] if first else [])
    assert told == ([LOOP, "ordinary"] if first else [])
