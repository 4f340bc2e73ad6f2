"""Does the agent do what was asked: judged by the state in which its calls leave the tools.

pass^k is that of tau-bench (Yao et al. 2024): the chance that k tries of one task all succeed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from math import comb
from typing import Any

from antiphon.corpus.order import effects, fold
from antiphon.corpus.scenario import Scenario
from antiphon.evaluation.bootstrap import Grouped
from antiphon.evaluation.figures import Figure, Measured, Verdict
from antiphon.evaluation.metrics.schemas import valid_calls
from antiphon.evaluation.metrics.segments import events
from antiphon.evaluation.metrics.tools import (
    Series,
    Tools,
    clean,
    estimated,
    group_of,
    kinds,
    nothing,
    share,
)
from antiphon.evaluation.script import Goal
from antiphon.evaluation.trial import Trial

KINDS = ("order", "several", "correction", "cancel", "conversation")
"""Kinds of every scenario; others are named after an intent of its own."""
SINGLE = ("order", "several")
"""Kinds that are one command: what command acceptance is of."""

Slots = Mapping[str, Any]


def measure(trials: Sequence[Trial], tools: Tools) -> Measured:
    """The suite `task` over the trials of its stimuli on a clean line."""
    ours = [t for t in clean(trials, "task") if has_goal(t)]
    verdicts = {id(trial): verdict(trial, tools.scenario) for trial in ours}
    more = sorted({trial.stimulus.kind for trial in ours} - set(KINDS))

    def passes(of: Sequence[Trial]) -> list[bool]:
        return [bool(verdicts[id(trial)].ok) for trial in of]

    figures = [
        share("task.pass_1", passes(ours)),
        _pass_k(ours, passes(ours)),
        share("task.acceptance", passes(kinds(ours, *SINGLE))),
        _slot_f1(ours, tools.scenario),
        *(share(f"task.{kind}", passes(kinds(ours, kind))) for kind in (*KINDS, *more)),
        _repairs(ours),
    ]
    return Measured(
        suite="task", figures=tuple(figures), verdicts=tuple(verdicts[id(t)] for t in ours)
    )


def has_goal(trial: Trial) -> bool:
    """Whether the call had to change anything: a state that doing nothing leaves too says nothing
    of an agent."""
    goal = trial.stimulus.goal
    if goal is None:
        return False
    asked = any(step.expects is not None for step in trial.stimulus.steps)
    return asked or bool(goal.order) or bool(goal.calls)


def verdict(trial: Trial, scenario: Scenario) -> Verdict:
    """Whether the trial's final state is the goal's, and if not, how it differs."""
    why = difference(trial, scenario)
    value = float(why == "")
    names = ["task.pass_1", f"task.{trial.stimulus.kind}"]
    names += ["task.acceptance"] if trial.stimulus.kind in SINGLE else []
    return Verdict(
        trial=trial.stimulus.id,
        suite="task",
        ok=not why,
        why=why or "The final state is what the caller wanted.",
        values=dict.fromkeys(names, value),
    )


def difference(trial: Trial, scenario: Scenario) -> str:
    """How the final state differs from the goal, in a sentence; "" where it does not."""
    goal, order = trial.stimulus.goal or Goal(), fold(valid_calls(trial, scenario), scenario)
    items: list[Slots] = order["items"] if order else []
    if goal.order is not None:
        if _counted(items) != _counted(goal.order):
            return f"On order was {_said(items)}, wanted {_said(goal.order)}."
        if not goal.order and _ordered(trial, scenario) and not _cleared(trial, scenario):
            return "Nothing is on order, but only because nothing ever was: no call cleared it."
    return "" if goal.calls is None else _other_calls(trial, goal, scenario)


def pass_k(successes: int, tries: int, k: int) -> float:
    """The chance that k of the tries, drawn without replacement, are all successes:
    C(successes, k) / C(tries, k). 1 <= k <= tries."""
    return comb(successes, k) / comb(tries, k)


def slots_right(wanted: Sequence[Slots], made: Sequence[Slots]) -> tuple[int, int]:
    """(slots in common, slots of both sides), each made item held against the wanted one that it
    has most in common with; F1 is twice the first over the second."""
    left, common = [set(_items(slots)) for slots in wanted], 0
    for pairs in sorted((set(_items(slots)) for slots in made), key=len, reverse=True):
        if not left:
            break
        best = max(left, key=lambda other: len(other & pairs))
        left.remove(best)
        common += len(best & pairs)
    return common, sum(len(slots) for slots in (*wanted, *made))


def _pass_k(trials: Sequence[Trial], passes: Sequence[bool]) -> Figure:
    tries: dict[str, list[bool]] = defaultdict(list)
    groups: dict[str, str] = {}
    for trial, passed in zip(trials, passes, strict=True):
        tries[trial.stimulus.id].append(passed)
        groups[trial.stimulus.id] = group_of(trial)
    k = min((len(each) for each in tries.values()), default=0)
    if k < 2:
        return nothing("task.pass_k", "share", note="needs more than one try of every stimulus")
    series = Series()
    for name, each in tries.items():
        series.add(pass_k(sum(each), len(each), k), groups[name])
    return series.mean("task.pass_k", "share", note=f"k = {k} tries of each stimulus")


def _slot_f1(trials: Sequence[Trial], scenario: Scenario) -> Figure:
    parts, wholes, groups = list[float](), list[float](), list[str]()
    for trial in trials:
        wanted, made = _all_slots(trial, scenario)
        common, both = slots_right(wanted, made)
        parts.append(2.0 * common)
        wholes.append(float(both))
        groups.append(group_of(trial))
    return estimated("task.slot_f1", Grouped(groups).ratio(parts, wholes), "ratio")


def _all_slots(trial: Trial, scenario: Scenario) -> tuple[list[Slots], list[Slots]]:
    """The wanted and the made items, and other calls' arguments where the goal names such."""
    goal, order = trial.stimulus.goal or Goal(), fold(valid_calls(trial, scenario), scenario)
    made: list[Slots] = list(order["items"]) if order else []
    wanted: list[Slots] = list(goal.order or ())
    for call in goal.calls or ():
        wanted.append(call.arguments)
        made += [last.arguments for last in _last(trial, call.name, 1)]
    return wanted, made


def _repairs(trials: Sequence[Trial]) -> Figure:
    series = Series()
    for trial in trials:
        if any(step.repairs for step in trial.stimulus.steps):
            said = [e for e in events(trial, "turn") if e.data.get("repair")]
            series.add(float(len(said)), group_of(trial))
    note = "times that a caller had to say it again, a call"
    return series.mean("task.repairs", "score", better="low", note=note)


def _ordered(trial: Trial, scenario: Scenario) -> bool:
    """Whether the caller ordered something on the way."""
    does = effects(scenario)
    expected = [step.expects for step in trial.stimulus.steps if step.expects is not None]
    return any(does.get(call.name) == "add" for call in expected)


def _cleared(trial: Trial, scenario: Scenario) -> bool:
    does = effects(scenario)
    return any(does.get(call.name) == "clear" for call in trial.calls)


def _other_calls(trial: Trial, goal: Goal, scenario: Scenario) -> str:
    """A repeated call corrects the one before it, so the last of each tool's count."""
    does = effects(scenario)
    wanted: dict[str, list[Slots]] = defaultdict(list)
    for call in goal.calls or ():
        wanted[call.name].append(call.arguments)
    for name in {call.name for call in trial.calls if does.get(call.name, "none") == "none"}:
        if name not in wanted:
            return f"It called {name}, which nobody asked for."
    for name, arguments in wanted.items():
        made = [call.arguments for call in _last(trial, name, len(arguments))]
        if _counted(made) != _counted(arguments):
            return f"Its last calls of {name} said {_said(made)}, wanted {_said(arguments)}."
    return ""


def _last(trial: Trial, name: str, count: int) -> Sequence[Any]:
    return [call for call in trial.calls if call.name == name][-count:]


def _items(slots: Slots) -> list[tuple[str, str]]:
    return [(name, repr(value)) for name, value in slots.items()]


def _counted(items: Sequence[Slots]) -> Counter[frozenset[tuple[str, str]]]:
    return Counter(frozenset(_items(item)) for item in items)


def _said(items: Sequence[Slots]) -> str:
    each = [", ".join(f"{name} {value}" for name, value in item.items()) for item in items]
    return "; ".join(f"({text})" for text in each) or "nothing"
