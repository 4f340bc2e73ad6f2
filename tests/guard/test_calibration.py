"""A confidence that is what it says has no error, and one that is not can be mended."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from antiphon.errors import AntiphonError
from antiphon.guard.calibration import (
    Calibrator,
    Temperature,
    coverage,
    fit_isotonic,
    fit_platt,
    fit_temperature,
    reliability,
)

RNG = np.random.default_rng(3)
GIVEN = RNG.uniform(0.02, 0.98, 4000)
TRUE = RNG.uniform(size=4000) < GIVEN
LOGIT = np.log(GIVEN / (1 - GIVEN))
SURE = 1 / (1 + np.exp(-3 * LOGIT))  # three times too sure


def test_an_honest_confidence_has_hardly_an_error() -> None:
    found = reliability(list(GIVEN), list(TRUE))
    assert found is not None
    assert found.ece < 0.03
    assert found.n == 4000
    assert sum(row.n for row in found.bins) == 4000


def test_the_error_of_two_bins_by_hand() -> None:
    found = reliability([0.1, 0.1, 0.9, 0.9], [False, True, True, True], bins=2)
    assert found is not None
    assert found.ece == pytest.approx(0.5 * abs(0.1 - 0.5) + 0.5 * abs(0.9 - 1.0))
    assert found.brier == pytest.approx((0.01 + 0.81 + 0.01 + 0.01) / 4)


def test_a_temperature_is_found_again() -> None:
    assert fit_temperature(list(SURE), list(TRUE)).temperature == pytest.approx(3.0, rel=0.1)


@pytest.mark.parametrize("fit", [fit_temperature, fit_platt, fit_isotonic])
def test_every_calibrator_mends_on_other_data(fit: object) -> None:
    mend = fit(list(SURE[:2000]), list(TRUE[:2000]))  # type: ignore[operator]
    before = reliability(list(SURE[2000:]), list(TRUE[2000:]))
    after = reliability([mend(float(x)) for x in SURE[2000:]], list(TRUE[2000:]))
    assert before is not None
    assert after is not None
    assert after.ece < 0.05 < before.ece
    again = TypeAdapter(Calibrator).validate_json(mend.model_dump_json())
    assert again(0.7) == mend(0.7)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1, allow_subnormal=False), st.booleans()), min_size=1, max_size=60
    )
)
def test_isotonic_only_rises_and_stays_within(pairs: list[tuple[float, bool]]) -> None:
    mend = fit_isotonic([c for c, _ in pairs], [r for _, r in pairs])
    values = [mend(x) for x in np.linspace(0, 1, 21)]
    assert all(0 <= a <= 1 for a in values)
    assert all(a <= b + 1e-9 for a, b in itertools.pairwise(values))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1, allow_subnormal=False), st.booleans()), max_size=60),
    st.floats(0, 0.5, allow_subnormal=False),
)
def test_what_is_covered_keeps_the_risk(pairs: list[tuple[float, bool]], risk: float) -> None:
    found = coverage([c for c, _ in pairs], [r for _, r in pairs], risk)
    if found is None:
        return
    taken = [right for confidence, right in pairs if confidence >= found.threshold]
    assert len(taken) / len(pairs) == pytest.approx(found.covered)
    assert 1 - sum(taken) / len(taken) <= risk + 1e-9


def test_bad_data_is_one_sentence() -> None:
    with pytest.raises(AntiphonError, match="nothing to fit"):
        fit_platt([], [])
    with pytest.raises(AntiphonError, match="one outcome"):
        reliability([0.5], [])
    with pytest.raises(AntiphonError, match="from 0 to 1"):
        reliability([1.5], [True])
    assert reliability([], []) is None
    assert Temperature(temperature=1.0)(0.3) == pytest.approx(0.3)
