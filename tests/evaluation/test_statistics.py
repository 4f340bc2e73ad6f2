from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.evaluation.statistics import percentile, share, slot_f1


def test_wilson_against_published_values() -> None:
    # Newcombe 1998, table I: 81 of 263 and 0 of 20.
    found = share(81, 263)
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    none = share(0, 20)
    assert (none.low, none.high) == pytest.approx((0.0, 0.1611), abs=1e-4)


@settings(deadline=None)
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_share(case: tuple[int, int]) -> None:
    found = share(*case)
    assert 0 <= found.low <= found.share <= found.high <= 1


def test_nothing_measured_is_no_figure() -> None:
    assert math.isnan(share(0, 0).share)
    assert str(share(0, 0)) == "-"
    assert percentile([], 50) is None


def test_slot_f1_counts_wrong_missing_and_invented() -> None:
    pairs = [
        ({"size": "large", "drink": "latte"}, {"size": "small", "drink": "latte"}),
        ({"drink": "mocha"}, {}),
        ({}, {"drink": "mocha"}),
    ]
    assert slot_f1(pairs) == pytest.approx(2 * 1 / 6)
    assert slot_f1([({"a": "b"}, {"a": "b"})]) == 1
