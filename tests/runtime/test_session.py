from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tests.conftest import make_bundle

from antiphon.corpus.delivery import delivery
from antiphon.errors import AntiphonError, AudioError, BundleError
from antiphon.runtime.agent import Agent
from antiphon.runtime.events import (
    AgentWordEvent,
    AudioEvent,
    CallerWordEvent,
    CallEvent,
    Event,
    ToneEvent,
    TurnEvent,
)
from antiphon.runtime.session import Session

Caller = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def _agents() -> dict[Path, Agent]:
    return {}


@pytest.fixture
def agent(tiny_bundle: Path, _agents: dict[Path, Agent]) -> Agent:
    return _agents.setdefault(tiny_bundle, Agent.load(tiny_bundle))


def collect(agent: Agent, samples: np.ndarray, sizes: list[int], seed: int = 3) -> list[Event]:
    events: list[Event] = []
    at = 0
    with agent.session(seed) as session:
        for size in sizes:
            events += session.push(samples[at : at + size])
            at += size
        events += session.push(samples[at:])
        events += session.finish()
    return events


def sound(events: list[Event]) -> np.ndarray:
    return np.concatenate([event.samples for event in events if isinstance(event, AudioEvent)])


def told(events: list[Event]) -> list[dict[str, object]]:
    return [event.model_dump() for event in events if not isinstance(event, AudioEvent)]


def test_every_kind_of_event_comes_with_its_time(agent: Agent, spoken: Caller) -> None:
    events = collect(agent, spoken(after=3.0), [])
    kinds = {type(event) for event in events}
    assert kinds == {
        AudioEvent,
        AgentWordEvent,
        CallerWordEvent,
        CallEvent,
        TurnEvent,
        ToneEvent,
    }
    times = [event.time for event in events]
    assert times == sorted(times)
    words = [event.text for event in events if isinstance(event, CallerWordEvent)]
    assert words == ["a", "large", "latte", "please"]
    (call,) = [event for event in events if isinstance(event, CallEvent)]
    assert call.arguments == {"items": [{"size": "large", "drink": "latte"}]}


def test_an_agents_word_is_told_before_it_sounds(agent: Agent, spoken: Caller) -> None:
    events = collect(agent, spoken(after=3.0), [])
    first = next(event for event in events if isinstance(event, AgentWordEvent))
    assert first.start == pytest.approx(first.start)
    assert first.start > 1.4


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(sizes=st.lists(st.integers(0, 4000), max_size=12))
def test_any_chunk_sizes_give_the_same_call(agent: Agent, spoken: Caller, sizes: list[int]) -> None:
    samples = spoken(after=2.5)
    whole, parts = collect(agent, samples, []), collect(agent, samples, sizes)
    assert (sound(whole) == sound(parts)).all()
    assert told(whole) == told(parts)


def test_the_same_seed_gives_the_same_call_bit_for_bit(agent: Agent, spoken: Caller) -> None:
    samples = spoken(after=2.5)
    first, again = collect(agent, samples, [], 5), collect(agent, samples, [], 5)
    other = collect(agent, samples, [], 6)
    assert (sound(first) == sound(again)).all()
    assert not (sound(first) == sound(other)).all()


def test_the_state_does_not_leak_between_sessions_of_one_agent(
    agent: Agent, spoken: Caller
) -> None:
    samples = spoken(after=2.5)
    alone = sound(collect(agent, samples, []))
    with agent.session(3) as one, agent.session(9) as two:
        events: list[Event] = []
        for start in range(0, len(samples), 1280):
            events += one.push(samples[start : start + 1280])
            list(two.push(samples[start // 2 : start // 2 + 1280]))
        events += one.finish()
    assert (sound(events) == alone).all()


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_other_rates_are_resampled(agent: Agent, spoken: Caller, rate: int) -> None:
    from antiphon.audio.resample import resample

    samples = resample(spoken(after=3.0), 16_000, rate)
    with agent.session(rate=rate) as session:
        list(session.push(samples))
        list(session.finish())
        assert session.caller_text == "a large latte please"
        assert session.time == pytest.approx(len(samples) / rate, abs=0.1)


@pytest.mark.parametrize("bad", [np.full(10, np.nan), np.zeros((2, 10))])
def test_samples_that_are_none_are_refused(agent: Agent, bad: np.ndarray) -> None:
    with agent.session() as session, pytest.raises(AudioError):
        session.push(bad)


def test_a_closed_session_takes_no_samples(agent: Agent) -> None:
    session = agent.session()
    session.close()
    session.close()
    with pytest.raises(AntiphonError, match="closed"):
        session.push(np.zeros(1280))


def test_given_words_are_said_in_order_and_paced(agent: Agent) -> None:
    with agent.session() as session:
        session.say("hello 4 lattes")
        assert session.saying
        events: list[Event] = []
        for _ in range(60):
            events += session.push(np.zeros(1280))
        assert not session.saying
        assert session.agent_text == "hello four lattes"
    starts = [event.start for event in events if isinstance(event, AgentWordEvent)]
    assert len(starts) == 3
    # The scripted voice asks for the next word two frames after the last piece.
    assert all(b - a >= 0.16 for a, b in pairwise(starts))


def test_after_given_words_the_agent_answers_again(agent: Agent, spoken: Caller) -> None:
    with agent.session() as session:
        session.say("hello")
        list(session.push(spoken(before=2.0, after=3.0)))
        list(session.finish())
        assert session.agent_text == "hello a large latte coming up"


def test_a_muted_session_only_listens(agent: Agent, spoken: Caller) -> None:
    with agent.session(mute=True) as session:
        list(session.push(spoken(after=3.0)))
        list(session.finish())
        assert session.caller_text == "a large latte please"
        assert session.agent_text == ""


def test_a_batching_clock_gives_what_a_session_alone_gives(agent: Agent, spoken: Caller) -> None:
    from antiphon.runtime.session import Session

    samples = spoken(after=2.5)
    alone = collect(agent, samples, [])
    engine = agent.engine(batch=3)
    sessions = [Session(engine, agent.pieces, agent.vocabulary, seed=seed) for seed in (3, 8, 3)]
    sessions[0].feed(samples)
    sessions[1].feed(samples[:20_000])
    sessions[2].feed(samples)
    while waiting := [session for session in sessions if session.ready]:
        given = dict(session.next_input() for session in waiting)
        outputs = engine.step(given)
        for session, slot in zip(waiting, given, strict=True):
            session.accept(outputs[slot])
    for index in (0, 2):
        events = [*sessions[index].events(), *sessions[index].finish()]
        assert (sound(events) == sound(alone)).all()
        assert told(events) == told(alone)


def test_events_are_a_typed_union(agent: Agent, spoken: Caller) -> None:
    adapter: TypeAdapter[Event] = TypeAdapter(Event)
    for event in collect(agent, spoken(after=3.0), []):
        if not isinstance(event, AudioEvent):
            assert adapter.validate_json(adapter.dump_json(event)) == event


# -- how the agent is told to speak ------------------------------------------------------------


@pytest.fixture(scope="module")
def styled(tmp_path_factory: pytest.TempPathFactory) -> Agent:
    return Agent.load(make_bundle(tmp_path_factory.mktemp("styled") / "tiny", styled=True))


def test_a_style_and_a_speed_reach_the_network_and_can_change(styled: Agent) -> None:
    plain = styled.say("hello there")
    told = styled.say("hello there", style="calm", speed=1.0)  # the second style, the third speed
    assert np.abs(told).max() / np.abs(plain).max() == pytest.approx(1.23, rel=0.02)
    silence = np.zeros(1280, dtype=np.float32)
    levels: list[float] = []
    with styled.session(mute=True) as session:
        for style in (None, "apologetic"):
            session.delivery = delivery(style)
            session.say("hello")
            while session.saying:
                session.push(silence)
            levels.append(float(np.abs(sound(list(session.events()))).max()))
    assert levels[1] / levels[0] == pytest.approx(1.5, rel=0.05)


def test_a_bundle_without_styles_refuses_them_and_runs_without(agent: Agent) -> None:
    assert len(agent.say("hello there"))
    with pytest.raises(BundleError, match="without styles and speeds"):
        agent.say("hello there", speed=1.2)
    with agent.session() as session, pytest.raises(BundleError, match="without styles"):
        session.delivery = delivery("warm")
    with pytest.raises(AntiphonError, match="no style"):
        agent.session(style="angry")


def test_slots_of_one_engine_speak_each_in_their_own_way(styled: Agent) -> None:
    engine = styled.engine(2)
    sessions = [
        Session(engine, styled.pieces, styled.vocabulary, delivery=delivery(style), mute=True)
        for style in (None, "neutral")
    ]
    heard: list[list[np.ndarray]] = [[], []]
    for session in sessions:
        session.say("hello there")
    for _ in range(20):
        given = {}
        for session in sessions:
            session.feed(np.zeros(1280, dtype=np.float32))
            slot, wanted = session.next_input()
            given[slot] = wanted
        made = engine.step(given)
        for index, (session, slot) in enumerate(zip(sessions, given, strict=True)):
            session.accept(made[slot])
            heard[index].append(made[slot].agent)
    peaks = [float(np.abs(np.concatenate(voice)).max()) for voice in heard]
    assert peaks[1] / peaks[0] == pytest.approx(1.1, rel=0.02)
