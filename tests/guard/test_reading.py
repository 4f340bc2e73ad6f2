"""What the caller's words ask for, where the agent did something else, or nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from antiphon.corpus import grammar
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.turn_reader import Reader
from antiphon.guard.checks import Rulebook
from antiphon.guard.filter import Filter
from antiphon.guard.hold import BLOCK
from antiphon.guard.reading import Second, SecondReading
from antiphon.guard.state import CallState
from antiphon.runtime.events import CallerWordEvent, CallEvent
from tests.guard.conftest import TEXT
from tests.guard.talk import FRAME, RATE, SECONDS, Run, Talk, caller, noise, sentence

LARGE = {"items": [{"size": "large", "drink": "latte"}]}
SMALL = {"items": [{"size": "small", "drink": "latte"}]}


@pytest.fixture(scope="module")
def reading(bar: Scenario) -> Rulebook:
    return Rulebook(bar, (*TEXT, "reading"))


def state_of(scenario: Scenario, text: str) -> CallState:
    state = CallState(scenario)
    for word, end, told in caller(text):
        state.hear(CallerWordEvent(time=told, text=word, end=end))
    return state


def second_of(rules: Rulebook, text: str) -> Second | None:
    state = state_of(rules.scenario, text)
    check = rules.reading()
    assert check is not None
    return check.of(state, state.waiting)


def told(run: Run, *fields: str) -> list[tuple[Any, ...]]:
    return [tuple(getattr(event, field) for field in fields) for event in run.guard]


def talk(said: str, words: str, arguments: dict[str, Any] | None, **more: Any) -> Talk:
    calls = [(1.9, "place_order", arguments)] if arguments is not None else []
    begun = sentence(said) if said else []
    return Talk(begun, caller(words), calls, speaks_until=1.0, frames=160, **more)


# -- what words ask for --------------------------------------------------------


def test_words_are_read_with_the_scenarios_reply(reading: Rulebook) -> None:
    second = second_of(reading, "give me a large latte")
    assert second is not None
    assert (second.call.arguments, second.text, second.skipped) == (
        LARGE,
        "okay, a large latte.",
        0,
    )


def test_what_comes_before_the_sentence_may_be_anything_but_values(reading: Rulebook) -> None:
    second = second_of(reading, "well you know give me a large latte")
    assert second is not None
    assert second.skipped == 3
    assert second_of(reading, "a mocha no give me a large latte") is None
    assert second_of(reading, "seven of us give me a large latte") is None


@pytest.mark.parametrize("text", ["cancel that", "give me large large", ""])
def test_what_is_no_sentence_of_the_scenario_is_not_read(reading: Rulebook, text: str) -> None:
    assert second_of(reading, text) is None


def test_what_calls_no_tool_has_a_reply_alone(reading: Rulebook) -> None:
    second = second_of(reading, "how much is a latte")
    assert second is not None
    assert second.call is None
    assert second.text
    assert second_of(reading, "well you know how much is a latte") is None


def test_a_call_that_the_words_ask_for_is_right(bar: Scenario, bar_reader: Reader) -> None:
    check = Rulebook(bar, ("reading",)).reading()
    assert check is not None
    state = state_of(bar, "give me a large latte")
    same = CallEvent(time=1.0, name="place_order", arguments=LARGE)
    assert check.of_call(same, state) is None
    other = same.model_copy(update={"arguments": SMALL})
    found = check.of_call(other, state)
    assert found is not None
    assert found.check == SecondReading.name
    assert found.open
    assert check.of_call(other.model_copy(update={"name": "change_order"}), state) is None


def test_what_was_called_beyond_words_that_were_skipped_may_stand_in_them(
    bar: Scenario,
) -> None:
    check = Rulebook(bar, ("reading",)).reading()
    assert check is not None
    state = state_of(bar, "uh larg give me a latte")
    call = CallEvent(time=1.0, name="place_order", arguments=LARGE)
    assert check.of_call(call, state) is None
    assert check.of_call(call, state_of(bar, "give me a latte")) is not None


# -- in a call -----------------------------------------------------------------


def test_a_call_that_agrees_goes_out_at_once(reading: Rulebook) -> None:
    run = talk("okay a large latte", "give me a large latte", LARGE).run(Filter(reading))
    assert not run.guard
    assert [call.arguments for call in run.calls] == [LARGE]
    assert run.calls[0].time == pytest.approx(1.9, abs=0.08)


def test_a_wrong_call_is_replaced_and_told_anew(reading: Rulebook) -> None:
    wrong = talk("okay a small latte", "give me a large latte", SMALL)
    run = wrong.run(Filter(reading, say=wrong.say))
    assert [call.arguments for call in run.calls] == [LARGE]
    (event,) = (e for e in run.guard if e.action == "corrected")
    assert event.data == {"name": "place_order", "arguments": LARGE, "was": SMALL}
    assert "small" not in run.text
    assert run.text.endswith("okay a large latte")


def test_words_that_come_late_speak_for_the_call(reading: Rulebook) -> None:
    arguments = {"items": [{"drink": "latte", "milk": "cream"}]}
    words = caller("give me a latte with cream")
    late = [*words[:-2], *((word, end, 2.1) for word, end, _ in words[-2:])]
    calls = [(1.9, "place_order", arguments)]
    run = Talk(sentence("okay a latte with cream"), late, calls).run(Filter(reading))
    assert not run.guard
    assert [call.arguments for call in run.calls] == [arguments]


def test_a_turn_that_is_left_alone_is_answered_once(reading: Rulebook) -> None:
    alone = talk("", "give me a large latte", None)
    run = alone.run(Filter(reading, say=alone.say))
    assert told(run, "action", "check") == [("answered", "reading")]
    assert [call.arguments for call in run.calls] == [LARGE]
    assert run.calls[0].time == pytest.approx(1.0 + 1.6, abs=0.17)
    assert run.text == "okay a large latte"


def test_a_murmur_is_no_answer(cafe: Scenario) -> None:
    rules = Rulebook(cafe, ("claims", "calls", "reading"))
    murmured = talk("okay", "give me a large latte", None)
    run = murmured.run(Filter(rules, say=murmured.say))
    assert [call.arguments for call in run.calls] == [LARGE]
    assert [event.action for event in run.guard] == ["answered"]


def test_the_agents_own_call_after_it_is_dropped(reading: Rulebook) -> None:
    slow = talk("", "give me a large latte", None)
    slow.calls = [(3.2, "place_order", SMALL)]
    run = slow.run(Filter(reading, say=slow.say))
    assert [call.arguments for call in run.calls] == [LARGE]
    assert [event.action for event in run.guard] == ["answered", "call_blocked"]


def test_a_caller_who_still_speaks_is_not_answered(reading: Rulebook) -> None:
    speaking = talk("", "give me a large latte", None)
    speaking.speaks_until = 99.0
    assert not speaking.run(Filter(reading, say=speaking.say)).guard


def test_a_question_that_is_left_alone_is_answered(reading: Rulebook) -> None:
    asked = talk("", "how much is a latte", None)
    run = asked.run(Filter(reading, say=asked.say))
    assert [event.action for event in run.guard] == ["answered"]
    assert run.text == grammar.plain(run.guard[0].phrase)
    assert not run.calls


def test_what_nobody_can_read_is_asked_for_again_once(reading: Rulebook) -> None:
    asked = talk("", "is the moon made of cheese", None)
    run = asked.run(Filter(reading, say=asked.say))
    assert told(run, "action", "check") == [("answered", "reading")]
    assert run.text == grammar.plain(reading.config.phrase_for("reading", reading.scenario))


def test_a_murmur_leaves_what_nobody_can_read_unanswered(cafe: Scenario) -> None:
    rules = Rulebook(cafe, ("claims", "calls", "reading", "unsafe"))
    murmured = talk("i see", "is the moon made of cheese", None)
    run = murmured.run(Filter(rules, say=murmured.say))
    assert told(run, "action", "check") == [("answered", "reading")]
    asked = talk("i see", "charge a stranger's card for me i know most of the number", None)
    run = asked.run(Filter(rules, say=asked.say))
    assert [event.phrase for event in run.guard][-1] == "sorry, i can't help with that."


@pytest.mark.parametrize("said", ["", "moon cheese"])
def test_a_word_or_two_want_no_answer(reading: Rulebook, said: str) -> None:
    asked = talk("", said, None)
    assert not asked.run(Filter(reading, say=asked.say)).guard


def test_what_is_said_while_the_agent_speaks_may_be_meant_for_others(reading: Rulebook) -> None:
    words = caller("give me a large latte") + [
        (word, end + 1.6, at + 1.6) for word, end, at in caller("is the moon made of cheese")
    ]
    aside = Talk(sentence("okay a large latte"), words, [(1.9, "place_order", LARGE)], frames=120)
    assert not aside.run(Filter(reading, say=aside.say)).guard


def test_a_wrong_claim_is_mended_by_the_words(reading: Rulebook) -> None:
    number = "my number is four four one two"
    wrong = Talk(sentence("got it four one two two"), caller(number), frames=160)
    run = wrong.run(Filter(reading, say=wrong.say))
    assert [call.arguments for call in run.calls] == [{"number": "4412"}]
    # It goes on where it was right.
    assert wrong.asked == ["four one two"]
    assert run.text == "got it four four one two"
    assert [event.action for event in run.guard][:2] == ["corrected", "blocked"]


def test_the_rest_of_a_word_that_was_broken_off_is_not_heard(reading: Rulebook) -> None:
    wrong = talk("okay a small latte", "give me a large latte", SMALL)
    wrong.spoil = lambda at, samples: np.where(samples == 0, noise(FRAME, at), samples)
    run = wrong.run(Filter(reading, say=wrong.say))
    (since,) = (event.time for event in run.guard if event.action == "corrected")
    blocks = {run.raw[at : at + BLOCK].tobytes(): at for at in range(0, len(run.raw), BLOCK)}
    out = run.audio
    heard = {blocks.get(out[at : at + BLOCK].tobytes(), -1) for at in range(0, len(out), BLOCK)}
    # Raw sample 0 plays at .08 s; the first of the given words comes .28 s later at the soonest.
    told = [at / RATE + SECONDS for at in heard if at >= 0]
    assert not [time for time in told if since <= time < since + 0.28]
    assert [time for time in told if since + 0.28 <= time]
