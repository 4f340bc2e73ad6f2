from __future__ import annotations

from typing import Any

import pytest

from antiphon.bundle import find, load
from antiphon.evaluation.metrics import algorithmic_delay
from antiphon.evaluation.trial import Costs, Trial
from tests.evaluation.metrics.made import event, figures, measured, trial


def answered(at: float | None, late: int = 0, **more: Any) -> Trial:
    costs = Costs(p50=0.01, p99=0.03, mean=0.012, late=late)
    agent = [] if at is None else [(at, at + 1.5)]
    return trial(agent=agent, events=[event("turn", 1, 3)], seconds=8.0, costs=costs, **more)


def test_processing_is_added_to_a_simulated_clock_and_not_to_a_live_one() -> None:
    here = figures("latency", [answered(3.3)])
    assert here["first_audible_p50"].value == pytest.approx(310)
    assert here["network_first_audible_p50"].value is None
    live = figures("latency", [answered(3.3)], live=True)
    assert live["first_audible_p50"].value is None
    assert live["network_first_audible_p50"].value == pytest.approx(300)
    assert (live["process_p50"].n, live["deadline_misses"].n) == (0, 0)


def test_costs_are_those_of_80_ms() -> None:
    found = figures("latency", [answered(3.3, late=2), answered(3.4, name="b")])
    assert found["process_p50"].value == pytest.approx(10)
    assert found["process_p99"].value == pytest.approx(30)
    assert found["real_time_factor"].value == pytest.approx(0.15)
    assert (found["deadline_misses"].value, found["deadline_misses"].n) == (0.01, 200)


def test_the_algorithmic_delay_is_the_frame_and_what_the_codec_looks_ahead() -> None:
    manifest = load(find("cafe")).manifest
    assert algorithmic_delay(manifest) == pytest.approx(0.11)
    assert figures("latency", [], algorithmic=0.11)["algorithmic"].value == pytest.approx(110)
    assert figures("latency", [])["algorithmic"].value is None


def test_verdicts_name_what_was_slow() -> None:
    trials = [answered(3.3), answered(4.5), answered(None), answered(3.3, late=1)]
    verdicts = measured("latency", trials).verdicts
    assert [v.ok for v in verdicts] == [True, False, None, False]
    assert "1.51 s" in verdicts[1].why
    assert "not ready in time" in verdicts[3].why


def test_nothing_measured_is_no_figure() -> None:
    assert all((f.value, f.n) == (None, 0) for f in figures("latency", []).values())
