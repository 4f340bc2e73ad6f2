"""Does the agent take turns as people do: wait in pauses, answer at once, yield, and hold on.

Take-over, gap and backchannels after Full-Duplex-Bench (Lin et al. 2025), yielding and
selectivity after tau-voice; times are those of the script and of the agent's channel as played.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from antiphon.corpus.calls import Call
from antiphon.corpus.conversation import Event
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.tokenizer import normalise
from antiphon.evaluation.bootstrap import Grouped, interval
from antiphon.evaluation.figures import Figure, Measured, Verdict
from antiphon.evaluation.metrics.schemas import valid_calls
from antiphon.evaluation.metrics.segments import (
    EARLY,
    REACTION,
    SHORT,
    Stretch,
    events,
    is_backchannel,
    speaking_at,
    stretches,
    take_over,
    turns,
    undisturbed,
    until,
)
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
from antiphon.evaluation.script import SETTLED
from antiphon.evaluation.trial import Trial
from antiphon.runtime.events import CallEvent

YIELDED = 2.0  # s from a barge-in within which the agent must be silent
STOPPED = 1.0  # s within which a stop is due to what was heard
ANSWERED = 2.0  # s after it within which new speech is an answer to it
_STOP = 0.2  # s of silence around a barge-in's end that parts what was cut from the answer
BIN = 0.2  # s: bins of the timing of backchannels

Selects = Literal["backchannel", "side_talk", "noise"]
SELECTS: tuple[Selects, ...] = ("backchannel", "side_talk", "noise")
_WORDS = {"backchannel": "the caller's backchannel", "side_talk": "side talk", "noise": "a noise"}


class Test(NamedTuple):
    """One event put to the agent: right or not, the time that it took (s), and a sentence."""

    ok: bool
    seconds: float | None = None
    why: str = ""


def measure(trials: Sequence[Trial], tools: Tools) -> Measured:
    """The suite `duplex` over the trials of its stimuli on a clean line."""
    ours = clean(trials, "duplex")
    known = whole_replies(ours)
    tests = [_Tests.of(trial, tools.scenario, known) for trial in ours]
    figures = [
        *_turn_taking(ours, tests),
        *_yielding(ours, tests),
        *_selectivity(ours, tests),
        _joint(ours, tests),
        _interruptions(ours),
        *_backchannels(ours, tools),
    ]
    verdicts = [_verdict(trial, found) for trial, found in zip(ours, tests, strict=True)]
    return Measured(suite="duplex", figures=tuple(figures), verdicts=tuple(verdicts))


def verdict(trial: Trial, scenario: Scenario) -> Verdict:
    """One trial alone, for suites that hold conditions side by side."""
    return _verdict(trial, _Tests.of(trial, scenario, whole_replies([trial])))


# -- taking the turn -----------------------------------------------------------


def takes_pause(trial: Trial, pause: Event) -> bool:
    """Whether the agent takes the turn in a pause of the caller's.

    What counts is speech that begins in the pause or within half a second of it (but not just
    before the turn's end, where it would be a quick answer), or that goes on through all of it.
    """
    turn = next((t for t in turns(trial) if t.start <= pause.start < t.end), None)
    latest = pause.end + REACTION
    if turn is not None:
        latest = max(pause.end, min(latest, turn.end - EARLY))
    said = [
        stretch
        for stretch in stretches(trial)
        if pause.start <= stretch.start < latest
        or (stretch.start < pause.start and stretch.end > pause.end)
    ]
    return take_over(said)


def answers(trial: Trial, turn: Event) -> list[Stretch]:
    """What the agent says to a turn: speech that begins after the turn did, goes on after its
    end, and begins before the caller's next turn."""
    end = until(trial, turn)
    said = stretches(trial)
    return [s for s in said if turn.start <= s.start < end and s.end > turn.end]


def takes_turn(trial: Trial, turn: Event) -> bool:
    """Whether the agent takes the turn at its end. One that has been speaking since before the
    turn, and goes on for a second after it, does."""
    through = any(s.start < turn.start and s.end >= turn.end + SHORT for s in stretches(trial))
    return through or take_over(answers(trial, turn))


def turn_gap(trial: Trial, turn: Event) -> float | None:
    """Seconds from a turn's end to the start of the answer, negative where it comes early; None
    where no answer takes the turn.

    A backchannel before the answer is not its start. Speech that began before the caller did is
    no answer: an agent that never stops has no gap.
    """
    said = answers(trial, turn)
    if not take_over(said):
        return None
    first = next((stretch for stretch in said if take_over([stretch])), said[0])
    return first.start - turn.end


def responds(trial: Trial, turn: Event) -> bool:
    """Whether anything is to be heard of the agent between a turn's end and the next turn."""
    end = until(trial, turn)
    return any(stretch.end > turn.end and stretch.start < end for stretch in stretches(trial))


def interrupts(trial: Trial, turn: Event) -> int:
    """How often the agent cuts in on a turn: speech, no backchannel, that begins in it and not
    just before its end, or that was there before and lasts through all of it."""
    count = 0
    for stretch in stretches(trial):
        begins = turn.start < stretch.start < turn.end - EARLY
        lasts = stretch.start <= turn.start and stretch.end >= turn.end
        count += lasts or (begins and not is_backchannel(stretch))
    return count


# -- yielding and holding on ---------------------------------------------------


def yields(trial: Trial, event: Event) -> float | None:
    """L_Y: seconds from the onset of a barge-in to the last audible sample of the reply that it
    broke into; None where the agent was not speaking, or ending anyway.

    Half a second of silence ends a reply, or less of it around the barge-in's end: what comes
    after that is the answer.
    """
    reply = speaking_at(stretches(trial), event.start)
    if reply is None:
        return None
    inside = [s for s in stretches(trial, _STOP) if reply.start <= s.start and s.end <= reply.end]
    for before, after in pairwise(inside):
        if event.start < before.end <= event.end <= after.start:
            return before.end - event.start
    return reply.end - event.start


def whole_replies(trials: Sequence[Trial]) -> frozenset[str]:
    """What the system says where nobody disturbs it: texts of replies that it ended itself."""
    return frozenset(
        normalise(stretch.text)
        for trial in trials
        for stretch in stretches(trial, SETTLED)
        if stretch.words and undisturbed(trial, stretch)
    )


def holds(
    trial: Trial, event: Event, scenario: Scenario, whole: frozenset[str] = frozenset()
) -> Test | None:
    """Whether the agent goes on speaking through an event that is not meant for it.

    It fails where it stops within a second of the onset, or says something new within two of the
    end. None where the event tested nothing: the agent did not speak, or it stopped with its
    reply said whole (one that confirms its call, or is among `whole`) and nothing new followed.
    """
    said = stretches(trial, SETTLED)
    reply = speaking_at(said, event.start)
    if reply is None:
        return None
    end = min(event.end + ANSWERED, until(trial, event))
    after = [s for s in said if s.start > reply.end and s.start < end]
    what, stopped = _WORDS[event.kind], reply.end - event.start
    if after:
        seconds = after[0].start - event.end
        return Test(False, why=f"It answered {what} ({seconds:.2f} s after its end).")
    if stopped > STOPPED:
        return Test(True)
    if _is_whole(trial, reply, scenario, whole):
        return None
    return Test(False, stopped, f"It stopped for {what}, {stopped:.2f} s after its onset.")


def _is_whole(trial: Trial, reply: Stretch, scenario: Scenario, whole: frozenset[str]) -> bool:
    text = normalise(reply.text)
    return bool(text) and (
        text in whole
        or any(_confirms(scenario, call, text) for call in valid_calls(trial, scenario))
    )


def _confirms(scenario: Scenario, call: CallEvent, text: str) -> bool:
    made = Call(name=call.name, arguments=call.arguments)
    return bool(call.arguments) and scenario.reply_agrees(made, text)


# -- backchannels --------------------------------------------------------------


def backchannels(trial: Trial, turn: Event) -> list[float]:
    """When the agent gives backchannels while the caller holds the turn, seconds from its start."""
    return [
        stretch.start - turn.start
        for stretch in stretches(trial)
        if turn.start <= stretch.start and stretch.end <= turn.end and is_backchannel(stretch)
    ]


def divergence(ours: Sequence[float], people: Sequence[float], seconds: float) -> float:
    """Jensen-Shannon divergence (Lin 1991), bits, of two sets of times in [0, seconds), in bins
    of 200 ms: 0 for the same, 1 where no bin has both. An empty set is as far as can be."""
    p, q = _binned(ours, seconds), _binned(people, seconds)
    if not p.sum() or not q.sum():
        return 1.0
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    return float(np.clip((_kl(p, middle) + _kl(q, middle)) / 2, 0.0, 1.0))


def distance(bits: float) -> float:
    """The root of the divergence in nats: what scipy's `jensenshannon` gives by default."""
    return float(np.sqrt(bits * np.log(2)))


def _binned(times: Sequence[float], seconds: float) -> npt.NDArray[np.float64]:
    bins = max(1, int(np.ceil(round(seconds / BIN, 6))))
    # A nanosecond more, so that 0.6 / 0.2 is in the bin that begins there.
    index = [int((time + 1e-9) / BIN) for time in times if 0 <= time < bins * BIN]
    return np.bincount(index, minlength=bins).astype(np.float64)


def _kl(p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> float:
    some = p > 0
    return float((p[some] * np.log2(p[some] / q[some])).sum())


# -- the figures ---------------------------------------------------------------


class _Tests(NamedTuple):
    """All that was put to the agent in one trial."""

    pauses: list[bool]  # taken
    turns: list[bool]  # taken
    gaps: list[float]
    responds: list[bool]
    barge_ins: list[Test]
    selects: dict[str, list[Test]]
    missed: Counter[str]

    @classmethod
    def of(cls, trial: Trial, scenario: Scenario, whole: frozenset[str]) -> _Tests:
        asked = [turn for turn in turns(trial) if turn.kind == "turn"]
        gaps = [turn_gap(trial, turn) for turn in asked]
        broken = [yields(trial, event) for event in events(trial, "barge_in")]
        held = {
            kind: [holds(trial, event, scenario, whole) for event in events(trial, kind)]
            for kind in SELECTS
        }
        return cls(
            pauses=[takes_pause(trial, pause) for pause in events(trial, "pause")],
            turns=[takes_turn(trial, turn) for turn in asked],
            gaps=[gap for gap in gaps if gap is not None],
            responds=[responds(trial, turn) for turn in asked],
            barge_ins=[Test(late <= YIELDED, late) for late in broken if late is not None],
            selects={kind: [t for t in tests if t is not None] for kind, tests in held.items()},
            missed=Counter(str(e.data.get("kind", "")) for e in events(trial, "missed")),
        )


def _flat(tests: Sequence[_Tests], pick: Callable[[_Tests], Sequence[bool]]) -> list[bool]:
    return [value for each in tests for value in pick(each)]


def _turn_taking(trials: Sequence[Trial], tests: Sequence[_Tests]) -> list[Figure]:
    gaps = Series()
    for trial, each in zip(trials, tests, strict=True):
        for gap in each.gaps:
            gaps.add(gap * 1e3, group_of(trial))
    silent = [not heard for heard in _flat(tests, lambda t: t.responds)]
    return [
        share("duplex.pause_tor", _flat(tests, lambda t: t.pauses), better="low"),
        share("duplex.turn_tor", _flat(tests, lambda t: t.turns)),
        *(gaps.percentile(f"duplex.gap_p{q}", q, "ms") for q in (50, 90, 95)),
        share("duplex.no_response", silent, better="low"),
    ]


def _yielding(trials: Sequence[Trial], tests: Sequence[_Tests]) -> list[Figure]:
    late = Series()
    for trial, each in zip(trials, tests, strict=True):
        for test in each.barge_ins:
            if test.ok:
                late.add(None if test.seconds is None else test.seconds * 1e3, group_of(trial))
    return [
        share("duplex.yield", _flat(tests, _yielded), note=_missed(tests, "barge_in")),
        *(late.percentile(f"duplex.yield_p{q}", q, "ms") for q in (50, 95)),
    ]


def _selectivity(trials: Sequence[Trial], tests: Sequence[_Tests]) -> list[Figure]:
    return [
        share(f"duplex.holds_{kind}", _flat(tests, _held(kind)), note=_missed(tests, kind))
        for kind in SELECTS
    ]


def _joint(trials: Sequence[Trial], tests: Sequence[_Tests]) -> Figure:
    """min(R_Y, S_BC, S_VT, S_ND): an agent must know what is meant for it and what is not."""
    name, drawn, values = "duplex.joint", list[npt.NDArray[np.float64]](), list[float]()
    groups = Grouped([group_of(trial) for trial in trials])
    for part, pick in {"yield": _yielded, **{kind: _held(kind) for kind in SELECTS}}.items():
        hits = [float(sum(pick(each))) for each in tests]
        counts = [float(len(pick(each))) for each in tests]
        if not sum(counts):
            return nothing(name, "share", note=f"no {part.replace('_', ' ')} could be tested")
        values.append(sum(hits) / sum(counts))
        drawn.append(groups.drawn(hits, counts))
    worst = min(values)
    parts = ("R_Y", "S_BC", "S_VT", "S_ND")
    note = f"the least is {parts[values.index(worst)]}"
    n = sum(len(pick(each)) for each in tests for pick in (_yielded, *map(_held, SELECTS)))
    # A draw without one of the four has no score.
    least = np.min(np.stack(drawn), axis=0)
    return estimated(name, interval(worst, least, n), "share", note=note)


def _yielded(tests: _Tests) -> list[bool]:
    return [test.ok for test in tests.barge_ins]


def _held(kind: str) -> Callable[[_Tests], list[bool]]:
    return lambda tests: [test.ok for test in tests.selects[kind]]


def _missed(tests: Sequence[_Tests], kind: str) -> str:
    missed = sum(each.missed[kind] for each in tests)
    return f"{missed} not said, as the agent was not speaking" if missed else ""


def _interruptions(trials: Sequence[Trial]) -> Figure:
    pairs = [(trial, turn) for trial in trials for turn in turns(trial) if turn.kind == "turn"]
    counts = [float(interrupts(trial, turn)) for trial, turn in pairs]
    groups = Grouped([group_of(trial) for trial, _ in pairs])
    return estimated("duplex.interruptions", groups.mean(counts), "ratio", better="low")


def _backchannels(trials: Sequence[Trial], tools: Tools) -> list[Figure]:
    counts, minutes, groups = list[float](), list[float](), list[str]()
    bits, nats = Series(), Series()
    for trial in kinds(trials, "monologue"):
        people = tools.backchannels.get(
            trial.stimulus.id, trial.stimulus.facts.get("backchannels", ())
        )
        for turn in events(trial, "turn"):
            given, seconds = backchannels(trial, turn), turn.end - turn.start
            counts.append(float(len(given)))
            minutes.append(seconds / 60)
            groups.append(group_of(trial))
            if people:
                found = divergence(given, people, seconds)
                bits.add(found, group_of(trial))
                nats.add(distance(found), group_of(trial))
    per_minute = Grouped(groups).ratio(counts, minutes)
    return [
        estimated("duplex.backchannels", per_minute, "per minute", better="none"),
        bits.mean("duplex.backchannel_jsd", "bits", better="low"),
        nats.mean("duplex.backchannel_distance", "score", better="low"),
    ]


# -- verdicts ------------------------------------------------------------------


def _verdict(trial: Trial, tests: _Tests) -> Verdict:
    wrong = _faults(trial, tests)
    asked = trial.stimulus.kind in ("turn", "pause", "monologue")
    tested = bool(
        tests.pauses or tests.barge_ins or any(tests.selects.values()) or (asked and tests.turns)
    )
    if not tested and tests.missed:
        what = " and ".join(sorted(tests.missed)).replace("_", " ")
        why = f"Nothing was tested: the agent was not speaking when the {what} was due."
    elif not tested:
        why = "Nothing was tested: the agent was silent, or ended its reply of itself."
    else:
        why = wrong[0] if wrong else "It took, kept and gave the turn as it should."
    return Verdict(
        trial=trial.stimulus.id,
        suite="duplex",
        ok=not wrong if tested else None,
        why=why,
        values=_values(trial, tests),
    )


def _faults(trial: Trial, tests: _Tests) -> list[str]:
    found: list[str] = []
    for pause, taken in zip(events(trial, "pause"), tests.pauses, strict=True):
        if taken:
            length = pause.end - pause.start
            found.append(f"It took the turn in a pause of {length:.2f} s at {pause.start:.1f} s.")
    for test in tests.barge_ins:
        if not test.ok:
            found.append(
                f"It went on for {test.seconds or 0:.2f} s after the caller had broken in."
            )
    found += [test.why for each in tests.selects.values() for test in each if not test.ok]
    if trial.stimulus.kind in ("turn", "pause", "monologue"):
        asked = [turn for turn in turns(trial) if turn.kind == "turn"]
        for turn, taken in zip(asked, tests.turns, strict=True):
            if not taken:
                heard = "no more than a word" if responds(trial, turn) else "nothing"
                found.append(f"It said {heard} after the turn that ended at {turn.end:.1f} s.")
        if any(interrupts(trial, turn) for turn in asked) and not any(tests.pauses):
            found.append("It spoke over the caller, who had not finished.")
    return found


def _values(trial: Trial, tests: _Tests) -> dict[str, float | None]:
    asked = [turn for turn in turns(trial) if turn.kind == "turn"]
    values: dict[str, float | None] = {
        "duplex.pause_tor": _mean(tests.pauses),
        "duplex.turn_tor": _mean(tests.turns),
        "duplex.no_response": _mean([not heard for heard in tests.responds]),
        "duplex.yield": _mean(_yielded(tests)),
        **{f"duplex.holds_{kind}": _mean(_held(kind)(tests)) for kind in SELECTS},
        "duplex.interruptions": _mean([float(interrupts(trial, turn)) for turn in asked]),
    }
    return {name: value for name, value in values.items() if value is not None}


def _mean(values: Sequence[float] | Sequence[bool]) -> float | None:
    return float(np.mean(values)) if values else None
