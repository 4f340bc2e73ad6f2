from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.evaluation.protocol import SECONDS, TICK, Told
from antiphon.evaluation.script import Clip, ScriptedCaller, Step, Stimulus
from antiphon.evaluation.systems.baselines import BASELINES, ECHO, GAP, REPLY
from antiphon.evaluation.trial import hold
from antiphon.runtime.events import AgentWordEvent
from antiphon.runtime.latency import AUDIBLE, replies


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise that is cut like syllables."""
    time = np.arange(round(seconds * 16_000)) / 16_000
    loud = 0.1 * np.abs(np.sin(2 * np.pi * 2 * time)) + 0.02
    return (loud * np.random.default_rng(seed).standard_normal(len(time))).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * 16_000), np.float32)


def answer(name: str, caller: np.ndarray, seed: int = 0) -> tuple[np.ndarray, list[Told]]:
    """The agent's channel beside the caller's, and what was told."""
    agent, told = [np.zeros(TICK, np.float32)], []
    with BASELINES[name].call(seed) as line:
        for tick in caller[: len(caller) // TICK * TICK].reshape(-1, TICK):
            heard = line.push(tick)
            assert heard.agent.shape == (TICK,)
            assert heard.agent.dtype == np.float32
            agent.append(heard.agent)
            told += heard.told
    return np.concatenate(agent), told


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 99), st.floats(0, 0.5, allow_subnormal=False))
def test_silent_is_never_heard(seed: int, level: float) -> None:
    noise = level * np.random.default_rng(seed).standard_normal(16_000).astype(np.float32)
    agent, told = answer("silent", noise, seed)
    assert not agent.any()
    assert not told


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_talking_never_stops_and_tells_its_words(seed: int) -> None:
    agent, told = answer("talking", np.concatenate([speech(5), silence(5)]), seed)
    ticks = np.abs(agent[TICK:].reshape(-1, TICK)).max(axis=1)
    assert (ticks >= AUDIBLE).all()
    assert np.abs(agent).max() < 0.5
    words = [event for event in told if isinstance(event, AgentWordEvent)]
    assert 3.3 < len(words) / 10 < 5.0  # a second
    starts = [word.start for word in words]
    assert starts == sorted(starts)
    assert all(word.time <= word.start < word.time + SECONDS + 1e-9 for word in words)


def test_a_seed_is_a_call() -> None:
    first, again, other = (answer("talking", silence(1), seed)[0] for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("end", [1.0, 1.013, 1.2])
@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_vad700_answers_after_seven_tenths_of_a_second(end: float, noise: float) -> None:
    caller = np.concatenate([silence(0.5), speech(end - 0.5), silence(4)])
    caller += noise * np.random.default_rng(1).standard_normal(len(caller)).astype(np.float32)
    agent, told = answer("vad700", caller)
    ((start, _end),) = replies(agent)
    assert start - end == pytest.approx(GAP, abs=SECONDS)
    assert [event.text for event in told] == list(REPLY)
    assert told[0].start == pytest.approx(start, abs=0.005)


def test_vad700_answers_once_and_not_inside_a_turn() -> None:
    caller = np.concatenate([speech(1), silence(0.6), speech(1, 1), silence(6)])
    caller = np.concatenate([silence(0.5), caller])
    ((start, end),) = replies(answer("vad700", caller)[0])
    assert start == pytest.approx(3.1 + GAP, abs=SECONDS)
    assert 1.4 < end - start < 2.1


def test_vad700_stops_for_the_caller_and_then_begins_again() -> None:
    caller = np.concatenate([silence(0.5), speech(1), silence(1.2), speech(1, 1), silence(4)])
    agent, told = answer("vad700", caller)
    (_, stop), (again, _) = replies(agent, gap=0.3)
    assert 0.04 < stop - 2.7 < 0.11  # 60 ms make speech, and what it stops plays a tick later
    assert again == pytest.approx(3.7 + GAP, abs=SECONDS)
    assert 7 < len(told) < 14  # of the first answer only the words that were begun


def test_vad700_takes_no_click_and_no_steady_noise_for_a_caller() -> None:
    click = silence(3)
    click[16_000:16_100] = 0.5
    assert not replies(answer("vad700", click)[0])
    hum = 0.05 * np.random.default_rng(0).standard_normal(16_000 * 12).astype(np.float32)
    assert len(replies(answer("vad700", np.concatenate([silence(0.5), hum]))[0])) <= 1


def test_echo_is_the_caller_later() -> None:
    caller = np.concatenate([speech(2), silence(1)])
    agent, told = answer("echo", caller)
    late = round(ECHO * 16_000)
    np.testing.assert_array_equal(agent[late : late + 32_000], caller[:32_000])
    assert not agent[:late].any()
    assert not told


@pytest.mark.parametrize("name", BASELINES)
def test_a_trial_with_a_baseline_comes_to_an_end(name: str) -> None:
    clip = Clip(path="a", text="a latte", start=0.0, end=1.0)
    stimulus = Stimulus(id="t/1", suite="task", kind="order", steps=(Step(clip=clip, after=0.5),))
    trial = hold(BASELINES[name], ScriptedCaller(stimulus, lambda path: speech(1.0)))
    assert trial.system == name
    assert bool(replies(trial.agent)) == (name != "silent")
