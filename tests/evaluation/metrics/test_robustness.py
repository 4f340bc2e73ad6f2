from __future__ import annotations

from typing import Any

import pytest

from antiphon.corpus.calls import Call
from antiphon.evaluation.trial import Trial
from tests.evaluation.metrics.made import call, figures, measured, trial

GREEN = {"tea": "green tea"}
PLACE = Call(name="place_order", arguments={"items": [GREEN]})


def tried(number: int, done: bool, condition: str = "clean", **more: Any) -> Trial:
    name = f"task/order/{number}" + ("" if condition == "clean" else f"@{condition}")
    told = [call("place_order", items=[GREEN])] if done else []
    return trial(
        "order",
        suite="task",
        name=name,
        condition=condition,
        told=told,
        order=[GREEN],
        expects=[PLACE],
        seconds=0.2,
        **more,
    )


def test_retention_is_of_the_same_stimuli_and_the_worst_is_named() -> None:
    trials = [tried(i, i < 4) for i in range(5)]
    trials += [tried(i, i < 2, "snr5") for i in range(5)]
    trials += [tried(i, i < 4, "mulaw") for i in range(5)]
    trials += [tried(9, False)]  # never tried in any condition
    found = figures("robustness", trials)
    assert found["snr5"].value == pytest.approx(0.5)
    assert (found["mulaw"].value, found["mulaw"].low, found["mulaw"].high) == (1, 1, 1)
    assert found["worst"].value == pytest.approx(0.5)
    assert found["worst"].note == "the worst is snr5"
    assert found["mean"].value == pytest.approx(6 / 8)
    lost = [v for v in measured("robustness", trials).verdicts if v.trial == "task/order/2@snr5"]
    assert lost[0].why.startswith("Lost to snr5, done on a clean line: On order was nothing")


def test_nothing_is_retained_of_nothing() -> None:
    found = figures("robustness", [tried(0, False), tried(0, True, "snr5")])
    assert (found["snr5"].value, found["snr5"].n) == (None, 0)
    assert found["worst"].value is None
    assert figures("robustness", [])["mean"].value is None


def test_a_trial_without_its_clean_one_is_left_out() -> None:
    assert "snr5" not in figures("robustness", [tried(1, True), tried(2, True, "snr5")])
    seeds = [tried(1, True, seed=1), tried(1, True, "snr5", seed=2)]
    assert "snr5" not in figures("robustness", seeds)


def test_the_worst_group_is_named_where_it_has_enough_trials() -> None:
    trials = [tried(i, i != 0, group="ann") for i in range(5)]
    trials += [tried(10 + i, i > 2, group="ben") for i in range(5)]
    trials += [tried(20, False, group="cat")]
    found = figures("robustness", trials)["worst_group"]
    assert found.value == pytest.approx(0.4)
    assert "ben" in found.note
