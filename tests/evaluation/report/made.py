"""Trials made by hand, and reports of them: what a page is tested with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from antiphon.corpus.conversation import Conversation, Event, Word
from antiphon.evaluation.figures import Figure, Measured, Verdict
from antiphon.evaluation.report import Failure, Report, Run, assemble
from antiphon.evaluation.script import Clip, Step, Stimulus
from antiphon.evaluation.trial import Costs, Trial, save
from antiphon.runtime.events import AgentWordEvent, CallerWordEvent, CallEvent, ToneEvent

RATE = 16_000


def sound(spans: Sequence[tuple[float, float]], seconds: float, pitch: float) -> np.ndarray:
    """A tone with a slow swell in each span, silence elsewhere; float32 [N]."""
    time = np.arange(round(seconds * RATE)) / RATE
    made = 0.25 * np.sin(2 * np.pi * pitch * time) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time))
    loud = np.zeros(len(time), dtype=bool)
    for start, end in spans:
        loud |= (time >= start) & (time < end)
    return (made * loud).astype(np.float32)


def stimulus(name: str, kind: str = "order", condition: str = "clean") -> Stimulus:
    suite = name.split("/")[0]
    clip = Clip(path="clips/a.flac", text="a large latte", start=0.1, end=1.5)
    step = Step(clip=clip)
    return Stimulus(
        id=name, suite=suite, kind=kind, steps=(step,), condition=condition, group="kal"
    )


def trial(
    name: str = "task/order/000",
    *,
    kind: str = "order",
    condition: str = "clean",
    seed: int = 0,
    system: str = "tiny",
    says: str = "one <b>large</b> latte coming up",
    gap: float = 0.4,
) -> Trial:
    """A caller speaks from 0.5 to 2 s with a pause; the agent answers `gap` s after them."""
    answer = 2.0 + gap
    end = answer + 1.8
    caller = sound([(0.5, 1.1), (1.5, 2.0)], end + 0.5, 140)
    agent = sound([(answer, end)], end + 0.5, 210)
    words = [("a", 0.5, 0.6), ("large", 0.6, 1.1), ("latte", 1.5, 2.0)]
    events = (
        Event(kind="turn", speaker="caller", start=0.5, end=2.0, data={"tone": "annoyed"}),
        Event(kind="pause", speaker="caller", start=1.1, end=1.5),
    )
    told = [
        CallerWordEvent(time=2.2, text="latte", end=2.0),
        ToneEvent(time=1.9, tone="annoyed", probability=0.8),
        CallEvent(time=2.3, name="place_order", arguments={"items": [{"drink": "latte"}]}),
    ]
    told += [
        AgentWordEvent(time=answer, text=word, start=answer + 0.3 * at)
        for at, word in enumerate(says.split())
    ]
    return Trial(
        stimulus=stimulus(name, kind, condition),
        system=system,
        seed=seed,
        conversation=Conversation(
            np.stack([agent, caller]),
            tuple(Word(text=w, start=a, end=b, speaker="caller") for w, a, b in words),
            events,
        ),
        told=tuple(told),
        costs=Costs(p50=0.006, p99=0.008, mean=0.008, late=0),
    )


def report(
    folder: Path, *, system: str = "tiny", count: int = 6, wrong: int = 2, gap: float = 0.4
) -> Report:
    """`count` trials saved in `folder`/trials, the first `wrong` of them wrong, as a report."""
    made: list[tuple[Trial, str]] = []
    verdicts: list[Verdict] = []
    for at in range(count):
        one = trial(
            f"task/order/{at:03d}", kind="order" if at % 2 else "several", system=system,
            gap=gap + 0.05 * at,
        )  # fmt: skip
        path = f"trials/{one.stimulus.id}.0.flac"
        save(one, folder / path)
        made.append((one, path))
        ok = at >= wrong
        why = "" if ok else "heard a small latte, and a large one was asked for"
        values = {"task.pass_1": float(ok), "task.gap": 1000 * (gap + 0.05 * at)}
        verdicts.append(Verdict(trial=one.stimulus.id, suite="task", ok=ok, why=why, values=values))
    figures = (
        Figure(name="task.pass_1", value=1 - wrong / count, low=0.3, high=0.9, n=count),
        Figure(name="task.gap", value=520, low=450, high=600, n=count, unit="ms", better="low"),
        Figure(name="task.judge_cer", value=0.08, low=0.06, high=0.1, n=40, better="low"),
        Figure(name="task.said", value=0.5, n=count, valid=False, note="the judge is not fit"),
        Figure(name="task.nothing", value=None, n=0),
    )
    measured = Measured(suite="task", figures=figures, verdicts=tuple(verdicts))
    run = Run(system=system, spec=system, data=f"{count} orders <made> by hand", seed=3)
    failures = (Failure(trial="task/order/999", seed=0, why="the server closed the line"),)
    return assemble(run, [measured], made, failures)
