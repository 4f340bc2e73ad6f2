from __future__ import annotations

import numpy as np
import pytest

from antiphon.evaluation.bootstrap import Grouped, mean, ratio


def test_a_ratio_is_of_sums_and_its_interval_holds_it() -> None:
    estimate = ratio([1, 0, 0, 3], [10, 10, 10, 10])
    assert estimate.value == pytest.approx(0.1)
    assert estimate.low is not None
    assert estimate.high is not None
    assert 0 <= estimate.low < 0.1 < estimate.high <= 0.3
    assert ratio([1, 0, 0, 3], [10, 10, 10, 10]) == estimate


def test_the_interval_of_a_mean_is_about_two_standard_errors() -> None:
    values = np.random.default_rng(0).normal(5, 1, 400).tolist()
    estimate = mean(values)
    assert estimate.low is not None
    assert estimate.high is not None
    assert (estimate.high - estimate.low) / 2 == pytest.approx(1.96 / 20, rel=0.15)


def test_nothing_has_no_figure() -> None:
    assert ratio([], []).value is None
    assert ratio([0.0], [0.0]).show() == "-"
    assert mean([0.5]).show(".1f") == "0.5  [0.5, 0.5]"


def test_groups_that_are_alike_inside_make_an_interval_wider() -> None:
    values = [0.0] * 20 + [1.0] * 20
    alike = Grouped(["a"] * 10 + ["b"] * 10 + ["c"] * 10 + ["d"] * 10).mean(values)
    alone = Grouped([str(i) for i in range(40)]).mean(values)
    assert alike.value == alone.value == 0.5
    assert alike.low is not None
    assert alone.low is not None
    assert alike.low < alone.low
    assert alone.low == pytest.approx(0.5 - 1.96 * 0.5 / np.sqrt(40), abs=0.03)


def test_one_group_is_drawn_trial_by_trial() -> None:
    one = Grouped(["a"] * 40).mean([0.0] * 20 + [1.0] * 20)
    assert one.low is not None
    assert one.low < 0.4


def test_a_grouped_percentile_is_numpys_and_its_interval_holds_it() -> None:
    values = np.random.default_rng(1).normal(0, 1, 60).tolist()
    for q in (5, 50, 90):
        estimate = Grouped([str(i // 3) for i in range(60)]).percentile(values, q)
        assert estimate.value == pytest.approx(float(np.percentile(values, q)))
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low <= estimate.value <= estimate.high
    single = Grouped(["a"]).percentile([3.0], 50)
    assert (single.value, single.low, single.high) == (3.0, 3.0, 3.0)


def test_percentiles_of_draws_are_those_of_the_drawn_values() -> None:
    grouped, values = Grouped(["a", "b", "b", "c"]), [4.0, 1.0, 3.0, 2.0]
    weights = grouped._weights[:, grouped._of]
    wanted = [np.percentile(np.repeat(values, row), 90) for row in weights]
    low, high = np.percentile(wanted, (2.5, 97.5))
    estimate = grouped.percentile(values, 90)
    assert (estimate.low, estimate.high) == pytest.approx((low, high))


def test_a_paired_difference_is_narrower_than_its_parts() -> None:
    rng = np.random.default_rng(2)
    ours = rng.normal(0, 1, 50)
    theirs = ours - 0.2 + rng.normal(0, 0.05, 50)
    groups = Grouped([str(i) for i in range(50)])
    difference, alone = groups.difference(ours.tolist(), theirs.tolist()), groups.mean(ours)
    assert difference.value == pytest.approx(0.2, abs=0.03)
    assert difference.low is not None
    assert difference.high is not None
    assert alone.low is not None
    assert alone.high is not None
    assert difference.low > 0
    assert difference.high - difference.low < (alone.high - alone.low) / 5


def test_nothing_to_draw_has_no_figure() -> None:
    assert Grouped([]).mean([]).value is None
    assert Grouped([]).percentile([], 50).value is None
    assert Grouped(["a", "b"]).ratio([0.0, 0.0], [0.0, 0.0]).value is None
