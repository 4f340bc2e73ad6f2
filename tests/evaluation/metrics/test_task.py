from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.corpus.calls import Call
from antiphon.evaluation.metrics.task import pass_k, slots_right, verdict
from antiphon.evaluation.trial import Trial
from tests.evaluation.metrics.made import call, event, figures, measured, shop, trial

GREEN = {"tea": "green tea", "size": "small"}
PLACE = Call(name="place_order", arguments={"items": [GREEN]})


def order(*made: Any, kind: str = "order", **more: Any) -> Trial:
    more = {"order": [GREEN], "calls": [], "expects": [PLACE], **more}
    return trial(kind, suite="task", told=made, **more)


RIGHT = call("place_order", items=[GREEN])
WRONG = call("place_order", items=[{"tea": "green tea", "size": "large"}])


def test_an_order_is_right_when_its_final_state_is() -> None:
    assert verdict(order(RIGHT), shop()).ok
    # A large one, made small afterwards: the state counts, not the way.
    assert verdict(order(WRONG, call("change_order", size="small")), shop()).ok


def test_a_wrong_order_says_what_was_on_order_and_what_was_wanted() -> None:
    found = verdict(order(WRONG), shop())
    assert found.ok is False
    assert "size large" in found.why
    assert "wanted (tea green tea, size small)" in found.why
    assert "On order was nothing" in verdict(order(), shop()).why
    assert verdict(order(RIGHT, RIGHT), shop()).ok is False


def test_items_may_come_in_any_order_but_each_as_often_as_wanted() -> None:
    black = {"tea": "black tea"}
    both = order(call("place_order", items=[black, GREEN]), order=[GREEN, black])
    twice = order(call("place_order", items=[GREEN, GREEN]), order=[GREEN, black])
    assert verdict(both, shop()).ok
    assert not verdict(twice, shop()).ok


def test_an_order_that_was_taken_back_must_have_been_cleared_by_a_call() -> None:
    taken = order(RIGHT, call("cancel_order", at=4), kind="cancel", order=[])
    assert verdict(taken, shop()).ok
    silent = verdict(order(kind="cancel", order=[]), shop())
    assert silent.ok is False
    assert "no call cleared it" in silent.why


def test_other_calls_are_judged_by_the_last_of_each_tool() -> None:
    wanted = Call(name="card", arguments={"digits": "1234"})

    def card(*digits: str) -> Trial:
        made = [call("card", at=float(at), digits=d) for at, d in enumerate(digits)]
        return order(*made, kind="card", order=[], calls=[wanted], expects=[wanted])

    assert verdict(card("1234"), shop()).ok
    assert verdict(card("1235", "1234"), shop()).ok
    assert not verdict(card("1234", "1235"), shop()).ok
    assert not verdict(card(), shop()).ok
    extra = verdict(order(RIGHT, call("card", digits="1234")), shop())
    assert extra.why == "It called card, which nobody asked for."


def test_a_goal_that_doing_nothing_meets_is_not_judged() -> None:
    asked = trial("conversation", suite="task", order=[], calls=[])
    assert measured("task", [asked]).verdicts == ()
    assert figures("task", [asked])["pass_1"].value is None


@pytest.mark.parametrize(
    ("successes", "tries", "k", "value"),
    [(3, 4, 1, 0.75), (3, 4, 2, 0.5), (3, 4, 4, 0), (4, 4, 4, 1)],
)
def test_pass_k_is_the_share_of_draws_that_are_all_right(
    successes: int, tries: int, k: int, value: float
) -> None:
    assert pass_k(successes, tries, k) == pytest.approx(value)


@given(st.integers(1, 12), st.data())
def test_pass_k_falls_with_k_and_rises_with_successes(tries: int, data: st.DataObject) -> None:
    c = data.draw(st.integers(0, tries))
    values = [pass_k(c, tries, k) for k in range(1, tries + 1)]
    assert values == sorted(values, reverse=True)
    assert 0 <= values[-1] <= values[0] == pytest.approx(c / tries)
    if c < tries:
        assert pass_k(c + 1, tries, 1) > values[0]


def test_the_figures_of_tries_with_several_seeds() -> None:
    trials = [
        order(RIGHT if good else WRONG, name=f"task/order/{stimulus}", seed=seed, group=stimulus)
        for stimulus, row in {"a": (1, 1), "b": (1, 0), "c": (0, 0)}.items()
        for seed, good in enumerate(row)
    ]
    found = figures("task", trials)
    assert found["pass_1"].value == pytest.approx(0.5)
    assert found["pass_1"].n == 6
    assert found["pass_k"].value == pytest.approx(1 / 3)
    assert found["pass_k"].n == 3
    assert "k = 2" in found["pass_k"].note
    assert found["correction"].value is None
    assert found["correction"].n == 0


def test_slot_f1_sees_what_is_almost_right() -> None:
    assert slots_right([GREEN], [GREEN]) == (2, 4)
    assert slots_right([GREEN], [{"tea": "green tea"}]) == (1, 3)
    assert slots_right([], [GREEN]) == (0, 2)
    assert slots_right([{"tea": "tea"}, GREEN], [GREEN, {"tea": "tea"}]) == (3, 6)
    found = figures("task", [order(RIGHT), order(WRONG, name="task/order/1")])["slot_f1"]
    assert found.value == pytest.approx(2 * 3 / 8)


def test_repairs_are_counted_a_call() -> None:
    again = [event("turn", 1, 2), event("turn", 4, 5, repair=1), event("turn", 7, 8, repair=2)]
    trials = [
        order(RIGHT, events=again, repairs=2),
        order(RIGHT, events=again[:1], repairs=2, name="task/order/1"),
        order(RIGHT, events=again, name="task/order/2"),  # cannot be repaired
    ]
    found = figures("task", trials)["repairs"]
    assert (found.value, found.n) == (1.0, 2)


def test_a_scenarios_own_kinds_have_figures_of_their_own() -> None:
    wanted = Call(name="card", arguments={"digits": "1234"})
    made = order(
        call("card", digits="1234"), kind="card", order=[], calls=[wanted], expects=[wanted]
    )
    assert figures("task", [made])["card"].value == 1.0


@settings(max_examples=15, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_a_failing_trial_never_raises_a_pass_rate(results: list[bool]) -> None:
    trials = [
        order(RIGHT if good else WRONG, name=f"task/order/{i}", seconds=0.1)
        for i, good in enumerate(results)
    ]
    before = figures("task", trials)["pass_1"]
    after = figures("task", [*trials, order(name="task/order/more", seconds=0.1)])["pass_1"]
    assert before.value is not None
    assert after.value is not None
    assert after.value <= before.value
    assert 0 <= (after.low or 0) <= after.value <= (after.high or 0) <= 1


def test_trials_on_a_bad_line_are_no_part_of_the_suite() -> None:
    noisy = order(WRONG, name="task/order/0@snr0", condition="snr0")
    assert figures("task", [order(RIGHT), noisy])["pass_1"].value == 1.0
