"""Counts add up, windows roll, and every figure says what it rests on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from antiphon.corpus.scenario import Scenario
from antiphon.guard.checks import Rulebook
from antiphon.guard.events import GuardEvent
from antiphon.guard.monitor import Monitor
from antiphon.guard.replay import Turn
from antiphon.guard.risk import Counts, risk_of, share
from antiphon.runtime.events import AudioEvent, CallEvent
from tests.guard.talk import FRAME

QUIET = np.zeros(FRAME, dtype=np.float32)


@pytest.fixture
def monitor(rules: Rulebook) -> Monitor:
    made = Monitor(rules)
    made.opened("a", 0.0)
    return made


def said(speaker: str, text: str, at: float, tone: str | None = None) -> Turn:
    return Turn(speaker, text, at, at + 1, tone)


def guard(action: Any, check: str = "claims", **more: Any) -> GuardEvent:
    return GuardEvent(time=1.0, action=action, check=check, reason="why", **more)


def test_shares_have_wilsons_interval() -> None:
    rate = share(1, 20)
    assert rate.value == pytest.approx(0.05)
    assert (rate.low, rate.high) == (
        pytest.approx(0.0089, abs=1e-3),
        pytest.approx(0.236, abs=1e-3),
    )
    assert share(0, 0).value is None
    assert "n = 20" in str(rate)


def test_counts_add_and_subtract() -> None:
    a = Counts(calls=1, blocks=2, minutes=0.5)
    assert (a + a - a).values() == a.values()


def test_a_call_without_trouble_has_no_risk(monitor: Monitor) -> None:
    monitor.events("a", [AudioEvent(time=0.1, samples=QUIET)] * 750, 60.0)
    monitor.turn("a", said("caller", "can i get a large latte", 1))
    monitor.turn("a", said("agent", "okay a large latte", 3))
    risk = monitor.call_risk("a")
    assert risk.hallucination.value == risk.repeats.value == risk.out_of_domain.value == 0
    assert risk.minutes == pytest.approx(1.0)
    assert risk.silence_answers.value == 0


def test_what_the_guard_found_is_counted_by_its_kind(monitor: Monitor) -> None:
    monitor.events("a", [guard("blocked"), guard("call_blocked", "calls")], 1.0)
    monitor.events("a", [guard("blocked", "unsafe", heard=True), guard("fault", "audio")], 2.0)
    risk = monitor.call_risk("a")
    assert risk.blocks == 2
    assert risk.hallucination.value == risk.violations.value == risk.heard.value == 0.5
    assert risk.invalid_calls.value == 1.0


def test_a_flag_counts_with_its_turn(monitor: Monitor) -> None:
    monitor.turn("a", said("caller", "how much is a latte", 1))
    monitor.events("a", [guard("flagged")], 1.0)
    monitor.turn("a", said("agent", "a latte is three", 3))
    risk = monitor.call_risk("a")
    assert (risk.hallucination.value, risk.hallucination.n) == (1.0, 1)


def test_calls_are_held_against_their_schemas(monitor: Monitor) -> None:
    good = {"items": [{"drink": "latte"}]}
    for arguments in (good, {"items": [{"drink": "gin"}]}):
        event = CallEvent(time=1, name="place_order", arguments=arguments)
        monitor.events("a", [event], 1.0)
    assert monitor.call_risk("a").invalid_calls.value == 0.5


def test_a_caller_who_says_it_again_after_a_block_calls_it_wrong(monitor: Monitor) -> None:
    monitor.turn("a", said("caller", "give me a large latte", 1, "neutral"))
    monitor.events("a", [guard("blocked")], 2.0)
    monitor.turn("a", said("caller", "give me a large latte", 5, "annoyed"))
    risk = monitor.call_risk("a")
    assert risk.over_blocks.value == 1.0
    assert risk.repeats.value == risk.frustration.value == 0.5


def test_answers_to_nobody_are_told_apart(monitor: Monitor) -> None:
    monitor.turn("a", said("agent", "okay a latte", 3))
    assert monitor.call_risk("a").silence_answers.n == 0  # no minute yet
    monitor.events("a", [AudioEvent(time=0.1, samples=QUIET)] * 750, 60.0)
    assert monitor.call_risk("a").silence_answers.value == pytest.approx(1.0)


def test_a_prompt_to_a_silent_caller_is_no_answer(cafe: Scenario) -> None:
    monitor = Monitor(Rulebook(cafe, ()))
    monitor.turn("a", said("agent", "are you still there", 6))
    assert monitor._of("a").counts.silence_answers == 0


def test_windows_roll(rules: Rulebook) -> None:
    monitor = Monitor(rules, windows=(60.0,))
    monitor.opened("a", 0.0)
    monitor.events("a", [guard("blocked")], 1.0)
    monitor.closed("a", 2.0)
    monitor.opened("b", 100.0)
    monitor.events("b", [AudioEvent(time=0.1, samples=QUIET)], 101.0)
    assert monitor.risk(60.0).blocks == 0
    assert monitor.risk().blocks == 1
    assert set(monitor.risks()) == {"60", "all"}


def test_calibration_and_confidence(monitor: Monitor) -> None:
    for _ in range(30):
        monitor.outcome(0.9, True)
        monitor.outcome(0.9, False)
    monitor.confidence("a", 0.8)
    monitor.divergence("a", 0.1)
    risk = monitor.risk()
    assert risk.ece.value == pytest.approx(0.4)
    assert monitor.recent_confidence("a") == pytest.approx(0.8)
    assert monitor.call_risk("a").divergence.value == pytest.approx(0.1)


def test_metrics_are_flat_numbers() -> None:
    flat = risk_of(Counts(agent_turns=4, hallucinated=1, minutes=2.0)).as_dict()
    assert flat["hallucination"] == 0.25
    assert flat["hallucination_n"] == 4
    assert "confidence" not in flat
    assert all(isinstance(value, float) for value in flat.values())
