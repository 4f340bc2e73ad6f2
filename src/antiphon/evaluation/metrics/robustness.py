"""What is left of the score on a bad line: trials of the same stimuli, held side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from antiphon.evaluation.bootstrap import Estimate, Grouped
from antiphon.evaluation.figures import Figure, Measured, Verdict
from antiphon.evaluation.metrics import lines, task
from antiphon.evaluation.metrics.tools import Tools, estimated, group_of, nothing, share
from antiphon.evaluation.script import Stimulus
from antiphon.evaluation.trial import Trial

FEWEST = 5  # trials of a group below which its rate is not named as the worst


class Pair(NamedTuple):
    """One stimulus, tried in a condition and on a clean line."""

    condition: str
    group: str
    there: Verdict
    clean: Verdict


def measure(trials: Sequence[Trial], tools: Tools) -> Measured:
    """The suite `robustness` over tasks in every condition, each beside its clean trial."""
    tasks = [t for t in trials if t.stimulus.suite == "task" and task.has_goal(t)]
    pairs = paired(tasks, tools)
    by_condition: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_condition[pair.condition].append(pair)
    found = {name: retention(of) for name, of in by_condition.items()}
    figures = [
        _mean(pairs),
        _worst(found),
        _worst_group(tasks, tools),
        *(estimated(f"robustness.{name}", estimate, "ratio") for name, estimate in found.items()),
        *([] if tools.listener is None else lines.word_errors(tasks, tools.listener)),
    ]
    verdicts = tuple(_verdict(pair) for pair in pairs)
    return Measured(suite="robustness", figures=tuple(figures), verdicts=verdicts)


def base(stimulus: Stimulus) -> str:
    """The id that a stimulus has on a clean line: "task/order/007@snr10" is "task/order/007"."""
    return str(stimulus.facts.get("clean", stimulus.id.removesuffix(f"@{stimulus.condition}")))


def paired(trials: Sequence[Trial], tools: Tools) -> list[Pair]:
    """Every trial in a condition beside the clean one of the same stimulus and seed."""
    verdicts = [(trial, task.verdict(trial, tools.scenario)) for trial in trials]
    there = {(base(t.stimulus), t.seed): v for t, v in verdicts if t.stimulus.condition == "clean"}
    return [
        Pair(t.stimulus.condition, group_of(t), v, there[base(t.stimulus), t.seed])
        for t, v in verdicts
        if t.stimulus.condition != "clean" and (base(t.stimulus), t.seed) in there
    ]


def retention(pairs: Sequence[Pair]) -> Estimate:
    """Score in a condition over the score of the same stimuli on a clean line; both sides of a
    pair are drawn together. No value where the clean score is 0: nothing can be retained."""
    groups = Grouped([pair.group for pair in pairs])
    return groups.ratio(
        [float(bool(pair.there.ok)) for pair in pairs],
        [float(bool(pair.clean.ok)) for pair in pairs],
    )


def _mean(pairs: Sequence[Pair]) -> Figure:
    return estimated("robustness.mean", retention(pairs), "ratio", note="over all conditions")


def _worst(found: dict[str, Estimate]) -> Figure:
    known = {name: e for name, e in found.items() if e.value is not None}
    if not known:
        return nothing("robustness.worst", "ratio")
    name = min(known, key=lambda each: (known[each].value or 0.0, each))
    return estimated("robustness.worst", known[name], "ratio", note=f"the worst is {name}")


def _worst_group(trials: Sequence[Trial], tools: Tools) -> Figure:
    """The group (a voice) that fares worst over all conditions."""
    passes: dict[str, list[bool]] = defaultdict(list)
    for trial in trials:
        if trial.stimulus.group:
            passes[trial.stimulus.group].append(bool(task.verdict(trial, tools.scenario).ok))
    enough = {name: each for name, each in passes.items() if len(each) >= FEWEST}
    if not enough:
        return nothing("robustness.worst_group", "share", note=f"no group of {FEWEST} trials")
    name = min(enough, key=lambda each: (sum(enough[each]) / len(enough[each]), each))
    note = f"tasks done of {name}, the worst of {len(enough)} groups"
    return share("robustness.worst_group", enough[name], note=note)


def _verdict(pair: Pair) -> Verdict:
    if pair.there.ok:
        why = f"Done under {pair.condition}."
    elif pair.clean.ok:
        why = f"Lost to {pair.condition}, done on a clean line: {pair.there.why}"
    else:
        why = f"Not done under {pair.condition}, nor on a clean line: {pair.there.why}"
    name = f"robustness.{pair.condition}"
    return Verdict(
        trial=pair.there.trial,
        suite="robustness",
        ok=bool(pair.there.ok),
        why=why,
        values={name: float(bool(pair.there.ok))},
    )
