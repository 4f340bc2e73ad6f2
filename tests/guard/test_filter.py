"""What is heard is what was checked: sample by sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from antiphon.guard.checks import Rulebook
from antiphon.guard.filter import Filter, lead_ms
from antiphon.guard.hold import EARLY
from antiphon.runtime.events import TurnEvent
from tests.guard.talk import DELAYS, FRAME, RATE, Said, Talk, caller, noise, sentence, tone

HOLD = round(0.32 * RATE)
ASKED = caller("can i get a large latte")
PHRASE = "sorry i can only help with orders"


def ready(seconds: float = 0.5) -> dict[str, np.ndarray]:
    return {PHRASE: np.full(round(seconds * RATE), 0.25, dtype=np.float32)}


def test_the_holdback_is_the_lead_in_whole_frames() -> None:
    assert lead_ms(DELAYS) == pytest.approx(320)


def test_a_clean_call_is_heard_whole_and_later_by_the_holdback(rules: Rulebook) -> None:
    talk = Talk(sentence("okay a large latte"), ASKED)
    run = talk.run(Filter(rules))
    assert not run.guard
    assert run.text == "okay a large latte"
    assert np.array_equal(run.audio[HOLD:], run.raw[:-HOLD])


def test_words_are_told_as_they_begin_to_sound(rules: Rulebook) -> None:
    talk = Talk(sentence("okay a large latte"), ASKED)
    run = talk.run(Filter(rules))
    heard = run.sources()
    for index, event in enumerate(e for e in run.events if e.type == "agent_word"):
        first, _ = talk.span(index)
        at = 0.08 + heard[first] / RATE
        assert event.start == pytest.approx(at, abs=0.002)
        assert abs(event.time - at) <= 0.08


def test_a_wrong_word_is_never_heard_and_the_phrase_is(rules: Rulebook) -> None:
    talk = Talk(sentence("okay a large mocha for you"), ASKED)
    run = talk.run(Filter(rules, ready=ready(), say=talk.say))
    (event,) = (e for e in run.guard if e.action == "blocked")
    assert (event.check, event.text, event.heard) == ("claims", "okay a large mocha", False)
    first, _ = talk.span(3)
    assert max(run.sources()) < first
    assert (
        min(
            set(range(talk.span(2)[0], first - round((EARLY + 0.02) * RATE))) - set(run.sources()),
            default=None,
        )
        is None
    )
    assert np.isclose(run.audio, 0.25).sum() == len(ready()[PHRASE])
    assert run.text == f"okay a large {PHRASE}"
    assert talk.asked == [PHRASE]


def test_a_wrong_price_is_stopped_at_its_first_wrong_word(rules: Rulebook) -> None:
    talk = Talk(sentence("a latte is nine dollars"), caller("how much is a latte"))
    run = talk.run(Filter(rules, ready=ready(), say=talk.say))
    assert run.text == f"a latte is {PHRASE}"
    assert max(run.sources()) < talk.span(3)[0]


def test_a_right_price_passes(rules: Rulebook) -> None:
    talk = Talk(sentence("a latte is three dollars"), caller("how much is a latte"))
    run = talk.run(Filter(rules))
    assert run.text == "a latte is three dollars"
    assert not run.guard


def test_a_word_waits_for_the_caller_word_that_supports_it(rules: Rulebook) -> None:
    words = sentence("okay a large latte")
    due = words[3].start + 0.32 - EARLY
    late = [*ASKED[:-1], ("latte", 1.0, due + 0.08)]
    run = Talk(words, late).run(Filter(rules, ready=ready()))
    assert not run.guard
    assert run.text == "okay a large latte"
    never = [*ASKED[:-1], ("latte", 1.0, due + 0.6)]
    run = Talk(words, never).run(Filter(rules, ready=ready()))
    assert [e.action for e in run.guard] == ["blocked"]


def test_without_a_ready_phrase_the_live_voice_says_it(rules: Rulebook) -> None:
    talk = Talk(sentence("okay a large mocha for you to take away"), ASKED, frames=160)
    run = talk.run(Filter(rules, say=talk.say))
    assert talk.asked == [PHRASE]
    assert run.text == f"okay a large {PHRASE}"
    heard = run.sources()
    # The words that it had begun are not heard; what it was given is, from its first word on.
    given = next(i for i, w in enumerate(talk.words) if w.text == "sorry")
    wrong, first = talk.span(3)[0], talk.span(given)[0]
    assert not [i for i in heard if wrong <= i < first]
    assert first in heard
    assert talk.span(len(talk.words) - 1)[0] in heard


def test_after_a_block_the_next_sentence_is_heard(rules: Rulebook) -> None:
    words = [*sentence("okay a large mocha", 20), *sentence("anything else", 80)]
    talk = Talk(words, ASKED, frames=130)
    run = talk.run(Filter(rules, ready=ready()))
    assert [e.action for e in run.guard] == ["blocked", "resumed"]
    assert run.text == f"okay a large {PHRASE} anything else"


def test_it_works_without_the_clock(rules: Rulebook) -> None:
    talk = Talk(sentence("okay a large mocha"), ASKED, heard=False)
    run = talk.run(Filter(rules, ready=ready()))
    assert max(run.sources()) < talk.span(3)[0]
    assert run.text == f"okay a large {PHRASE}"


def test_a_long_word_is_not_heard_before_it_is_told(rules: Rulebook) -> None:
    words = [Said("okay", 20), Said("a", 24), Said("large", 26), Said("mochamochamocha", 30, 9)]
    talk = Talk(words, ASKED, length=0.9)
    run = talk.run(Filter(rules))
    told = [e.time for e in run.events if e.type == "agent_word"][-1]
    at = run.sources()[talk.span(3)[0]]
    assert 0.08 + at / RATE >= told - 0.08


def test_what_is_held_is_dropped_when_the_agent_yields(rules: Rulebook) -> None:
    words = sentence("okay a large latte")
    stop = words[2].start + 0.1
    talk = Talk(words, ASKED, others=[TurnEvent(time=stop, state="yielding", probability=1.0)])
    run = talk.run(Filter(rules))
    heard_until = 0.08 + max(run.sources().values()) / RATE
    assert heard_until <= stop + 0.08
    assert "latte" not in run.text


def test_every_beat_has_one_frame_of_voice(rules: Rulebook) -> None:
    talk = Talk(sentence("okay a large mocha for you"), ASKED)
    stage = Filter(rules, ready=ready())
    for at in range(talk.frames):
        talk._at = at
        out = stage.review(talk.beat(at))
        assert [len(e.samples) for e in out if e.type == "audio"] == [FRAME]


@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    wrong=st.integers(0, 5),
    word=st.sampled_from(["mocha", "cream", "nine", "small"]),
    every=st.integers(2, 7),
    pieces=st.integers(1, 4),
    begins=st.integers(8, 23),
    hold=st.sampled_from([320, 400, 480]),
    clock=st.booleans(),
    phrase=st.booleans(),
)
def test_nothing_blocked_is_ever_heard(
    rules: Rulebook,
    wrong: int,
    word: str,
    every: int,
    pieces: int,
    begins: int,
    hold: int,
    clock: bool,
    phrase: bool,
) -> None:
    text = ["okay", "then", "a", "large", "latte", "please", "anything", "else", "today"]
    text.insert(wrong, word)
    if word == "cream":
        text.insert(wrong, "with")
        text.insert(wrong, "large")
        wrong += 2
    words = sentence(" ".join(text), begins, max(every, pieces), pieces)
    talk = Talk(words, [(w, e, 0.3) for w, e, _ in ASKED], heard=clock, frames=110)
    run = talk.run(Filter(rules, holdback_ms=hold, ready=ready() if phrase else None))
    blocked = [e for e in run.guard if e.action == "blocked"]
    assert len(blocked) == 1
    heard = run.sources()
    assert not [i for i in heard if i >= talk.span(wrong)[0]]
    # What was said before is heard in its order, and later by no more than is allowed.
    at = [heard[i] for i in sorted(heard)]
    assert at == sorted(at)


# -- the sound -----------------------------------------------------------------


def spoken(talk: Talk, rules: Rulebook, **more: Any) -> Any:
    return talk.run(Filter(rules, ready=ready(), say=talk.say, **more))


def test_a_clean_voice_passes_the_sound_checks(with_sound: Rulebook) -> None:
    run = spoken(Talk(sentence("okay a large latte"), ASKED, voice=tone), with_sound)
    assert not run.guard
    assert np.array_equal(run.audio[HOLD:], run.raw[:-HOLD])


def test_noise_in_the_place_of_the_voice_is_not_heard(with_sound: Rulebook) -> None:
    def spoil(at: int, samples: np.ndarray) -> np.ndarray:
        return noise(FRAME, at) if at >= 36 and samples.any() else samples

    talk = Talk(sentence("okay a large latte", every=5), ASKED, voice=tone, spoil=spoil)
    run = spoken(talk, with_sound)
    (event,) = (e for e in run.guard if e.action == "blocked")
    assert event.check == "audio"
    bad = {float(v) for at in range(36, talk.frames) for v in noise(FRAME, at)}
    assert sum(float(v) in bad for v in run.audio) < 10  # numbers that are equal by chance
    assert PHRASE in run.text


def test_nan_is_silence_a_fault_and_a_phrase(with_sound: Rulebook) -> None:
    def spoil(at: int, samples: np.ndarray) -> np.ndarray:
        return np.full(FRAME, np.nan, np.float32) if at >= 34 else samples

    talk = Talk(sentence("okay a large latte"), ASKED, voice=tone, spoil=spoil, obeys=False)
    run = spoken(talk, with_sound)
    assert np.isfinite(run.audio).all()
    assert [e.action for e in run.guard][:2] == ["fault", "blocked"]
    assert run.guard[0].time <= 35 * 0.08 + 0.08
    assert np.isclose(run.audio, 0.25).sum() >= len(ready()[PHRASE])


def test_a_stuck_frame_is_not_heard(with_sound: Rulebook) -> None:
    stuck = tone(FRAME * 40)[FRAME * 38 : FRAME * 39]

    def spoil(at: int, samples: np.ndarray) -> np.ndarray:
        return stuck if at >= 32 else samples

    talk = Talk(sentence("okay a large latte"), ASKED, voice=tone, spoil=spoil, obeys=False)
    run = spoken(talk, with_sound)
    assert "fault" in [e.action for e in run.guard]
    assert not np.isin(run.audio, stuck[np.abs(stuck) > 0.1]).any()


def test_a_voice_without_words_is_not_heard(with_sound: Rulebook) -> None:
    babble = tone(FRAME * 60)

    def spoil(at: int, samples: np.ndarray) -> np.ndarray:
        return babble[at * FRAME : (at + 1) * FRAME] if 10 <= at < 30 else samples

    run = spoken(Talk([], voice=tone, spoil=spoil, obeys=False), with_sound)
    phrase = np.isclose(run.audio, 0.25).sum()
    fades = np.count_nonzero(np.abs(run.audio) > 0.01) - phrase
    assert phrase
    assert fades <= 160
    assert [e.check for e in run.guard if e.action == "blocked"] == ["audio"]


def test_words_without_a_voice_are_a_fault(with_sound: Rulebook) -> None:
    talk = Talk(
        sentence("okay a large latte"), ASKED, spoil=lambda _, samples: samples * 0, obeys=False
    )
    run = spoken(talk, with_sound)
    assert "fault" in [e.action for e in run.guard]


def test_a_voice_that_says_something_else_is_broken_off(with_sound: Rulebook) -> None:
    def judge(samples: np.ndarray) -> str:
        return "okay a large espresso and"

    talk = Talk(sentence("okay a large latte anything else", every=6), ASKED, voice=tone)
    run = spoken(talk, with_sound, judge=lambda samples: "completely other words than these")
    assert [e.check for e in run.guard if e.action == "blocked"] == ["speech"]
    talk = Talk(sentence("okay a large latte", every=6), ASKED, voice=tone)
    assert not spoken(talk, with_sound, judge=lambda s: "okay a large latte").guard
