from __future__ import annotations

import numpy as np
import pytest

from antiphon.evaluation.bootstrap import mean, ratio


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
