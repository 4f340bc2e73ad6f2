"""Who answers: the network unheld, the network held and checked, the cascade, or a person.

A pure state machine: a state and something that happened at a time go in, the next state and what
changed come out. One stands for a call, another for the whole service; a call is answered by
whichever of the two trusts the network less. Trouble leads away from the network at once; the way
back is a trial after a calm while, which gets longer with every trial that failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from antiphon.guard.config import LEVELS, BreakerRules, Level
from antiphon.guard.risk import Risk

_KINDS = Literal["block", "engine", "missed", "cascade"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something went wrong: a sentence was blocked, the engine failed, a deadline was missed, or
    the cascade could not answer."""

    kind: _KINDS
    reason: str


@dataclass(frozen=True, slots=True)
class Risky:
    """A snapshot of the risk, of the call or of a window of the service."""

    risk: Risk


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure the network has been lately, 0 to 1, over `n` turns."""

    value: float
    n: int


@dataclass(frozen=True, slots=True)
class Wish:
    """The caller asks for a person."""

    reason: str = "The caller asked for a person."


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator's switch: the level is held there; None lets it go."""

    level: Level | None
    who: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Signal = Trouble | Risky | Confidence | Wish | Operator | Tick


class Change(NamedTuple):
    """Another answers from now on."""

    time: float
    before: Level
    after: Level
    reason: str
    trial: bool
    """Whether it is a trial, which ends at the first trouble."""


@dataclass(frozen=True, slots=True)
class BreakerState:
    """Where the machine stands. All times are on the clock of whoever calls `step`."""

    level: Level
    now: float = 0.0
    since: float = 0.0
    """When this level began."""
    calm_since: float = 0.0
    """When there was trouble last."""
    cool: float = 0.0
    """Seconds of calm that the next trial wants."""
    trial_from: Level | None = None
    """The level to which a trial that fails leads back; None: this is no trial."""
    pinned: bool = False
    high: frozenset[str] = frozenset()
    """What is too high at present: risks by name, and "confidence"."""
    recent: Mapping[str, tuple[float, ...]] = field(default_factory=dict[str, tuple[float, ...]])
    """When there was trouble of each kind, within the rules' window."""


def begin(rules: BreakerRules, now: float = 0.0) -> BreakerState:
    """The machine at its start."""
    return BreakerState(rules.start, now, now, now, rules.cool)


def worse(a: Level, b: Level) -> Level:
    """The one of two levels that trusts the network less."""
    return a if LEVELS.index(a) >= LEVELS.index(b) else b


def step(
    rules: BreakerRules, state: BreakerState, signal: Signal, now: float
) -> tuple[BreakerState, Change | None]:
    """What follows from a signal at a time, which must not be before the last one's (it is taken
    for the last one's if it is)."""
    state = replace(state, now=max(now, state.now))
    match signal:
        case Operator():
            return _switch(rules, state, signal)
        case Wish():
            return _away(rules, state, "handover", signal.reason)
        case Trouble():
            return _trouble(rules, state, signal)
        case Risky():
            return _risk(rules, state, signal.risk)
        case Confidence():
            return _confidence(rules, state, signal)
        case Tick():
            return _tick(rules, state)


def _switch(
    rules: BreakerRules, state: BreakerState, signal: Operator
) -> tuple[BreakerState, Change | None]:
    who = signal.who or "an operator"
    if signal.level is None:
        calm = replace(state, pinned=False, calm_since=state.now, cool=rules.cool)
        return calm, None
    pinned = replace(state, pinned=True, trial_from=None, calm_since=state.now)
    why = f": {signal.why.rstrip('.')}" if signal.why else ""
    return _to(pinned, signal.level, f"{who} switched to {signal.level}{why}.")


def _trouble(
    rules: BreakerRules, state: BreakerState, trouble: Trouble
) -> tuple[BreakerState, Change | None]:
    now = state.now
    times = (*state.recent.get(trouble.kind, ()), now)
    times = tuple(time for time in times if time > now - rules.window)
    state = replace(state, calm_since=now, recent={**state.recent, trouble.kind: times})
    most: dict[str, tuple[int, Level]] = {
        "block": (rules.blocks, "cascade"),
        "engine": (rules.faults, "cascade"),
        "missed": (rules.missed, "cascade"),
        "cascade": (rules.cascade_faults, "handover"),
    }
    limit, level = most[trouble.kind]
    if trouble.kind == "cascade" and state.level != "cascade":
        return state, None  # whoever answers now had no part in it
    if len(times) >= limit:
        count = "" if limit == 1 else f" ({len(times)} times in {rules.window:.0f} s)"
        return _away(rules, state, level, f"{trouble.reason}{count}")
    if state.trial_from is not None:
        return _away(rules, state, state.trial_from, f"The trial failed: {trouble.reason}")
    if state.level == "end_to_end":
        return _away(rules, state, "guarded", trouble.reason)
    return state, None


def _risk(
    rules: BreakerRules, state: BreakerState, risk: Risk
) -> tuple[BreakerState, Change | None]:
    high, why = set(state.high), ""
    rates = risk.rates
    for name, limit in rules.risk.items():
        rate = rates.get(name)
        if rate is None or rate.value is None:
            continue
        if rate.value >= limit.up and rate.n >= limit.least:
            why = why or (
                f"{name} is {rate.value:.3g} (from {limit.up:g} on it is too high)"
                if name not in high
                else ""
            )
            high.add(name)
        elif rate.value <= limit.down:
            high.discard(name)
    return _with_high(rules, state, frozenset(high), why)


def _confidence(
    rules: BreakerRules, state: BreakerState, signal: Confidence
) -> tuple[BreakerState, Change | None]:
    limit, high = rules.confidence, set(state.high)
    why = ""
    if signal.n >= limit.least and signal.value < limit.down:
        why = "" if "confidence" in high else f"The confidence is {signal.value:.2f}"
        high.add("confidence")
    elif signal.value >= limit.up:
        high.discard("confidence")
    return _with_high(rules, state, frozenset(high), why)


def _with_high(
    rules: BreakerRules, state: BreakerState, high: frozenset[str], why: str
) -> tuple[BreakerState, Change | None]:
    """Something became too high (`why`), stays so, or is so no longer."""
    state = replace(state, high=high)
    if high:
        state = replace(state, calm_since=state.now)
    if not why:
        return state, None
    level: Level = "guarded" if state.level == "end_to_end" else "cascade"
    if state.trial_from is not None:
        level = worse(level, state.trial_from)
    return _away(rules, state, level, f"{why}.")


def _tick(rules: BreakerRules, state: BreakerState) -> tuple[BreakerState, Change | None]:
    best = LEVELS.index(rules.best)
    at = LEVELS.index(state.level)
    if state.pinned or state.level == "handover":
        return state, None
    calm = state.now - state.calm_since
    if state.trial_from is not None:
        if state.now - state.since < rules.trial:
            return state, None
        # It went well: this is its place now, and the next pause is a short one again.
        return replace(state, trial_from=None, cool=rules.cool, calm_since=state.now), None
    if at <= best or calm < state.cool or state.high:
        return state, None
    trial = replace(state, trial_from=state.level, recent={})
    return _to(trial, LEVELS[at - 1], f"{calm:.0f} s without trouble: a trial.")


def _away(
    rules: BreakerRules, state: BreakerState, level: Level, reason: str
) -> tuple[BreakerState, Change | None]:
    """Trust the network less; a trial that fails makes the next pause longer."""
    state = replace(state, calm_since=state.now)
    if state.pinned and level != "handover":
        return state, None
    if state.trial_from is not None:
        cool = min(state.cool * rules.backoff, rules.longest_cool)
        level = worse(level, state.trial_from)
        state = replace(state, trial_from=None, cool=cool)
    if LEVELS.index(level) <= LEVELS.index(state.level):
        return state, None
    return _to(replace(state, pinned=False), level, reason)


def _to(state: BreakerState, level: Level, reason: str) -> tuple[BreakerState, Change | None]:
    if level == state.level:
        return state, None
    trial = state.trial_from is not None
    change = Change(state.now, state.level, level, reason, trial)
    return replace(state, level=level, since=state.now), change


class Breaker:
    """A state machine with its state, for whoever wants one place to put signals."""

    def __init__(self, rules: BreakerRules, now: float = 0.0) -> None:
        self.rules = rules
        self.state = begin(rules, now)

    @property
    def level(self) -> Level:
        """Who answers."""
        return self.state.level

    def take(self, signal: Signal, now: float) -> Change | None:
        """What a signal changed."""
        self.state, change = step(self.rules, self.state, signal, now)
        return change
