"""Away from the network at once, back by trials, and every change with its reason."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from antiphon.guard.breaker import (
    Breaker,
    Change,
    Confidence,
    Operator,
    Risky,
    Signal,
    Tick,
    Trouble,
    Wish,
    worse,
)
from antiphon.guard.config import LEVELS, BreakerRules
from antiphon.guard.risk import Counts, risk_of

RULES = BreakerRules()
BLOCK = Trouble("block", "A claim was blocked.")


def risky(hallucinated: int, turns: int) -> Risky:
    return Risky(risk_of(Counts(agent_turns=turns, hallucinated=hallucinated)))


def levels(breaker: Breaker, *signals: tuple[float, Signal]) -> list[str]:
    found: list[str] = []
    for time, signal in signals:
        breaker.take(signal, time)
        found.append(breaker.level)
    return found


def test_two_blocks_in_a_minute_bring_the_cascade() -> None:
    assert levels(Breaker(RULES), (1, BLOCK), (5, BLOCK)) == ["guarded", "cascade"]
    assert levels(Breaker(RULES), (1, BLOCK), (70, BLOCK)) == ["guarded", "guarded"]


def test_a_fault_of_the_engine_brings_it_at_once() -> None:
    breaker = Breaker(RULES)
    change = breaker.take(Trouble("engine", "The network gave NaN."), 3.0)
    assert change == Change(3.0, "guarded", "cascade", "The network gave NaN.", False)


def test_missed_deadlines_add_up() -> None:
    signals = [(float(i), Trouble("missed", "late")) for i in range(25)]
    assert levels(Breaker(RULES), *signals)[-2:] == ["guarded", "cascade"]


def test_the_cascades_own_faults_bring_a_person_and_others_do_not() -> None:
    wrong = Trouble("cascade", "It did not understand.")
    assert levels(Breaker(RULES), (1, wrong), (2, wrong), (3, wrong))[-1] == "guarded"
    breaker = Breaker(RULES)
    breaker.take(Trouble("engine", "NaN"), 0)
    assert levels(breaker, (1, wrong), (2, wrong)) == ["cascade", "handover"]


def test_a_trial_leads_back_and_what_it_finds_decides() -> None:
    breaker = Breaker(RULES)
    breaker.take(Trouble("engine", "NaN"), 0)
    assert levels(breaker, (29, Tick()), (31, Tick())) == ["cascade", "guarded"]
    assert breaker.state.trial_from == "cascade"
    change = breaker.take(BLOCK, 40)  # one is enough in a trial
    assert change is not None
    assert change.after == "cascade"
    assert "trial failed" in change.reason
    assert levels(breaker, (75, Tick()), (101, Tick())) == ["cascade", "guarded"]  # a longer pause
    breaker.take(Tick(), 125)
    assert breaker.state.trial_from is None
    assert levels(breaker, (126, BLOCK)) == ["guarded"]  # no trial any more


def test_a_risk_rises_once_and_holds_until_it_is_low() -> None:
    breaker = Breaker(RULES)
    assert breaker.take(risky(9, 10), 1) is None  # too few turns to say
    change = breaker.take(risky(3, 30), 2)
    assert change is not None
    assert "hallucination is 0.1" in change.reason
    assert breaker.take(risky(3, 31), 100) is None  # between the two: nothing changes
    assert breaker.take(Tick(), 140) is None
    breaker.take(risky(0, 60), 141)
    assert levels(breaker, (150, Tick()), (175, Tick())) == ["guarded"] * 2


def test_low_confidence_is_a_reason_too() -> None:
    breaker = Breaker(BreakerRules(start="end_to_end", best="end_to_end"))
    assert breaker.take(Confidence(0.1, 1), 1) is None
    change = breaker.take(Confidence(0.1, 5), 2)
    assert change is not None
    assert change.after == "guarded"


def test_the_caller_gets_a_person() -> None:
    breaker = Breaker(RULES)
    assert levels(breaker, (1, Wish()), (2, Tick()), (2000, Tick())) == ["handover"] * 3


def test_an_operator_holds_a_level_and_lets_it_go() -> None:
    breaker = Breaker(RULES)
    signals = [(1.0, Operator("cascade", "eve")), (100.0, Tick()), (101.0, Operator(None, "eve"))]
    assert levels(breaker, *signals) == ["cascade"] * 3
    assert levels(breaker, (132, Tick())) == ["guarded"]
    pinned = Breaker(RULES)
    pinned.take(Operator("guarded", "eve"), 1)
    assert levels(pinned, (2, BLOCK), (3, BLOCK), (4, Trouble("engine", "x"))) == ["guarded"] * 3
    assert levels(pinned, (5, Wish())) == ["handover"]


def test_a_call_is_answered_by_the_less_trusting_of_two() -> None:
    assert worse("guarded", "cascade") == "cascade" == worse("cascade", "end_to_end")


class Calls(RuleBasedStateMachine):
    """Whatever happens, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(BreakerRules(start="end_to_end", best="end_to_end"))
        self.now = 0.0
        self.trouble = -1e9
        self.handed = False

    def _take(self, signal: Signal) -> None:
        before = self.breaker.level
        pinned = self.breaker.state.pinned
        change = self.breaker.take(signal, self.now)
        after = self.breaker.level
        assert (change is not None) == (before != after)
        if change is None:
            return
        assert change.reason
        assert (change.before, change.after) == (before, after)
        better = LEVELS.index(after) < LEVELS.index(before)
        if isinstance(signal, Operator):
            return
        assert not pinned or after == "handover"
        if better:
            # Only calm time leads back, one step at a time, and as a trial.
            assert isinstance(signal, Tick)
            assert change.trial
            assert LEVELS.index(before) - LEVELS.index(after) == 1
            assert self.now - self.trouble >= self.breaker.rules.cool - 1e-6
            assert before != "handover"

    @rule(seconds=st.floats(0, 100, allow_subnormal=False))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self._take(Tick())

    @rule(kind=st.sampled_from(["block", "engine", "missed", "cascade"]))
    def trouble_comes(self, kind: str) -> None:
        self._take(Trouble(kind, "why"))  # type: ignore[arg-type]
        self.trouble = self.now

    @rule(wrong=st.integers(0, 30))
    def risk_is(self, wrong: int) -> None:
        self._take(risky(wrong, 100))
        if self.breaker.state.high:
            self.trouble = self.now

    @rule(value=st.floats(0, 1, allow_subnormal=False))
    def confidence_is(self, value: float) -> None:
        self._take(Confidence(value, 10))
        if self.breaker.state.high:
            self.trouble = self.now

    @rule()
    def caller_asks(self) -> None:
        self._take(Wish())

    @rule(level=st.sampled_from([*LEVELS, None]))
    def operator(self, level: str | None) -> None:
        self._take(Operator(level, "op"))  # type: ignore[arg-type]

    @invariant()
    def it_stands_somewhere(self) -> None:
        state = self.breaker.state
        assert state.level in LEVELS
        assert self.breaker.rules.cool <= state.cool <= self.breaker.rules.longest_cool
        assert state.trial_from is None or LEVELS.index(state.trial_from) > LEVELS.index(
            state.level
        )


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_time_never_runs_back() -> None:
    breaker = Breaker(RULES)
    breaker.take(BLOCK, 10)
    breaker.take(BLOCK, 3)
    assert breaker.state.now == pytest.approx(10)
