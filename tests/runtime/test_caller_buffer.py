from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.runtime.caller_buffer import PATIENCE, CallerBuffer

FRAME = 1280


def samples(count: int) -> np.ndarray:
    """Too loud to be dropped, and each another."""
    return (np.arange(1, count + 1) / 2**24 + 0.005).astype(np.float32)


def taken(buffer: CallerBuffer, *, may_wait: bool = False) -> np.ndarray:
    frame = buffer.take(may_wait=may_wait)
    if frame is None:
        return np.zeros(0, dtype=np.float32)
    assert len(frame[0]) == FRAME
    return frame[0]


@given(
    pushes=st.lists(st.integers(0, 3 * FRAME), min_size=1, max_size=40),
    prebuffer=st.sampled_from([0.0, 0.04, 0.1]),
    waits=st.lists(st.booleans(), min_size=40, max_size=40),
)
def test_no_sample_is_lost_or_heard_twice(
    pushes: list[int], prebuffer: float, waits: list[bool]
) -> None:
    buffer = CallerBuffer(prebuffer)
    sent = samples(sum(pushes))
    heard: list[np.ndarray] = []
    at = 0
    for size, may_wait in zip(pushes, waits, strict=False):
        buffer.push(sent[at : at + size])
        at += size
        heard.append(taken(buffer, may_wait=may_wait))
    heard += [taken(buffer) for _ in range(sum(pushes) // FRAME + 6)]
    sound = np.concatenate(heard)
    assert (sound[sound != 0] == sent).all()
    assert buffer.waiting == buffer.dropped == 0


@given(pushes=st.lists(st.integers(0, 5 * FRAME), max_size=30))
def test_what_waits_is_bounded_and_all_is_accounted_for(pushes: list[int]) -> None:
    buffer = CallerBuffer(0.0, 0.5)
    for size in pushes:
        buffer.push(samples(size))
        assert buffer.waiting <= 8_000
    assert buffer.waiting + buffer.dropped == sum(pushes)


def test_the_first_sound_waits_for_the_hand_and_comes_after_silence() -> None:
    buffer = CallerBuffer(0.04)
    buffer.push(samples(1_000))
    frame = buffer.take()
    assert frame is not None
    assert frame[1] == FRAME - (1_000 - 640)
    assert not frame[0][: frame[1]].any()
    assert buffer.waiting == 640


def test_a_crumb_is_heard_in_the_end() -> None:
    buffer = CallerBuffer(0.1)
    buffer.push(samples(1_500))
    heard = np.concatenate([taken(buffer) for _ in range(6)])
    assert (heard[heard != 0] == samples(1_500)).all()


def test_patience_ends() -> None:
    buffer = CallerBuffer(0.0)
    buffer.push(samples(FRAME + 100))
    assert buffer.take() is not None
    left_out = [buffer.take(may_wait=True) is None for _ in range(PATIENCE + 2)]
    assert left_out == [True] * PATIENCE + [False, False]


def test_what_is_pushed_may_be_changed_afterwards() -> None:
    buffer = CallerBuffer(0.0)
    mine = samples(FRAME)
    buffer.push(mine)
    mine[:] = 0
    assert (taken(buffer) == samples(FRAME)).all()


@pytest.mark.parametrize("size", [0, 1, FRAME, 3 * FRAME])
def test_clearing_leaves_nothing(size: int) -> None:
    buffer = CallerBuffer()
    buffer.push(samples(size))
    buffer.take()
    buffer.clear()
    assert buffer.waiting == 0
    assert not taken(buffer).any()
