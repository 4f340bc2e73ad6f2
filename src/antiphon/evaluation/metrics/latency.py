"""How long it takes: by construction, by the processor, and to the ear.

A simulated clock leaves processing time out of a trial, so it is added here; a live system's
times have everything in them, the network too, and stand under names of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.evaluation.bootstrap import Grouped
from antiphon.evaluation.figures import Figure, Measured, Verdict
from antiphon.evaluation.metrics.duplex import turn_gap
from antiphon.evaluation.metrics.segments import events
from antiphon.evaluation.metrics.tools import (
    Series,
    Tools,
    clean,
    estimated,
    group_of,
    nothing,
    share,
)
from antiphon.evaluation.protocol import SECONDS
from antiphon.evaluation.trial import Trial

SLOW = 1.0  # s to the first audible sample, after which a case is worth opening
_FRAME = FRAME / SAMPLE_RATE


def measure(trials: Sequence[Trial], tools: Tools) -> Measured:
    """The suite `latency` over the trials of `task` and `duplex` on a clean line."""
    ours = clean(trials, "task", "duplex")
    heard = [(trial, _first(trial, live=tools.live)) for trial in ours]
    first = Series()
    for trial, times in heard:
        for seconds in times:
            first.add(seconds * 1e3, group_of(trial))
    names = [f"first_audible_p{q}" for q in (50, 90, 95)]
    quantiles = (50, 90, 95)
    here, there = (Series(), first) if tools.live else (first, Series())
    figures = [
        _algorithmic(tools),
        *(here.percentile(f"latency.{n}", q, "ms") for n, q in zip(names, quantiles, strict=True)),
        *(
            there.percentile(f"latency.network_{n}", q, "ms")
            for n, q in zip(names, quantiles, strict=True)
        ),
        *_process([] if tools.live else ours),
        _late("latency.deadline_misses", [] if tools.live else ours),
        _late("latency.network_late", ours if tools.live else []),
    ]
    verdicts = [_verdict(trial, times, live=tools.live) for trial, times in heard]
    return Measured(suite="latency", figures=tuple(figures), verdicts=tuple(verdicts))


def stretches_of_80_ms(trial: Trial) -> int:
    """How many whole ones a trial had: the ticks whose time `Costs` tells."""
    return round(trial.conversation.duration / SECONDS) // round(_FRAME / SECONDS)


def _first(trial: Trial, *, live: bool) -> list[float]:
    """Seconds from each turn's end to the first sample of its answer, processing included."""
    gaps = [turn_gap(trial, turn) for turn in events(trial, "turn")]
    process = 0.0 if live else trial.costs.p50
    return [gap + process for gap in gaps if gap is not None]


def _algorithmic(tools: Tools) -> Figure:
    if tools.algorithmic is None:
        return nothing("latency.algorithmic", "ms", better="low", note="not known of this system")
    ms = tools.algorithmic * 1e3
    note = "by construction: the frame that must be full, and what the codec looks ahead"
    return Figure(
        name="latency.algorithmic",
        value=ms,
        low=ms,
        high=ms,
        n=1,
        unit="ms",
        better="low",
        note=note,
    )


def _process(trials: Sequence[Trial]) -> list[Figure]:
    p50, p99 = Series(), Series()
    means, lengths, groups = list[float](), list[float](), list[str]()
    for trial in trials:
        if stretches_of_80_ms(trial):
            p50.add(trial.costs.p50 * 1e3, group_of(trial))
            p99.add(trial.costs.p99 * 1e3, group_of(trial))
            means.append(trial.costs.mean * stretches_of_80_ms(trial))
            lengths.append(_FRAME * stretches_of_80_ms(trial))
            groups.append(group_of(trial))
    factor = Grouped(groups).ratio(means, lengths)
    note = "median over trials"
    return [
        p50.percentile("latency.process_p50", 50, "ms", note=note),
        p99.percentile("latency.process_p99", 50, "ms", note=note),
        estimated("latency.real_time_factor", factor, "ratio", better="low"),
    ]


def _late(name: str, trials: Sequence[Trial]) -> Figure:
    """The share of stretches of 80 ms that were not ready in time."""
    flags: list[bool] = []
    for trial in trials:
        count = max(stretches_of_80_ms(trial), trial.costs.late)
        flags += [True] * trial.costs.late + [False] * (count - trial.costs.late)
    return share(name, flags, better="low", note="of all stretches of 80 ms")


def _verdict(trial: Trial, times: Sequence[float], *, live: bool) -> Verdict:
    late = trial.costs.late
    name = "latency.network_first_audible_p50" if live else "latency.first_audible_p50"
    if late:
        why = f"{late} stretches of 80 ms were not ready in time."
    elif times and max(times) > SLOW:
        why = f"An answer began {max(times):.2f} s after the caller's end."
    elif times:
        why = f"Every answer began within {SLOW:.0f} s."
    else:
        why = "No turn was answered, so there is nothing to time."
    ok = None if not times and not late else not late and max(times) <= SLOW
    values = {name: sum(times) / len(times) * 1e3} if times else {}
    return Verdict(trial=trial.stimulus.id, suite="latency", ok=ok, why=why, values={**values})
