from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from antiphon.corpus.calls import Call
from antiphon.corpus.dialogue import Beside, Turn
from antiphon.corpus.mix import Spoken, mix, with_pauses
from antiphon.corpus.voices.speech import Speech

Beeps = Callable[[str], Speech]


def _turn(speaker: str, text: str, gap: float, **more: object) -> Turn:
    fields = {"speaker": speaker, "text": text, "intent": "order", "gap": gap, **more}
    return Turn.model_validate(fields)


def _said(turn: Turn, beeps: Beeps) -> Spoken:
    return Spoken(turn, beeps(turn.text), {"voice": "beep"})


def test_each_turn_starts_its_gap_after_the_end_of_the_one_before(beeps: Beeps) -> None:
    caller = _turn("caller", "a latte please", 0.5)
    agent = _turn("agent", "sure", 0.3)
    made = mix([_said(caller, beeps), _said(agent, beeps)], tail=1.0)
    first, second = made.turns()
    assert first.start == pytest.approx(0.5, abs=1e-3)
    assert first.end == pytest.approx(0.5 + 0.7, abs=1e-3)
    assert second.start == pytest.approx(first.end + 0.3, abs=2e-3)
    assert made.duration == pytest.approx(second.end + 1.0, abs=0.08)
    assert made.audio.shape[1] % 1280 == 0
    assert first.data == {"intent": "order", "text": "a latte please", "tone": "neutral"} | {
        "voice": "beep"
    }


def test_sound_lies_where_the_words_say_and_only_in_the_speakers_channel(beeps: Beeps) -> None:
    made = mix([_said(_turn("caller", "one two three", 0.4), beeps)], tail=0.5)
    assert not made.audio[0].any()
    inside = np.zeros(made.audio.shape[1], bool)
    for word in made.words:
        span = slice(round(word.start * 16_000), round(word.end * 16_000))
        assert np.square(made.audio[1, span]).mean() > 0.01
        inside[span.start - 2 : span.stop + 2] = True
    assert np.abs(made.audio[1, ~inside]).max() < 1e-6


def test_a_call_happens_at_the_end_of_the_callers_turn(beeps: Beeps) -> None:
    call = Call(name="place_order", arguments={"items": [{"drink": "latte"}]})
    turns = [_turn("caller", "a latte", 0.2), _turn("agent", "sure", 0.3, calls=(call,))]
    made = mix([_said(turn, beeps) for turn in turns], tail=0.5)
    (event,) = (e for e in made.events if e.kind == "call")
    assert event.start == event.end == next(made.turns("caller")).end
    assert event.data == {"name": "place_order", "arguments": call.arguments}


def test_a_pause_is_silence_between_two_words_and_moves_what_follows(beeps: Beeps) -> None:
    speech = beeps("one two three")
    longer, silences = with_pauses(speech, [(0, 0.5)])
    assert len(longer.samples) == len(speech.samples) + 8000
    assert longer.words[0] == speech.words[0]
    assert longer.words[1][1] == pytest.approx(speech.words[1][1] + 0.5)
    assert longer.end == pytest.approx(speech.end + 0.5)
    ((start, end),) = silences
    assert end - start == pytest.approx(0.55)
    assert not longer.samples[round(start * 16_000) + 100 : round(end * 16_000) - 100].any()


def test_a_pause_after_the_last_word_is_left_out(beeps: Beeps) -> None:
    speech = beeps("one two")
    assert with_pauses(speech, [(1, 0.5), (7, 0.5)]) == (speech, [])


def test_several_pauses_keep_words_in_order(beeps: Beeps) -> None:
    longer, silences = with_pauses(beeps("one two three four"), [(2, 0.3), (0, 0.2)])
    times = [t for _, a, b in longer.words for t in (a, b)]
    assert times == sorted(times)
    assert len(silences) == 2


def test_no_turns_is_silence() -> None:
    made = mix([], tail=2.0)
    assert made.duration == pytest.approx(2.0, abs=0.08)
    assert not made.audio.any()
    assert made.words == made.events == ()


def test_overlapping_turns_keep_to_their_channels(beeps: Beeps) -> None:
    turns = [_turn("agent", "one two three four", 0.0), _turn("caller", "wait", -0.5)]
    made = mix([_said(turn, beeps) for turn in turns], tail=0.2)
    agent, caller = made.turns()
    assert caller.start < agent.end
    assert np.square(made.audio[0]).sum() > 3 * np.square(made.audio[1]).sum() > 0


def test_a_turn_that_breaks_in_cuts_the_one_before_it_short(beeps: Beeps) -> None:
    agent = _turn("agent", "you have a large latte and a small mocha", 0.2)
    caller = _turn("caller", "no wait", 0.5, breaks_in=0.4, yields=0.3)
    made = mix([_said(agent, beeps), _said(caller, beeps)], tail=1.0)
    whole = mix([_said(agent, beeps)], tail=0.0)
    first, second = made.turns()
    full = next(whole.turns()).end - first.start
    assert second.start == pytest.approx(first.start + 0.4 * full, abs=2e-3)
    assert first.end == pytest.approx(second.start + 0.3, abs=2e-3)
    assert first.data["broken_at"] == pytest.approx(second.start, abs=2e-3)
    assert second.data["breaks_in"] is True
    assert not made.audio[0, round((first.end + 0.005) * 16_000) :].any()
    said = [w.text for w in made.words if w.speaker == "agent"]
    unsaid = [text for text, _, _ in first.data["unsaid"]]
    assert said + unsaid == agent.text.split()
    assert 2 < len(said) < 8
    assert all(w.end <= first.end + 1e-3 for w in made.words if w.speaker == "agent")


def test_a_turn_that_breaks_in_at_the_very_end_cuts_nothing(beeps: Beeps) -> None:
    agent = _turn("agent", "sure", 0.2)
    caller = _turn("caller", "no wait", 0.5, breaks_in=0.85, yields=0.4)
    first, second = mix([_said(agent, beeps), _said(caller, beeps)], tail=1.0).turns()
    assert "unsaid" not in first.data
    assert second.start < first.end


def test_what_is_said_beside_a_turn_lies_in_the_other_channel_and_takes_no_turn(
    beeps: Beeps,
) -> None:
    beside = Beside(by="caller", kind="backchannel", text="mm", word=1, delay=0.1)
    agent = _turn("agent", "you have a large latte and a small mocha", 0.2, beside=(beside,))
    made = mix([Spoken(agent, beeps(agent.text), {}, (beeps("mm"),))], tail=1.0)
    (turn,) = made.turns()
    (sound,) = (e for e in made.events if e.kind == "backchannel")
    words = [w for w in made.words if w.speaker == "agent"]
    assert sound.speaker == "caller"
    assert sound.start == pytest.approx(words[1].end + 0.1, abs=2e-3)
    assert turn.start < sound.start < sound.end < turn.end
    assert made.audio[1].any()
    assert [w.text for w in made.words if w.speaker == "caller"] == ["mm"]


def test_a_murmur_after_the_last_word_lies_before_a_late_answer(beeps: Beeps) -> None:
    murmur = Beside(by="agent", kind="backchannel", text="mm", word=1, delay=0.15)
    caller = _turn("caller", "a latte", 0.2, beside=(murmur,))
    spoken = Spoken(caller, beeps(caller.text), {}, (beeps("mm"),))
    late = mix([spoken, _said(_turn("agent", "okay a latte", 1.4), beeps)], tail=1.0)
    (sound,) = (e for e in late.events if e.kind == "backchannel")
    asked, answer = late.turns()
    assert asked.end < sound.start < sound.end < answer.start
    soon = mix([spoken, _said(_turn("agent", "okay a latte", 0.2), beeps)], tail=1.0)
    assert not [e for e in soon.events if e.kind == "backchannel"]


def test_what_would_run_into_the_speakers_own_turn_is_left_out(beeps: Beeps) -> None:
    late = Beside(by="caller", kind="side_talk", text="mm mm mm mm", word=1, delay=0.3)
    agent = _turn("agent", "sure thing", 0.2, beside=(late,))
    made = mix([Spoken(agent, beeps(agent.text), {}, (beeps(late.text),))], tail=1.0)
    assert not made.audio[1].any()
    assert [e.kind for e in made.events] == ["turn"]
