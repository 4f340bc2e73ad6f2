from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.corpus.conversation import Event
from antiphon.evaluation.metrics.duplex import (
    answers,
    backchannels,
    distance,
    divergence,
    holds,
    interrupts,
    responds,
    takes_pause,
    takes_turn,
    turn_gap,
    yields,
)
from antiphon.evaluation.metrics.segments import events, turns
from antiphon.evaluation.trial import Trial
from tests.evaluation.metrics.made import Span, call, event, figures, measured, shop, trial, words

TURN = event("turn", 1.0, 3.0)


def gap(*agent: Span, then: Sequence[Event] = (), told: Sequence[object] = ()) -> float | None:
    return turn_gap(trial(agent=agent, events=[TURN, *then], told=told), TURN)


# -- the end of a turn


def test_a_gap_is_signed() -> None:
    assert gap((3.3, 5.0)) == pytest.approx(0.3)
    assert gap((2.8, 5.0)) == pytest.approx(-0.2)


def test_no_gap_where_nothing_or_too_little_was_said() -> None:
    assert gap() is None
    assert gap((3.3, 3.9)) is None


def test_speech_from_before_the_turn_is_no_answer_to_it() -> None:
    assert gap((0.0, 10.0)) is None
    assert gap((0.0, 3.5), (4.2, 6.0)) == pytest.approx(1.2)


def test_what_was_over_before_the_turns_end_is_no_answer() -> None:
    assert gap((1.5, 2.2), (3.5, 5.0)) == pytest.approx(0.5)


def test_a_backchannel_before_the_answer_is_not_its_start() -> None:
    assert gap((2.9, 3.1), (3.8, 5.5)) == pytest.approx(0.8)


def test_an_answer_after_the_callers_next_turn_answers_that_one() -> None:
    assert gap((6.2, 8.0), then=[event("turn", 5.0, 6.0)]) is None
    made = trial(agent=[(6.2, 8.0)], events=[TURN, event("turn", 5.0, 6.0)])
    assert not responds(made, TURN)
    assert len(answers(made, turns(made)[1])) == 1


def test_an_agent_that_never_stops_takes_the_turn_but_has_no_gap() -> None:
    made = trial(agent=[(0.0, 10.0)], events=[TURN])
    assert takes_turn(made, TURN)
    assert turn_gap(made, TURN) is None
    assert interrupts(made, TURN) == 1


def test_four_quick_words_take_the_turn_and_three_do_not() -> None:
    assert gap((3.3, 4.1), told=words("yes of course sir", 3.3, 4.1)) == pytest.approx(0.3)
    assert gap((3.3, 4.1), told=words("yes of course", 3.3, 4.1)) is None


# -- pauses

PAUSE = event("pause", 2.0, 2.8)
LONG = event("turn", 1.0, 5.0)


def in_pause(*agent: Span) -> bool:
    return takes_pause(trial("pause", agent=agent, events=[LONG, PAUSE]), PAUSE)


def test_speech_in_a_pause_takes_the_turn_where_it_is_no_backchannel() -> None:
    assert in_pause((2.3, 4.0))
    assert not in_pause((2.3, 2.7))
    assert not in_pause((5.3, 7.0))


def test_speech_decided_in_the_pause_and_heard_just_after_it_counts() -> None:
    assert in_pause((3.2, 4.6))
    assert not in_pause((3.4, 4.6))


def test_speech_through_the_whole_pause_counts_and_speech_that_ends_in_it_does_not() -> None:
    assert in_pause((0.0, 10.0))
    assert not in_pause((0.0, 2.4))


def test_a_quick_answer_right_after_a_late_pause_is_no_take_over_in_it() -> None:
    turn, pause = event("turn", 1.0, 3.3), event("pause", 2.0, 2.9)
    made = trial("pause", agent=[(3.15, 5.0)], events=[turn, pause])
    assert not takes_pause(made, pause)
    assert turn_gap(made, turn) == pytest.approx(-0.15)


# -- interruptions and backchannels


def test_an_interruption_begins_inside_a_turn_and_not_just_before_its_end() -> None:
    made = [trial(agent=[(start, start + 1.5)], events=[TURN]) for start in (1.5, 2.7, 2.8, 3.2)]
    assert [interrupts(each, TURN) for each in made] == [1, 1, 0, 0]
    assert interrupts(trial(agent=[(1.5, 2.0)], events=[TURN]), TURN) == 0


def test_backchannels_are_timed_from_the_turns_start() -> None:
    turn = event("turn", 1.0, 9.0)
    made = trial("monologue", agent=[(3.0, 3.4), (5.0, 6.5), (8.0, 8.3)], events=[turn])
    assert backchannels(made, turn) == pytest.approx([2.0, 7.0])
    found = figures("duplex", [made])["backchannels"]
    assert found.value == pytest.approx(2 / (8 / 60))
    assert found.unit == "per minute"


def test_divergence_is_none_for_the_same_times_and_one_bit_for_others() -> None:
    assert divergence([1.0, 3.0], [1.05, 3.1], 5.0) == pytest.approx(0.0)
    assert divergence([1.0], [3.0], 5.0) == pytest.approx(1.0)
    assert divergence([], [3.0], 5.0) == 1.0
    assert divergence([0.6], [0.7], 5.0) == pytest.approx(0.0)
    # Half of one lies where the other is: p = (.5, .5), q = (1, 0).
    assert divergence([1.0, 3.0], [1.0], 5.0) == pytest.approx(0.311278, abs=1e-6)


def test_distance_is_what_scipy_gives() -> None:
    spatial = pytest.importorskip("scipy.spatial.distance")
    bits = divergence([1.0, 3.0], [1.0], 5.0)
    assert distance(bits) == pytest.approx(float(spatial.jensenshannon([0.5, 0.5], [1.0, 0.0])))


@given(
    st.lists(st.floats(0, 4.9, allow_subnormal=False), min_size=1, max_size=8),
    st.lists(st.floats(0, 4.9, allow_subnormal=False), min_size=1, max_size=8),
)
def test_divergence_is_symmetric_and_between_0_and_1(a: list[float], b: list[float]) -> None:
    assert divergence(a, b, 5.0) == pytest.approx(divergence(b, a, 5.0))
    assert 0 <= divergence(a, b, 5.0) <= 1
    assert divergence(a, a, 5.0) == pytest.approx(0, abs=1e-9)


def test_people_to_compare_with_are_the_stimulus_or_handed_in() -> None:
    turn = event("turn", 1.0, 9.0)
    made = trial("monologue", agent=[(3.0, 3.4)], events=[turn], facts={"backchannels": [2.1]})
    assert figures("duplex", [made])["backchannel_jsd"].value == pytest.approx(0)
    handed = figures("duplex", [made], backchannels={made.stimulus.id: [5.0]})
    assert handed["backchannel_jsd"].value == pytest.approx(1)
    nobody = trial("monologue", agent=[(3.0, 3.4)], events=[turn])
    assert figures("duplex", [nobody])["backchannel_jsd"].n == 0


# -- yielding

REPLY = (3.3, 8.0)
BARGE = event("barge_in", 5.0, 6.2)


def late(*agent: Span, barge: Event = BARGE) -> float | None:
    return yields(trial("barge_in", agent=agent, events=[TURN, barge]), barge)


def test_yielding_is_timed_to_the_last_audible_sample() -> None:
    assert late((3.3, 5.4), (6.5, 9.0)) == pytest.approx(0.4)
    assert late((3.3, 8.0)) == pytest.approx(3.0)


def test_a_hesitation_is_no_yield() -> None:
    assert late((3.3, 5.4), (5.8, 9.0)) == pytest.approx(4.0)


def test_a_short_silence_around_the_barge_ins_end_parts_the_cut_reply_from_the_answer() -> None:
    short = event("barge_in", 5.0, 5.5)
    assert late((3.3, 5.4), (5.75, 8.0), barge=short) == pytest.approx(0.4)


def test_nobody_yields_who_is_not_speaking_or_ends_anyway() -> None:
    assert late() is None
    assert late((3.3, 4.5)) is None
    assert late((3.3, 5.05)) is None


def test_the_shares_of_yields_leave_out_what_was_not_tested() -> None:
    trials = [
        trial("barge_in", name=f"b{i}", agent=agent, events=[TURN, BARGE])
        for i, agent in enumerate([[(3.3, 5.4)], [(3.3, 7.5)], [(3.3, 4.5)]])
    ]
    missed = trial("barge_in", name="b9", events=[TURN, event("missed", 9, 9, kind="barge_in")])
    found = figures("duplex", [*trials, missed])
    assert (found["yield"].value, found["yield"].n) == (0.5, 2)
    assert found["yield_p50"].value == pytest.approx(400)
    assert "1 not said" in found["yield"].note
    verdicts = measured("duplex", [*trials, missed]).verdicts
    assert [v.ok for v in verdicts] == [True, False, None, None]
    assert "2.50 s after the caller had broken in" in verdicts[1].why
    assert "not speaking when the barge in was due" in verdicts[3].why


# -- holding on

UH_HUH = event("backchannel", 5.0, 5.4)


def held(*agent: Span, heard: Event = UH_HUH, **more: object) -> bool | None:
    made = trial("backchannel", agent=agent, events=[TURN, heard], **more)  # type: ignore[arg-type]
    found = holds(made, heard, shop())
    return None if found is None else found.ok


def test_going_on_through_a_backchannel_is_right() -> None:
    assert held((3.3, 8.0)) is True
    assert held((3.3, 6.1)) is True


def test_stopping_for_a_backchannel_or_answering_it_is_wrong() -> None:
    assert held((3.3, 5.5)) is False
    assert held((3.3, 6.3), (7.2, 8.5)) is False


def test_a_hesitation_and_late_speech_are_neither() -> None:
    assert held((3.3, 5.5), (6.0, 8.0)) is True
    assert held((3.3, 6.3), (7.6, 8.5)) is True


def test_an_event_that_found_the_agent_silent_tested_nothing() -> None:
    assert held() is None
    assert held((3.3, 4.8)) is None
    assert held((6.0, 9.0)) is None


def test_a_reply_that_was_said_whole_was_not_stopped_by_the_event() -> None:
    confirmed = [call("place_order", items=[{"tea": "green tea"}])]
    said = words("okay a green tea", 3.3, 5.5)
    assert held((3.3, 5.5), told=[*said, *confirmed]) is None
    cut = words("okay a", 3.3, 5.5)
    assert held((3.3, 5.5), told=[*cut, *confirmed]) is False


def test_a_reply_known_from_undisturbed_trials_is_whole() -> None:
    said = words("two dollars it is", 3.3, 5.5)
    calm = trial("turn", name="calm", agent=[(3.3, 5.5)], events=[TURN], told=said)
    cut = trial("noise", agent=[(3.3, 5.5)], events=[TURN, event("noise", 5, 5.2)], told=said)
    assert figures("duplex", [calm, cut])["holds_noise"].n == 0
    assert figures("duplex", [cut])["holds_noise"].value == 0


def test_a_callers_turn_ends_the_time_for_an_answer_to_a_noise() -> None:
    noise, turn = event("noise", 5, 5.2), event("turn", 6.0, 6.5)
    made = trial("noise", agent=[(3.3, 5.9), (6.8, 8)], events=[TURN, noise, turn])
    assert holds(made, noise, shop()) is None or holds(made, noise, shop()).ok is False  # type: ignore[union-attr]
    later = trial("noise", agent=[(3.3, 6.1), (7.0, 8.2)], events=[TURN, noise, turn])
    assert holds(later, noise, shop()).ok  # type: ignore[union-attr]


# -- baselines and traps


def stimuli() -> list[tuple[str, list[Event]]]:
    other = [event("side_talk", 5.0, 6.0), event("noise", 5.0, 5.3), UH_HUH, BARGE]
    return [(each.kind, [TURN, each]) for each in other]


def play(agent: Sequence[Span]) -> list[Trial]:
    return [trial(kind, agent=agent, events=heard) for kind, heard in stimuli()]


def test_always_talking_never_wins_the_joint_score() -> None:
    found = figures("duplex", play([(0.0, 10.0)]))
    assert [found[f"holds_{k}"].value for k in ("backchannel", "side_talk", "noise")] == [1, 1, 1]
    assert found["joint"].value == 0
    assert found["joint"].note == "the least is R_Y"


def test_never_talking_has_no_joint_score() -> None:
    found = figures("duplex", play([]))
    assert (found["joint"].value, found["joint"].n) == (None, 0)
    assert found["no_response"].value == 1


def test_always_stopping_never_wins_the_joint_score() -> None:
    assert figures("duplex", play([(3.3, 5.3)]))["joint"].value == 0


def test_who_yields_and_holds_as_each_asks_wins() -> None:
    trials = [
        trial(kind, agent=[(3.3, 5.3)] if kind == "barge_in" else [(3.3, 8.0)], events=heard)
        for kind, heard in stimuli()
    ]
    found = figures("duplex", trials)["joint"]
    assert (found.value, found.low, found.high) == (1, 1, 1)
    assert all(v.ok for v in measured("duplex", trials).verdicts)


def test_an_echo_is_caught_in_pauses_and_by_its_gap() -> None:
    pause = event("pause", 2.0, 2.8)
    agent = [(1.6, 2.6), (3.4, 5.6)]  # the caller's own sound, .6 s late
    made = trial("pause", agent=agent, events=[LONG, pause])
    assert interrupts(made, LONG) == 2
    assert takes_turn(made, LONG) is True
    assert turn_gap(made, LONG) == pytest.approx(-1.6)
    assert measured("duplex", [made]).verdicts[0].ok is False


def test_an_echo_answers_every_backchannel() -> None:
    assert held((3.3, 4.9), (5.6, 6.0)) is None
    assert held((3.3, 5.3), (6.1, 6.5)) is False


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 130), st.integers(2, 60)), max_size=5), st.integers(0, 50))
def test_no_figure_moves_when_everything_is_said_later(
    spans: list[tuple[int, int]], shift: int
) -> None:
    agent = [(start / 10, (start + length) / 10) for start, length in spans]
    heard = [event("turn", 4, 6), event("pause", 4.5, 5.0), event("barge_in", 9, 10)]
    heard.append(event("noise", 12, 12.4))
    late = shift / 10

    def at(by: float) -> Trial:
        return trial(
            agent=[(a + by, b + by) for a, b in agent],
            events=[e.model_copy(update={"start": e.start + by, "end": e.end + by}) for e in heard],
            seconds=26,
        )

    here, there = at(0.0), at(late)
    for a, b in zip(turns(here), turns(there), strict=True):
        assert takes_turn(here, a) == takes_turn(there, b)
        assert turn_gap(here, a) == pytest.approx(turn_gap(there, b), abs=1e-3)
        assert interrupts(here, a) == interrupts(there, b)
    assert yields(here, events(here, "barge_in")[0]) == pytest.approx(
        yields(there, events(there, "barge_in")[0]), abs=1e-3
    )
    a = holds(here, events(here, "noise")[0], shop())
    b = holds(there, events(there, "noise")[0], shop())
    assert (a and a.ok) == (b and b.ok)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 90), st.integers(1, 50)), max_size=6))
def test_shares_are_shares_and_nothing_is_ever_nan(spans: list[tuple[int, int]]) -> None:
    agent = [(a / 10, min(10.0, (a + length) / 10)) for a, length in spans]
    for figure in figures("duplex", play(agent)).values():
        if figure.value is None:
            assert figure.n == 0
            continue
        assert np.isfinite(figure.value)
        assert figure.low is None or figure.low <= figure.value + 1e-9
        assert figure.high is None or figure.value <= figure.high + 1e-9
        if figure.unit == "share":
            assert 0 <= figure.value <= 1


def test_no_trials_give_no_figures_and_no_errors() -> None:
    assert all(f.value is None and f.n == 0 for f in figures("duplex", []).values())
