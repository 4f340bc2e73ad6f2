from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.errors import AntiphonError, AudioError
from antiphon.runtime.agent import Agent
from antiphon.runtime.caller_buffer import PATIENCE
from antiphon.runtime.clock import (
    Clock,
    ClockEvent,
    ClockFull,
    ClockHung,
    EndedEvent,
    HeardEvent,
    Line,
)
from antiphon.runtime.engine import Engine
from antiphon.runtime.events import AgentWordEvent, AudioEvent, CallerWordEvent, CallEvent
from antiphon.runtime.session import Session

FRAME = 1280
Caller = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def _agents() -> dict[Path, Agent]:
    return {}


@pytest.fixture
def agent(tiny_bundle: Path, _agents: dict[Path, Agent]) -> Agent:
    return _agents.setdefault(tiny_bundle, Agent.load(tiny_bundle))


class Ear:
    """Keeps what a line was told."""

    def __init__(self) -> None:
        self.beats: list[Sequence[ClockEvent]] = []

    def __call__(self, events: Sequence[ClockEvent]) -> None:
        self.beats.append(events)

    def of(self, kind: type) -> list[Any]:
        return [event for beat in self.beats for event in beat if isinstance(event, kind)]

    @property
    def heard(self) -> np.ndarray:
        return np.concatenate([event.samples for event in self.of(HeardEvent)])

    @property
    def voice(self) -> np.ndarray:
        return np.concatenate([event.samples for event in self.of(AudioEvent)])

    @property
    def words(self) -> str:
        return " ".join(event.text for event in self.of(CallerWordEvent))


def opened(clock: Clock, **settings: Any) -> tuple[Line, Ear]:
    ear = Ear()
    return clock.open(ear, **settings), ear


def run(clock: Clock, beats: int) -> None:
    for _ in range(beats):
        clock.beat()


# -- what a call hears ------------------------------------------------------------------------


def test_a_call_on_the_clock_is_a_call_in_a_session(agent: Agent, spoken: Caller) -> None:
    samples = spoken(before=0.4, after=3.0)
    clock = Clock(agent, 1, group=1, prebuffer=0.0)
    line, ear = opened(clock, seed=3)
    line.push(samples)
    run(clock, len(samples) // FRAME)
    with agent.session(3) as session:
        alone = list(session.push(samples[: len(samples) // FRAME * FRAME]))
    sound = np.concatenate([e.samples for e in alone if isinstance(e, AudioEvent)])
    assert (ear.voice == sound).all()
    assert [e for e in alone if isinstance(e, CallEvent)] == ear.of(CallEvent)
    assert ear.words == "a large latte please"


def test_every_beat_has_the_callers_frame_first_and_one_of_the_agent(agent: Agent) -> None:
    clock = Clock(agent, 1)
    _, ear = opened(clock)
    run(clock, 5)
    for beat in ear.beats:
        assert isinstance(beat[0], HeardEvent)
        assert len([event for event in beat if isinstance(event, AudioEvent)]) == 1
    assert [beat[0].time for beat in ear.beats] == pytest.approx([0.08 * n for n in range(1, 6)])


def test_a_caller_who_sends_nothing_is_silent_and_costs_nobody(agent: Agent) -> None:
    clock = Clock(agent, 2)
    _, silent = opened(clock)
    line, other = opened(clock)
    line.push(np.full(FRAME * 6, 0.1, dtype=np.float32))
    run(clock, 5)
    assert len(silent.beats) == len(other.beats) == 5
    assert not silent.heard.any()
    assert all(event.filled == FRAME for event in silent.of(HeardEvent))


def test_a_burst_is_heard_at_one_frame_a_beat_and_whole(agent: Agent) -> None:
    clock = Clock(agent, 1)
    line, ear = opened(clock)
    burst = np.random.default_rng(0).standard_normal(FRAME * 8).astype(np.float32) * 0.1
    line.push(burst)
    assert line.backlog == pytest.approx(8 * 0.08)
    run(clock, 4)
    assert line.backlog == pytest.approx(4 * 0.08)
    run(clock, 4)
    assert (ear.heard == burst).all()


def test_a_steady_caller_is_heard_whole_with_the_prebuffer_in_hand(agent: Agent) -> None:
    clock = Clock(agent, 1, prebuffer=0.04)
    line, ear = opened(clock)
    samples = np.random.default_rng(0).standard_normal(FRAME * 10).astype(np.float32) * 0.1
    backlogs = []
    line.push(samples[:960])  # the call began in the middle of a beat
    for start in range(960, len(samples), FRAME):
        clock.beat()
        backlogs.append(line.backlog)
        line.push(samples[start : start + FRAME])
    run(clock, 3)
    assert backlogs[:8] == pytest.approx([0.04] * 8)
    loud = np.flatnonzero(ear.heard)
    heard = ear.heard[loud[0] : loud[0] + len(samples)]
    assert (heard[: len(samples) - FRAME] == samples[: len(samples) - FRAME]).all()


def test_jitter_within_the_prebuffer_tears_no_hole(agent: Agent) -> None:
    clock = Clock(agent, 1, prebuffer=0.04)
    line, ear = opened(clock)
    rng = np.random.default_rng(3)
    samples = (rng.standard_normal(FRAME * 30) * 0.1).astype(np.float32)
    sent = 0
    for beat in range(1, 30):
        late = int(rng.integers(0, 500)) if beat > 1 else 0
        until = beat * FRAME - late
        line.push(samples[sent:until])
        sent = until
        clock.beat()
    heard = ear.heard
    first = np.flatnonzero(heard)[0]
    assert (heard[first:] == samples[: len(heard) - first]).all()


def test_late_input_leaves_a_silent_agents_call_out_of_a_beat_and_no_other(agent: Agent) -> None:
    clock = Clock(agent, 2)
    line, ear = opened(clock)
    other, steady = opened(clock)
    samples = np.random.default_rng(0).standard_normal(FRAME * 8).astype(np.float32) * 0.001
    other.push(samples)
    line.push(samples[: FRAME * 2])
    run(clock, 3)  # the third has nothing
    assert (len(ear.beats), len(steady.beats)) == (2, 3)
    line.push(samples[FRAME * 2 : FRAME * 6])
    run(clock, 4)
    assert (ear.heard == samples[: FRAME * 6]).all()
    assert len(steady.beats) == 7


def test_input_that_stays_away_becomes_silence(agent: Agent) -> None:
    clock = Clock(agent, 1)
    line, ear = opened(clock)
    line.push(np.full(FRAME * 2 + 300, 0.001, dtype=np.float32))
    run(clock, 2 + PATIENCE + 3)
    assert len(ear.beats) == 2 + 3
    assert [event.filled for event in ear.of(HeardEvent)] == [0, 0, FRAME - 300, FRAME, FRAME]


def test_a_flushed_line_is_not_kept_waiting(agent: Agent) -> None:
    clock = Clock(agent, 1)
    line, ear = opened(clock)
    line.push(np.full(FRAME * 2 + 300, 0.001, dtype=np.float32))
    run(clock, 2)
    line.flush()
    run(clock, 2)
    assert [event.filled for event in ear.of(HeardEvent)] == [0, 0, FRAME - 300, FRAME]


def test_a_speaking_agent_goes_on_when_the_caller_is_late(agent: Agent) -> None:
    clock = Clock(agent, 1)
    line, ear = opened(clock)
    line.push(np.full(FRAME * 3, 0.001, dtype=np.float32))
    line.say("hello there")
    run(clock, 8)
    assert len(ear.beats) == 8


def test_time_that_was_lost_to_a_stall_is_won_back_in_quiet(agent: Agent) -> None:
    clock = Clock(agent, 1)
    line, _ = opened(clock)
    line.push(np.zeros(FRAME * 2, dtype=np.float32))
    run(clock, 2 + 5)  # a stall of five beats
    line.push(np.zeros(FRAME * 6, dtype=np.float32))
    for _ in range(60):
        line.push(np.zeros(FRAME, dtype=np.float32))
        clock.beat()
    assert line.backlog < 0.17


def test_a_burst_of_speech_is_never_shortened(agent: Agent, spoken: Caller) -> None:
    clock = Clock(agent, 1)
    line, ear = opened(clock)
    line.push(np.zeros(FRAME, dtype=np.float32))
    run(clock, 10)
    burst = np.concatenate([spoken(), np.zeros(FRAME * 6, dtype=np.float32), spoken()])
    burst += np.float32(0.01)
    line.push(burst)
    run(clock, len(burst) // FRAME)
    heard = ear.heard
    first = np.flatnonzero(heard)[0]
    assert (heard[first:] == burst[: len(heard) - first]).all()


def test_what_outgrows_the_backlog_is_dropped_and_counted(agent: Agent) -> None:
    clock = Clock(agent, 1, backlog=1.0)
    line, _ = opened(clock)
    line.push(np.zeros(48_000, dtype=np.float32))
    assert (line.backlog, line.dropped) == (1.0, 2.0)


def test_what_waits_can_be_forgotten(agent: Agent) -> None:
    clock = Clock(agent, 1)
    line, ear = opened(clock)
    line.push(np.full(FRAME * 5, 0.1, dtype=np.float32))
    line.clear()
    run(clock, 2)
    assert line.backlog == 0
    assert not ear.heard.any()


@pytest.mark.parametrize("rate", [8_000, 24_000, 48_000])
def test_other_rates_are_resampled(agent: Agent, spoken: Caller, rate: int) -> None:
    from antiphon.audio.resample import resample

    clock = Clock(agent, 1)
    line, ear = opened(clock, rate=rate)
    line.push(resample(spoken(after=3.0), 16_000, rate))
    run(clock, 60)
    assert ear.words == "a large latte please"


@pytest.mark.parametrize("bad", [np.full(10, np.nan), np.zeros((2, 10))])
def test_samples_that_are_none_are_refused(agent: Agent, bad: np.ndarray) -> None:
    line, _ = opened(Clock(agent, 1))
    with pytest.raises(AudioError):
        line.push(bad)


# -- words to say, and stopping ---------------------------------------------------------------


def test_given_words_are_said(agent: Agent) -> None:
    clock = Clock(agent, 1)
    line, ear = opened(clock)
    line.say("hello 4 lattes")
    run(clock, 40)
    assert [event.text for event in ear.of(AgentWordEvent)] == ["hello", "four", "lattes"]


def test_words_that_cannot_be_said_are_refused_at_once(agent: Agent) -> None:
    line, _ = opened(Clock(agent, 1))
    with pytest.raises(AntiphonError, match="nothing to say"):
        line.say("...")


def test_a_hushed_agent_ends_its_turn(agent: Agent, spoken: Caller) -> None:
    clock = Clock(agent, 1)
    line, ear = opened(clock)
    line.say("a large latte please hello there small mocha")
    run(clock, 8)
    line.hush()
    run(clock, 40)
    texts = [event.out.agent_text for event in ear.of(HeardEvent)]
    assert texts[8] == 1  # the end of a turn
    assert not any(texts[9:])
    assert len(ear.of(AgentWordEvent)) < 8


def test_words_given_while_it_is_hushed_come_after_the_end(agent: Agent) -> None:
    clock = Clock(agent, 1)
    line, ear = opened(clock)
    line.say("a large latte please")
    run(clock, 6)
    line.hush()
    line.say("hello there")
    run(clock, 40)
    texts = [event.out.agent_text for event in ear.of(HeardEvent)]
    assert texts[6] == 1
    words = [event.text for event in ear.of(AgentWordEvent)]
    assert words[-2:] == ["hello", "there"]


# -- places -----------------------------------------------------------------------------------


def test_a_full_clock_refuses_and_a_closed_line_makes_room_at_once(agent: Agent) -> None:
    clock = Clock(agent, 2, group=2)
    first, _ = opened(clock)
    opened(clock)
    with pytest.raises(ClockFull, match="all 2 places"):
        opened(clock)
    first.close()
    first.close()
    assert clock.active == 1
    opened(clock)
    assert clock.active == 2


def test_the_next_caller_in_a_slot_hears_nothing_of_the_last(agent: Agent, spoken: Caller) -> None:
    samples = spoken(after=3.0)
    alone = Ear()
    clock = Clock(agent, 1, group=1)
    line = clock.open(alone, seed=5)
    line.push(samples)
    run(clock, 55)
    busy = Clock(agent, 1, group=1)
    last, _ = opened(busy, seed=9)
    last.push(samples)
    run(busy, 21)  # in the middle of the agent's answer
    last.close()
    line, ear = opened(busy, seed=5)
    line.push(samples)
    run(busy, 55)
    assert (ear.voice == alone.voice).all()
    assert ear.words == alone.words


def test_calls_do_not_depend_on_how_many_others_there_are(agent: Agent, spoken: Caller) -> None:
    samples = spoken(after=3.0)

    def call(others: int) -> np.ndarray:
        clock = Clock(agent, 8, group=2, threads=2)
        rest = [opened(clock, seed=n)[0] for n in range(others)]
        line, ear = opened(clock, seed=5)
        for other in rest:
            other.push(samples[others * 100 :])
        line.push(samples)
        for beat in range(55):
            clock.beat()
            if rest and beat % 9 == 0:
                rest.pop().close()
        clock.stop()
        return ear.voice

    assert (call(0) == call(7)).all()


def test_nothing_is_told_after_a_line_was_closed(agent: Agent) -> None:
    clock = Clock(agent, 1)
    line, ear = opened(clock)
    run(clock, 2)
    line.close()
    run(clock, 2)
    assert len(ear.beats) == 2


# -- what goes wrong --------------------------------------------------------------------------


def test_a_failing_engine_ends_its_own_calls_and_the_clock_goes_on(
    agent: Agent, spoken: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(agent, 4, group=2)
    pairs = [opened(clock) for _ in range(3)]  # two in one engine, one in another
    run(clock, 2)
    step, engine = Engine.step, pairs[0][0].engine
    assert engine is not None
    broken = engine.engine

    def fails(self: Engine, inputs: Any) -> Any:
        if self is broken:
            raise RuntimeError("out of memory")
        return step(self, inputs)

    monkeypatch.setattr(Engine, "step", fails)
    run(clock, 2)
    ended = [ear.of(EndedEvent) for _, ear in pairs]
    assert [len(each) for each in ended] == [1, 1, 0]
    assert "out of memory" in ended[0][0].reason
    assert clock.active == 1
    line, ear = opened(clock)  # the place is good again
    line.push(spoken(after=3.0))
    run(clock, 60)
    assert ear.words == "a large latte please"
    assert len(pairs[2][1].beats) == 64


def test_a_failing_engine_ends_those_too_who_were_left_out_of_the_beat(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(agent, 2, group=2)
    (late, ear), (steady, _) = opened(clock), opened(clock)
    samples = np.random.default_rng(0).standard_normal(FRAME * 4).astype(np.float32) * 0.001
    steady.push(samples)
    late.push(samples[: FRAME * 2])
    run(clock, 2)

    def fails(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Engine, "step", fails)
    run(clock, 1)
    assert len(ear.of(HeardEvent)) == 2  # it had nothing to be heard
    assert "out of memory" in ear.of(EndedEvent)[0].reason
    assert clock.active == 0


def test_a_call_whose_voice_is_nan_ends_alone(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    clock = Clock(agent, 2, group=2)
    (sick, ear), (_, well) = opened(clock), opened(clock)
    clock.beat()
    step = Engine.step
    assert sick.session is not None
    slot = sick.session._slot

    def spoils(self: Engine, inputs: Any) -> Any:
        outputs = step(self, inputs)
        if slot in outputs:
            outputs[slot] = replace(outputs[slot], agent=np.full(FRAME, np.nan, np.float32))
        return outputs

    monkeypatch.setattr(Engine, "step", spoils)
    run(clock, 2)
    assert "NaN" in ear.of(EndedEvent)[0].reason
    assert not well.of(EndedEvent)
    assert clock.active == 1


def test_one_who_cannot_be_told_ends_alone(agent: Agent) -> None:
    clock = Clock(agent, 2)

    def deaf(_: Sequence[ClockEvent]) -> None:
        raise RuntimeError("loop is closed")

    clock.open(deaf)
    _, ear = opened(clock)
    run(clock, 3)
    assert clock.active == 1
    assert len(ear.beats) == 3


def test_a_session_that_cannot_begin_ends_with_a_reason(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(agent, 1)

    def fails(self: Session, *_: Any, **__: Any) -> None:
        raise AntiphonError("no such slot")

    monkeypatch.setattr(Session, "__init__", fails)
    _, ear = opened(clock)
    run(clock, 2)
    assert "could not be begun: no such slot" in ear.of(EndedEvent)[0].reason
    assert clock.active == 0


@pytest.mark.parametrize(("slots", "group", "threads"), [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_a_clock_needs_something_to_run(agent: Agent, slots: int, group: int, threads: int) -> None:
    with pytest.raises(AntiphonError):
        Clock(agent, slots, group=group, threads=threads)


# -- in time ----------------------------------------------------------------------------------


@pytest.fixture
def running(agent: Agent) -> Iterator[Clock]:
    with Clock(agent, 2) as clock:
        yield clock


def wait_for(true: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


def test_the_thread_beats_every_80_ms_and_rests_when_nobody_calls(running: Clock) -> None:
    time.sleep(0.2)
    assert running.beats == 0
    line, ear = opened(running)
    began = time.perf_counter()
    wait_for(lambda: len(ear.beats) >= 11)
    took = time.perf_counter() - began
    assert took + running.skipped * 0.08 + 0.08 >= 0.75
    assert took < 3.0
    line.close()
    wait_for(lambda: running.active == 0)
    time.sleep(0.1)
    beats = running.beats
    time.sleep(0.2)
    assert running.beats == beats


def test_a_slow_beat_is_counted_and_told_and_made_up_for(
    agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    with Clock(agent, 1) as clock:
        slow = threading.Event()

        def tell(_: Sequence[ClockEvent]) -> None:
            if not slow.is_set():
                slow.set()
                time.sleep(0.25)

        clock.open(tell)
        began = time.perf_counter()
        wait_for(lambda: clock.beats >= 10)
        assert clock.missed >= 1
        assert re.search(r"beats on end were late, \d+ ms at the worst", caplog.text)
        assert time.perf_counter() - began < 1.5
        assert max(clock.process_seconds) >= 0.25


def test_a_clock_far_behind_lets_time_go(agent: Agent) -> None:
    with Clock(agent, 1, catch_up=2) as clock:
        slow = threading.Event()

        def tell(_: Sequence[ClockEvent]) -> None:
            if not slow.is_set():
                slow.set()
                time.sleep(0.5)

        clock.open(tell)
        wait_for(lambda: clock.beats >= 4)
        assert clock.skipped >= 3


def test_many_threads_may_push_and_close(running: Clock) -> None:
    line, ear = opened(running)

    def push() -> None:
        for _ in range(50):
            line.push(np.zeros(160, dtype=np.float32))
            time.sleep(0.002)

    threads = [threading.Thread(target=push) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(lambda: line.backlog < 0.1, 8.0)
    line.close()
    line.push(np.zeros(160, dtype=np.float32))
    assert ear.beats


def test_the_engines_have_run_before_the_first_call(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    warmed: list[Engine] = []
    monkeypatch.setattr(Engine, "warm", lambda engine: warmed.append(engine))
    with Clock(agent, 4, group=2, threads=2) as clock:
        assert {id(engine) for engine in warmed} == {id(group.engine) for group in clock._groups}
        assert clock.beats == clock.missed == 0


# -- a step that does not return --------------------------------------------------------------


def test_a_step_that_hangs_ends_its_calls_from_outside_and_the_clock_may_come_back(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    thaw, step = threading.Event(), Engine.step

    def freezes(self: Engine, inputs: Any) -> Any:
        assert thaw.wait(30)
        return step(self, inputs)

    told: list[str] = []
    with Clock(agent, 2, patience=0.3, on_hung=told.append) as clock:
        assert clock.hung == 0.0
        monkeypatch.setattr(Engine, "step", freezes)
        pairs = [opened(clock) for _ in range(2)]
        wait_for(lambda: bool(told))
        assert clock.hangs == 1
        assert 0.3 <= clock.hung < 3.0
        assert "has not returned for 0.3 s; 2 calls were on it" in told[0]
        for line, ear in pairs:
            assert "has not returned" in ear.of(EndedEvent)[0].reason
            assert not line.open
        with pytest.raises(ClockHung):
            opened(clock)
        thaw.set()
        wait_for(lambda: clock.hung == 0.0)
        # What the step gave in the end is for nobody; the places are good again.
        assert all(type(ear.beats[-1][-1]) is EndedEvent for _, ear in pairs)
        _, again = opened(clock)
        wait_for(lambda: len(again.beats) > 2)


def test_a_clock_is_stopped_though_a_step_hangs(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    thaw, frozen = threading.Event(), threading.Event()

    def freezes(*_: object) -> dict[int, Any]:
        frozen.set()
        thaw.wait(30)
        return {}

    monkeypatch.setattr(Engine, "step", freezes)
    clock = Clock(agent, 1, patience=0.2)
    clock.start()
    opened(clock)
    began = time.monotonic()
    assert frozen.wait(5)
    clock.stop()
    assert time.monotonic() - began < 3.0
    thaw.set()


def test_a_step_that_hangs_is_the_end_of_its_own_threads_calls_and_of_no_others(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    thaw, step = threading.Event(), Engine.step
    with Clock(agent, 2, group=1, threads=2, patience=0.3) as clock:
        (sick, its), (_, well) = opened(clock), opened(clock)
        assert sick.engine is not None
        broken = sick.engine.engine

        def freezes(self: Engine, inputs: Any) -> Any:
            if self is broken:
                assert thaw.wait(30)
            return step(self, inputs)

        monkeypatch.setattr(Engine, "step", freezes)
        wait_for(lambda: bool(its.of(EndedEvent)))
        beats = len(well.beats)
        wait_for(lambda: len(well.beats) > beats + 2)
        assert clock.hung > 0
        thaw.set()


def _may_come_first() -> bool:
    """Whether the system lets a thread into the round-robin class; tried in one that ends."""
    allowed: list[bool] = []

    def attempt() -> None:
        try:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
            allowed.append(True)
        except OSError:
            allowed.append(False)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return allowed[0]


@pytest.mark.skipif(not hasattr(os, "sched_setscheduler"), reason="no such classes here")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("first", [True, False])
def test_the_threads_that_step_come_first_where_they_may(
    agent: Agent, threads: int, first: bool
) -> None:
    classes: set[int] = set()
    children: set[int] = set()

    def tell(_: Sequence[ClockEvent]) -> None:
        classes.add(os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK)
        child = threading.Thread(target=lambda: children.add(os.sched_getscheduler(0)))
        child.start()
        child.join()

    mine = os.sched_getscheduler(0)
    with Clock(agent, 2, group=1, threads=threads, first=first) as clock:
        lines = [clock.open(tell), clock.open(tell)]
        for line in lines:
            line.push(np.zeros(2 * FRAME, dtype=np.float32))
        for _ in range(200):
            if clock.beats >= 2:
                break
            time.sleep(0.02)
    assert classes == {os.SCHED_RR if first and _may_come_first() else os.SCHED_OTHER}
    assert children == {os.SCHED_OTHER}  # what is begun from there stays ordinary work
    assert os.sched_getscheduler(0) == mine
