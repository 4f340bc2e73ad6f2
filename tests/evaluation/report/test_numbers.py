from __future__ import annotations

import math

import pytest

from antiphon.evaluation.figures import Figure
from antiphon.evaluation.report.numbers import interval, number, show, title


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.8125, "share", "0.812"),
        (412.4, "ms", "412 ms"),
        (1.5, "per minute", "1.50 /min"),
        (-0.0001, "share", "0.000"),
        (None, "share", "-"),
        (math.nan, "ms", "-"),
        (math.inf, "ratio", "-"),
    ],
)
def test_a_number_has_its_unit(value: float | None, unit: str, text: str) -> None:
    assert number(value, unit) == text


def test_an_interval_names_no_unit_and_may_be_missing() -> None:
    assert interval(1, 2.4, "ms") == "[1, 2]"
    assert interval(None, 1.0) == ""


def test_a_figure_says_when_it_is_not_valid() -> None:
    figure = Figure(name="speech.cer", value=0.02, low=0.01, high=0.03, n=9, valid=False)
    assert show(figure) == "0.020 [0.010, 0.030] (not valid)"
    assert title(figure.name) == "cer"
