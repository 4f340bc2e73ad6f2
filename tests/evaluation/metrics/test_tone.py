from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.evaluation.metrics.tone import Try, contrast, control, heard_tone, reply_class
from antiphon.evaluation.trial import Trial
from tests.evaluation.metrics.made import call, event, figures, measured, shop, tone, trial, words

TONES = st.sampled_from(["neutral", "annoyed", "hesitant"])


def asked(wanted: str, *told: Any, kind: str = "pair", pair: str = "p", **more: Any) -> Trial:
    turn = event("turn", 1.0, 3.0, tone=wanted)
    facts = {"pair": pair, "tone": wanted, **more.pop("facts", {})}
    name = f"tone/{kind}/{pair}-{wanted}-{more.pop('take', 0)}"
    return trial(
        kind, suite="tone", events=[turn], told=told, facts=facts, name=name, group=pair, **more
    )


def test_the_tone_that_stood_longest_counts() -> None:
    turn = event("turn", 1.0, 3.0)
    made = asked("annoyed", tone(1.2, "neutral"), tone(1.4, "annoyed"), tone(3.3, "cheerful"))
    assert heard_tone(made, turn) == "annoyed"
    assert heard_tone(asked("annoyed"), turn) == "neutral"
    assert heard_tone(asked("annoyed", tone(4.0, "annoyed")), turn) == "neutral"
    # It was told before the turn, and has not changed since.
    assert heard_tone(asked("annoyed", tone(0.2, "annoyed")), turn) == "annoyed"


def test_who_hears_every_tone_has_all_figures_at_one() -> None:
    trials = [asked(t, tone(1.2, t)) for t in ("neutral", "annoyed", "cheerful")]
    found = figures("tone", trials)
    assert found["recognition"].value == found["flip"].value == found["contrast"].value == 1
    assert "chance is 0.33" in found["recognition"].note
    assert (found["flip"].n, found["control"].value) == (1, None)


def test_who_hears_words_alone_has_no_contrast_and_flips_nothing() -> None:
    found = figures("tone", [asked("neutral"), asked("annoyed")])
    assert found["recognition"].value == 0.5
    assert (found["flip"].value, found["contrast"].value) == (0, 0)
    assert "tells no tones" in found["recognition"].note
    wrong = measured("tone", [asked("annoyed")]).verdicts[0]
    assert wrong.why == 'The right tone was "annoyed", its own was "neutral".'


def test_a_trial_alone_is_no_pair() -> None:
    found = figures("tone", [asked("annoyed", tone(1.2, "annoyed"))])
    assert (found["flip"].value, found["contrast"].n) == (None, 0)


def test_replies_that_depend_on_tone_are_judged_by_their_class() -> None:
    facts = {
        "judged": "reply",
        "intent": "order",
        "items": [{"tea": "green tea"}],
        "slots": {},
    }

    def replied(text: str, wanted: str) -> Trial:
        told = words(text, 3.5, 5.0)
        more = {**facts, "reply_class": wanted}
        return asked(wanted, *told, facts=more, agent=[(3.5, 5.0)])

    calm, sorry = "okay a green tea", "so sorry for the wait a green tea"
    assert reply_class(replied(calm, "neutral"), shop(), calm) == "neutral"
    assert reply_class(replied(sorry, "annoyed"), shop(), sorry) == "annoyed"
    assert reply_class(replied("", "annoyed"), shop(), "") == ""
    assert reply_class(replied(calm, "annoyed"), shop(), "the weather is fine today") == ""
    assert reply_class(replied(calm, "annoyed"), shop(), " ".join([sorry] * 3)) == ""
    # What it misheard, and called, is no matter of tone.
    facts["items"], other = [{"tea": "tea"}], "okay a large black tea"
    misheard = replied(other, "neutral")
    assert reply_class(misheard, shop(), other) == ""
    called = call("place_order", 3.4, items=[{"size": "large", "tea": "black tea"}])
    misheard = replace(misheard, told=(*misheard.told, called))
    assert reply_class(misheard, shop(), other) == "neutral"
    facts["items"] = [{"tea": "green tea"}]
    right = figures("tone", [replied(calm, "neutral"), replied(sorry, "annoyed")])
    blind = figures("tone", [replied(calm, "neutral"), replied(calm, "annoyed")])
    assert (right["flip"].value, blind["flip"].value) == (1, 0)
    assert (right["contrast"].value, blind["contrast"].value) == (1, 0)


def test_the_control_of_the_same_answer_twice_is_zero() -> None:
    twice = [asked("annoyed", tone(1.2, "annoyed"), kind="control", take=take) for take in range(2)]
    assert figures("tone", twice)["control"].value == 0


@given(st.lists(st.tuples(TONES, TONES), min_size=2, max_size=4))
def test_contrast_is_bounded_and_zero_for_one_answer_to_all(tries: list[tuple[str, str]]) -> None:
    assert -1 <= contrast([Try(right, said) for right, said in tries]) <= 1
    labels = ["neutral", "annoyed"]
    assert contrast([Try(label, tries[0][1]) for label in labels]) == pytest.approx(0)


@given(TONES, TONES, TONES)
def test_the_control_is_fair_both_ways(true: str, first: str, second: str) -> None:
    one = control([Try(true, first), Try(true, second)])
    other = control([Try(true, second), Try(true, first)])
    if true in (first, second) or first == second:
        assert one == pytest.approx(-other)
