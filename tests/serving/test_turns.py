from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.runtime.clock import ClockEvent
from antiphon.runtime.events import AgentWordEvent, CallerWordEvent, ToneEvent
from antiphon.serving.turns import (
    AgentFloor,
    ToolCallEvent,
    Turn,
    TurnTracker,
    VoiceActivity,
)
from tests.serving.scene import SILENCE, VOICE, beat

STEP = 0.08


class Call:
    """A tracker that is fed beats and keeps the turns."""

    def __init__(self) -> None:
        self.tracker = TurnTracker()
        self.turns: list[Turn] = []
        self.now = 0

    def beats(self, count: int = 1, more: Sequence[ClockEvent] = (), **what: Any) -> Call:
        for index in range(count):
            self.now += 1
            told = more if index == 0 else ()
            self.turns += self.tracker.push(beat(self.now, more=told, **what))
        return self

    def heard(self, word: str, late: float = 0.4) -> CallerWordEvent:
        time = (self.now + 1) * STEP
        return CallerWordEvent(time=time, text=word, end=time - late)

    def meant(self, word: str) -> AgentWordEvent:
        time = (self.now + 1) * STEP
        return AgentWordEvent(time=time, text=word, start=time + 0.1)

    def end(self) -> list[Turn]:
        self.turns += self.tracker.finish()
        return self.turns

    def ask(self, *words: str) -> Call:
        self.beats(10, speech=True)
        self.beats(4)
        for word in words:
            self.beats(1, more=[self.heard(word)])
        return self

    def answer(self, *words: str, calls: Sequence[ClockEvent] = ()) -> Call:
        self.beats(1, text=5, turn=1)
        for word in words:
            self.beats(2, voice=True, turn=1, more=[self.meant(word), *calls])
            calls = ()
        self.beats(1, text=1, voice=True)
        return self.beats(6)


def order(id: str = "c1") -> ToolCallEvent:
    return ToolCallEvent(time=1.0, name="place_order", arguments={"n": 1}, id=id)


def test_a_question_and_its_answer_are_two_turns_in_order() -> None:
    call = Call().beats(5).ask("a", "latte").answer("coming", "up", calls=[order()])
    caller, agent = call.turns
    assert (caller.index, caller.speaker, caller.text) == (0, "caller", "a latte")
    assert (agent.index, agent.speaker, agent.text) == (1, "agent", "coming up")
    assert [c.name for c in agent.calls] == ["place_order"]
    assert caller.start == pytest.approx(5 * STEP)
    assert agent.end > agent.start > caller.end


def test_a_callers_words_have_guessed_starts_that_do_not_overlap() -> None:
    (turn, *_) = Call().ask("a", "very", "large", "latte").answer("yes").turns
    times = [time for _, *span in turn.words for time in span]
    assert times == sorted(times)
    assert turn.words[0][1] >= 0


def test_the_gap_is_from_the_last_words_end_to_the_first_audible_sample() -> None:
    call = Call().ask("please").answer("yes")
    caller, agent = call.turns
    end = caller.words[-1][2]
    first = next(n for n in range(1, 100) if agent.start <= n * STEP and n * STEP > agent.start)
    assert end is not None
    assert agent.gap_ms == pytest.approx((first * STEP - end) * 1e3, abs=1)


def test_an_agent_that_was_not_spoken_to_has_no_gap() -> None:
    call = Call().beats(3).answer("hello")
    assert [turn.gap_ms for turn in call.turns] == [None]
    call.answer("still", "there")
    assert [turn.gap_ms for turn in call.turns] == [None, None]


def test_an_answer_that_begins_before_the_end_has_a_negative_gap() -> None:
    call = Call().beats(10, speech=True)
    call.beats(1, text=5, turn=1)
    call.beats(2, voice=True, speech=True, turn=1, more=[call.meant("yes")])
    call.beats(6, voice=True, turn=1, more=[call.heard("latte", late=0.0)])
    call.beats(1, text=1).beats(12)
    gaps = [turn.gap_ms for turn in call.end() if turn.speaker == "agent"]
    assert gaps[0] is not None
    assert gaps[0] < 0


def test_a_turn_waits_for_words_that_come_late() -> None:
    call = Call().beats(10, speech=True).beats(1, text=5, turn=1).beats(3, voice=True)
    assert call.turns == []
    call.beats(1, voice=True, more=[call.heard("late", late=0.5)]).beats(12, voice=True)
    assert [turn.text for turn in call.turns] == ["late"]


def test_a_caller_whom_nobody_answers_ends_by_silence() -> None:
    call = Call().ask("hello").beats(30)
    assert [(turn.speaker, turn.text) for turn in call.turns] == [("caller", "hello")]


def test_a_pause_within_a_turn_does_not_end_it() -> None:
    call = Call().ask("a").beats(8).ask("latte").answer("yes")
    assert [turn.text for turn in call.turns] == ["a latte", "yes"]


def test_sound_without_words_is_no_turn_and_takes_no_number() -> None:
    call = Call().beats(3, speech=True).beats(40).ask("latte").answer("yes")
    assert [(turn.index, turn.text) for turn in call.turns] == [(0, "latte"), (1, "yes")]


def test_a_word_under_the_threshold_of_hearing_still_is_a_turn() -> None:
    call = Call().beats(5)
    call.beats(1, more=[call.heard("psst")]).beats(12)
    assert [turn.text for turn in call.end()] == ["psst"]


def test_a_call_before_the_voice_belongs_to_the_answer() -> None:
    call = Call().ask("latte").beats(1, more=[order()]).answer("coming")
    agent = call.turns[-1]
    assert agent.text == "coming"
    assert [c.id for c in agent.calls] == ["c1"]


def test_a_call_without_a_voice_is_a_turn_of_its_own() -> None:
    call = Call().ask("latte").beats(1, more=[order()]).beats(40)
    agent = call.turns[-1]
    assert (agent.speaker, agent.text) == ("agent", "")
    assert [c.id for c in agent.calls] == ["c1"]


def test_a_result_is_kept_with_its_call_while_the_turn_goes_on() -> None:
    call = Call().ask("latte").beats(1, text=5, turn=1).beats(1, voice=True, more=[order()])
    call.tracker.tool_result("c1", "ok")
    call.beats(3, voice=True).beats(1, text=1).beats(5)
    assert call.turns[-1].calls[0].result == "ok"


def test_an_agent_that_is_interrupted_has_said_what_was_heard() -> None:
    call = Call().ask("latte").beats(1, text=5, turn=1)
    call.beats(2, voice=True, more=[call.meant("one")])
    far = AgentWordEvent(time=call.now * STEP, text="two", start=call.now * STEP + 1)
    call.beats(1, voice=True, more=[far])
    call.tracker.interrupt()
    call.beats(3)
    agent = call.turns[-1]
    assert (agent.text, agent.interrupted) == ("one", True)


def test_the_callers_tone_is_told_with_the_turn() -> None:
    call = Call()
    call.beats(1, speech=True, more=[ToneEvent(time=0.08, tone="annoyed", probability=0.9)])
    call.ask("latte").answer("sorry")
    assert [turn.tone for turn in call.turns] == ["annoyed", None]


def test_what_is_open_at_the_end_is_told_at_the_end() -> None:
    call = Call().ask("one")
    call.beats(1, text=5).beats(2, voice=True, more=[call.meant("well")])
    assert [turn.text for turn in call.end()] == ["one", "well"]
    assert call.tracker.finish() == []


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_turns_are_numbered_in_order_whatever_happens(data: st.DataObject) -> None:
    call = Call()
    words = calls = 0
    for _ in range(data.draw(st.integers(1, 60))):
        speech, voice = data.draw(st.booleans()), data.draw(st.booleans())
        text = data.draw(st.sampled_from([0, 0, 0, 1, 5]))
        more: list[Any] = []
        kind = data.draw(st.sampled_from(["", "", "heard", "meant", "call", "stop"]))
        if kind == "heard":
            more, words = [call.heard("w")], words + 1
        elif kind == "meant":
            more = [call.meant("a")]
        elif kind == "call":
            more, calls = [order(f"c{calls}")], calls + 1
        elif kind == "stop":
            call.tracker.interrupt()
        call.beats(data.draw(st.integers(1, 8)), more=more, speech=speech, voice=voice, text=text)
    turns = call.end()
    assert [turn.index for turn in turns] == list(range(len(turns)))
    assert all(turn.end >= turn.start for turn in turns)
    assert all(turn.text or turn.calls for turn in turns)
    assert sum(len(turn.words) for turn in turns if turn.speaker == "caller") == words
    assert sum(len(turn.calls) for turn in turns) == calls


# -- the floor --------------------------------------------------------------------------------


def test_the_floor_is_taken_by_text_before_sound_and_given_up_after_the_last_sound() -> None:
    floor = AgentFloor()
    assert floor.push(0, SILENCE) is None
    assert floor.push(5, SILENCE) == "started"
    assert [floor.push(0, VOICE) for _ in range(5)] == [None] * 5
    assert floor.push(1, VOICE) is None
    assert [floor.push(0, SILENCE) for _ in range(3)] == [None, None, "stopped"]


def test_a_pause_in_a_sentence_keeps_the_floor_and_a_lost_end_gives_it_up() -> None:
    floor = AgentFloor()
    floor.push(5, VOICE)
    assert [floor.push(0, SILENCE) for _ in range(10)] == [None] * 10
    floor.push(0, VOICE)
    edges = [floor.push(0, SILENCE) for _ in range(20)]
    assert edges.index("stopped") == 14


def test_a_text_that_is_broken_off_for_another_keeps_the_floor() -> None:
    floor = AgentFloor()
    assert floor.push(5, SILENCE) == "started"
    # Nothing of it was let through; then it is ended, and other words begin.
    assert [floor.push(text, SILENCE) for text in (0, 0, 0, 1, 7, 0, 0, 0, 0)] == [None] * 9


def test_sound_alone_takes_the_floor() -> None:
    assert AgentFloor().push(0, VOICE) == "started"


def test_voice_activity_ends_after_its_silence() -> None:
    activity = VoiceActivity(threshold=0.5, silence=0.24)
    edges = [activity.push(n * STEP, v) for n, v in enumerate([0, 0.9, 0.4, 0.9, 0, 0, 0, 0], 1)]
    assert edges == [None, "started", None, None, None, None, "stopped", None]
    assert activity.started == pytest.approx(STEP)
    assert activity.last == pytest.approx(4 * STEP)
