from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from antiphon.corpus.calls import Call
from antiphon.evaluation.protocol import SECONDS, TICK
from antiphon.evaluation.script import (
    ANSWER,
    SETTLED,
    TAIL,
    UNANSWERED,
    Clip,
    ScriptedCaller,
    Step,
    Stimulus,
)
from antiphon.runtime.events import AgentWordEvent

CALL = Call(name="place_order", arguments={"items": [{"drink": "latte"}]})
VOICE = np.full(TICK, 0.1, np.float32)
QUIET = np.zeros(TICK, np.float32)


def clip(seconds: float = 1.0, text: str = "a latte", lead: float = 0.02) -> Clip:
    """A clip whose path says how long it is; its first sound comes `lead` seconds in."""
    word = (text, lead, lead + seconds)
    return Clip(path=f"{lead + seconds}", text=text, words=(word,), start=lead, end=lead + seconds)


def load(path: str) -> np.ndarray:
    return np.full(round(float(path) * 16_000), 0.05, np.float32)


def play(
    caller: ScriptedCaller,
    agent: Callable[[float], bool] = lambda now: False,
    said: dict[float, str] | None = None,
    most: float = 60.0,
) -> np.ndarray:
    """Run a caller against an agent that sounds where `agent(now)`; the caller's channel."""
    out: list[np.ndarray] = []
    words = sorted((said or {}).items())
    while not caller.done and caller.now < most:
        told = []
        while words and words[0][0] <= caller.now:
            told.append(AgentWordEvent(time=caller.now, start=caller.now, text=words.pop(0)[1]))
        out.append(caller.tick(VOICE if agent(caller.now) else QUIET, told))
    return np.concatenate(out)


def stimulus(*steps: Step, seconds: float = 0.0) -> Stimulus:
    return Stimulus(id="task/order/000", suite="task", kind="order", steps=steps, seconds=seconds)


def starts(caller: ScriptedCaller, kind: str = "turn") -> list[float]:
    return [event.start for event in caller.events if event.kind == kind]


def test_a_turn_sounds_where_its_event_and_its_words_say() -> None:
    caller = ScriptedCaller(stimulus(Step(clip=clip(1.0, lead=0.1), after=0.5)), load)
    sound = play(caller)
    (event,) = caller.events
    assert event.start == pytest.approx(0.5, abs=SECONDS)
    assert event.end - event.start == pytest.approx(1.0)
    assert (caller.words[0].start, caller.words[0].end) == (event.start, event.end)
    first = np.flatnonzero(sound)[0] / 16_000
    assert first == pytest.approx(event.start - 0.1, abs=1e-3)  # the clip, of which .1 s is lead


def test_an_unanswered_caller_leaves_and_an_answered_one_hears_the_answer_out() -> None:
    alone = ScriptedCaller(stimulus(Step(clip=clip())), load)
    play(alone)
    assert alone.now == pytest.approx(alone.events[0].end + UNANSWERED, abs=0.1)
    answered = ScriptedCaller(stimulus(Step(clip=clip())), load)
    play(answered, lambda now: 1.5 < now < 6.0)
    assert answered.now == pytest.approx(6.0 + SETTLED, abs=0.1)
    short = ScriptedCaller(stimulus(Step(clip=clip())), load)
    play(short, lambda now: 1.5 < now < 1.8)
    assert short.now == pytest.approx(short.events[0].end + TAIL, abs=0.1)


def test_a_voice_that_never_ends_is_left() -> None:
    caller = ScriptedCaller(stimulus(Step(clip=clip())), load)
    play(caller, lambda now: True)
    assert caller.now == pytest.approx(caller.events[0].end + ANSWER, abs=0.1)


def test_agent_done_waits_for_the_end_of_the_reply() -> None:
    steps = (Step(clip=clip()), Step(clip=clip(), when="agent_done", after=1.2))
    caller = ScriptedCaller(stimulus(*steps), load)
    play(caller, lambda now: 1.5 < now < 3.0)
    assert starts(caller)[1] == pytest.approx(3.0 + 1.2, abs=2 * SECONDS)


def test_caller_done_counts_from_the_last_clip() -> None:
    steps = (Step(clip=clip()), Step(clip=clip(), when="caller_done", after=0.6))
    caller = ScriptedCaller(stimulus(*steps), load)
    play(caller)
    first, second = (event for event in caller.events if event.kind == "turn")
    assert second.start == pytest.approx(first.end + 0.6, abs=2 * SECONDS)


@pytest.mark.parametrize("kind", ["barge_in", "backchannel", "side_talk", "noise"])
def test_agent_speaking_breaks_in_on_the_reply(kind: str) -> None:
    steps = (
        Step(clip=clip()),
        Step(clip=clip(0.4, "uh huh"), kind=kind, when="agent_speaking", after=0.5),
    )
    caller = ScriptedCaller(stimulus(*steps), load)
    play(caller, lambda now: 1.5 < now < 5.0)
    assert starts(caller, kind)[0] == pytest.approx(1.5 + 0.5, abs=3 * SECONDS)
    assert ("uh huh" in [word.text for word in caller.words]) == (kind != "noise")


def test_what_was_to_break_in_is_missed_when_the_agent_says_nothing_or_too_little() -> None:
    late = Step(clip=clip(), kind="backchannel", when="agent_speaking", after=2.0)
    for agent in (lambda now: False, lambda now: 1.5 < now < 2.0):
        caller = ScriptedCaller(stimulus(Step(clip=clip()), late), load)
        play(caller, agent)
        assert starts(caller, "backchannel") == []
        (missed,) = [event for event in caller.events if event.kind == "missed"]
        assert missed.data == {"step": 1, "kind": "backchannel"}


def test_a_turn_is_said_anyway_when_patience_is_over() -> None:
    steps = (Step(clip=clip()), Step(clip=clip(), when="agent_done", patience=2.0))
    caller = ScriptedCaller(stimulus(*steps), load)
    play(caller)
    first, second = caller.events
    assert second.start == pytest.approx(first.end + 2.0, abs=0.1)
    assert second.data["unanswered"] is True


def confirms(call: Call, text: str) -> bool:
    return call == CALL and text.split()[-1:] == ["latte"]


def test_a_wrong_confirmation_is_repaired_and_a_right_one_is_not() -> None:
    again = (clip(text="no a latte"), clip(text="a latte i said"))
    step = Step(clip=clip(), expects=CALL, repairs=again)
    wrong = ScriptedCaller(stimulus(step), load, confirms)
    play(wrong, lambda now: now % 4 > 2, {2.0: "okay a mocha"})
    assert [event.data.get("repair") for event in wrong.events] == [None, 1, 2]
    right = ScriptedCaller(stimulus(step), load, confirms)
    play(right, lambda now: 2.0 < now < 3.0, {2.0: "okay a", 2.1: "latte"})
    assert len(right.events) == 1
    mended = ScriptedCaller(stimulus(step), load, confirms)
    play(mended, lambda now: now % 4 > 2, {2.0: "a mocha", 6.5: "a latte"})
    assert [event.data.get("repair") for event in mended.events] == [None, 1]


def test_repairs_come_before_the_next_step_and_need_somebody_who_judges() -> None:
    steps = (
        Step(clip=clip(), expects=CALL, repairs=(clip(text="again"),)),
        Step(clip=clip(text="bye"), when="agent_done", after=0.8),
    )
    caller = ScriptedCaller(stimulus(*steps), load, confirms)
    play(caller, lambda now: now % 4 > 2, {2.0: "a mocha"})
    assert [event.data["text"] for event in caller.events] == ["a latte", "again", "bye"]
    deaf = ScriptedCaller(stimulus(*steps), load)
    play(deaf, lambda now: now % 4 > 2, {2.0: "a mocha"})
    assert [event.data["text"] for event in deaf.events] == ["a latte", "bye"]


def test_pauses_of_a_clip_are_events_in_their_places() -> None:
    paused = clip(2.0).model_copy(update={"pauses": ((0.5, 1.1),)})
    caller = ScriptedCaller(stimulus(Step(clip=paused, after=0.4)), load)
    play(caller)
    (pause,) = [event for event in caller.events if event.kind == "pause"]
    zero = starts(caller)[0] - paused.start
    assert (pause.start, pause.end) == pytest.approx((zero + 0.5, zero + 1.1))


def test_silence_lasts_as_long_as_it_says_whatever_the_agent_does() -> None:
    for agent in (lambda now: False, lambda now: True):
        caller = ScriptedCaller(stimulus(seconds=3.0), load)
        assert not play(caller, agent).any()
        assert caller.now == pytest.approx(3.0, abs=SECONDS)


def test_the_same_agent_gets_the_same_caller() -> None:
    steps = (Step(clip=clip()), Step(clip=clip(), when="agent_done", after=0.9))
    runs = []
    for _ in range(2):
        caller = ScriptedCaller(stimulus(*steps), load)
        sound = play(caller, lambda now: 1.4 < now < 2.6)
        runs.append((sound.tobytes(), tuple(caller.events), tuple(caller.words)))
    assert runs[0] == runs[1]
