from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.cascade.conftest import play, texts

from antiphon.cascade.session import TICK, CascadeSession
from antiphon.errors import AntiphonError, AudioError
from antiphon.runtime.events import AgentWordEvent, CallerWordEvent, CallEvent, TurnEvent
from antiphon.runtime.latency import replies

Open = Callable[..., CascadeSession]
LOUD = 0.5


def test_an_order_is_answered_after_the_silence(call: Open) -> None:
    session = call("give me a latte")
    played, told = play(session, (0.5, 0), (1.0, LOUD), (3.0, 0))
    ((start, end),) = replies(played)
    assert 1.5 + 0.7 <= start <= 1.5 + 0.7 + 0.1
    assert end - start == pytest.approx(0.6, abs=0.02)  # "okay, a latte.": three words
    (made,) = [event for event in told if isinstance(event, CallEvent)]
    assert (made.name, made.arguments) == ("place_order", {"items": [{"drink": "latte"}]})
    assert made.time == pytest.approx(start, abs=2 * TICK / 16_000)
    assert session.order == {"items": [{"drink": "latte"}]}


def test_events_tell_honest_times(call: Open) -> None:
    played, told = play(call("give me a latte"), (0.5, 0), (1.0, LOUD), (3.0, 0))
    ((start, _),) = replies(played)
    said = [event for event in told if isinstance(event, AgentWordEvent)]
    assert [event.start - start for event in said] == pytest.approx([0, 0.2, 0.4], abs=0.021)
    assert all(0 <= event.start - event.time <= 0.02 for event in said)
    heard = [event for event in told if isinstance(event, CallerWordEvent)]
    assert texts(told, CallerWordEvent) == "give me a latte"
    # The prompter's first word ends .4 s into the turn, which has .3 s of sound before the onset.
    assert heard[0].end == pytest.approx(0.5 + 0.1, abs=0.05)
    assert [e.state for e in told if isinstance(e, TurnEvent)] == ["speaking", "listening"]
    assert [event.time for event in told] == sorted(event.time for event in told)


def test_a_pause_shorter_than_the_silence_ends_no_turn(call: Open) -> None:
    session = call("give me a latte")
    played, _ = play(session, (0.5, LOUD), (0.5, 0), (0.5, LOUD), (2.0, 0))
    assert len(replies(played)) == 1
    assert replies(played)[0][0] >= 1.5 + 0.7


def test_half_a_sentence_is_waited_for(call: Open) -> None:
    session = call("give me a")
    played, told = play(session, (1.0, LOUD), (3.0, 0))
    ((start, _),) = replies(played)
    assert 1.0 + 1.2 <= start <= 1.0 + 1.3
    assert texts(told, AgentWordEvent) == "sorry i can only help with orders"
    assert session.calls == ()


@pytest.mark.parametrize(("turn", "misfit"), [(None, 0.0), ("give me a latte", 30.0)])
def test_what_does_not_fit_is_never_an_order(call: Open, turn: str | None, misfit: float) -> None:
    session = call(turn, misfit=misfit)
    _, told = play(session, (1.0, LOUD), (3.0, 0))
    assert texts(told, AgentWordEvent) == "sorry i can only help with orders"
    assert texts(told, CallerWordEvent) == ""
    assert session.calls == ()


@pytest.mark.parametrize(("length", "turn"), [(0.15, None), (0.5, "um")])
def test_coughs_and_fillers_get_no_answer(call: Open, length: float, turn: str | None) -> None:
    played, _ = play(call(turn), (0.5, 0), (length, LOUD), (3.0, 0))
    assert replies(played) == []


def test_a_click_opens_no_turn(call: Open) -> None:
    played, told = play(call(), (0.5, 0), (0.04, LOUD), (3.0, 0))
    assert replies(played) == []
    assert told == []


def test_silence_is_not_answered(call: Open) -> None:
    played, told = play(call(), (10.0, 0))
    assert not played.any()
    assert told == []


def test_a_caller_who_breaks_in_stops_the_reply_and_is_heard(call: Open) -> None:
    session = call("what do i have", "give me a latte")
    session.say("one two three four five six seven eight nine ten")
    played, told = play(session, (0.5, 0), (1.0, LOUD), (0.3, 0))
    ((_, end),) = replies(played)
    assert 0.5 + 0.4 <= end <= 0.5 + 0.4 + 0.12
    assert texts(told, AgentWordEvent) == "one two three four five"
    states = [event.state for event in told if isinstance(event, TurnEvent)]
    assert states == ["speaking", "yielding"]
    played, told = play(session, (3.0, 0))
    assert texts(told, AgentWordEvent) == "you have no order"


def test_a_short_word_under_the_agents_voice_is_let_pass(call: Open) -> None:
    session = call("what do i have")
    session.say("one two three four five six seven eight nine ten")
    played, told = play(session, (0.5, 0), (0.25, LOUD), (4.0, 0))
    ((_, end),) = replies(played)
    assert end == pytest.approx(2.0, abs=0.05)
    assert not [event for event in told if isinstance(event, CallerWordEvent)]


def test_talk_without_end_is_answered_at_last(call: Open) -> None:
    _, told = play(call(None, None), (21.0, LOUD))
    assert texts(told, AgentWordEvent).startswith("sorry")


def test_a_conversation_keeps_its_order(call: Open) -> None:
    session = call("give me a latte", "make it large", "cancel that")
    for wanted in ({"drink": "latte"}, {"drink": "latte", "size": "large"}, None):
        play(session, (1.0, LOUD), (3.0, 0))
        assert session.order == ({"items": [wanted]} if wanted else None)


@pytest.mark.parametrize("bad", [np.zeros(319), np.zeros((2, 160)), np.full(TICK, np.nan)])
def test_what_is_no_tick_is_refused(call: Open, bad: np.ndarray) -> None:
    with pytest.raises(AudioError, match="320 finite samples"):
        call().push(bad)


def test_a_closed_session_takes_nothing(call: Open) -> None:
    with call() as session:
        pass
    with pytest.raises(AntiphonError, match="closed"):
        session.push(np.zeros(TICK))
