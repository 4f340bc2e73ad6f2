"""Recorded calls are reviewed as live ones are."""

from __future__ import annotations

import numpy as np

from antiphon.guard.checks import Rulebook
from antiphon.guard.events import GuardEvent
from antiphon.guard.monitor import Monitor
from antiphon.guard.replay import Recorded, review, turns_of
from antiphon.runtime.events import AgentWordEvent, CallerWordEvent, Event, ToneEvent
from tests.guard.talk import Talk, caller, sentence, tone


class _Nothing:
    """A stage that changes nothing."""

    def review(self, events: list[Event]) -> list[Event]:
        return events


def recorded(text: str, *, sound: bool = True) -> Recorded:
    run = Talk(sentence(text), caller("can i get a large latte"), voice=tone).run(_Nothing())
    told = [e for e in run.events if e.type in ("agent_word", "caller_word", "call")]
    return Recorded("one", tuple(told), run.raw if sound else None)


def test_a_wrong_word_in_a_recording_is_found(with_sound: Rulebook) -> None:
    for sound in (True, False):
        monitor = Monitor(with_sound)
        seen = review(with_sound, recorded("okay a large mocha", sound=sound), monitor)
        (event,) = (e for e in seen.events if e.action == "blocked")
        assert event.text == "okay a large mocha"
        risk = monitor.risk()
        assert (risk.calls, risk.blocks) == (1, 1)
        assert risk.hallucination.value == 1.0


def test_a_clean_recording_is_clean(with_sound: Rulebook) -> None:
    monitor = Monitor(with_sound)
    seen = review(with_sound, recorded("okay a large latte"), monitor)
    assert not seen.events
    assert [turn.text for turn in seen.turns] == ["can i get a large latte", "okay a large latte"]
    assert monitor.risk().hallucination.value == 0


def test_what_a_guard_did_then_is_counted(with_sound: Rulebook) -> None:
    call = recorded("okay a large latte")
    then = GuardEvent(time=1.0, action="blocked", check="unsafe", reason="why")
    monitor = Monitor(with_sound)
    seen = review(with_sound, Recorded("one", call.told, call.agent, (then,)), monitor)
    assert seen.events == [then]
    assert monitor.risk().blocks == 1


def test_turns_are_parted_by_pauses_and_speakers() -> None:
    told: list[Event] = [
        CallerWordEvent(time=1, text="hello", end=0.8),
        ToneEvent(time=1.2, tone="annoyed", probability=0.9),
        AgentWordEvent(time=2, text="hi", start=2.0),
        CallerWordEvent(time=6, text="latte", end=5.5),
    ]
    turns = turns_of(told)
    assert [(t.speaker, t.text, t.tone) for t in turns] == [
        ("caller", "hello", "annoyed"),
        ("agent", "hi", None),
        ("caller", "latte", "annoyed"),
    ]
    assert np.isfinite(turns[0].end)
