"""Faults planted into calls of a real bundle: how many the guard catches, and before what is heard.

    python benchmarks/guard_faults.py --bundle cafe --data orders/ --n 20

A caller's recording is played to the agent. Then, from the agent's reply on, one thing goes wrong:
other words are forced into its text, its voice is replaced, its calls are broken, its engine
freezes. What comes out of the filter is compared with what went in, 20 ms by 20 ms. The folder
holds recordings and manifest.jsonl with `path`, `text` and `slots` for each, as
`antiphon eval commands` reads it. Numbers of the planted words come from the scenario.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.audio.io import read
from antiphon.corpus import grammar
from antiphon.corpus.order import fold
from antiphon.corpus.scenario import Scenario
from antiphon.evaluation.judge import bundled_judge
from antiphon.evaluation.statistics import share
from antiphon.guard.beats import beats
from antiphon.guard.checks import Rulebook
from antiphon.guard.events import GuardEvent
from antiphon.guard.filter import Filter
from antiphon.guard.ready import as_ready, prepare
from antiphon.runtime.agent import Agent
from antiphon.runtime.clock import ClockEvent
from antiphon.runtime.events import AgentWordEvent, AudioEvent, CallEvent, Samples
from antiphon.runtime.latency import AUDIBLE

BLOCK = 320
WAIT = 4.0  # s of silence in which the agent answers and the guard acts
_PLANTED = 3.0  # s for which what was planted lasts, at most
SOON = 2.0  # s within which the caller must hear something instead
FAULTS = ("clean", "price", "item", "call", "babble", "nan", "frozen")


@dataclass
class Trial:
    """What came of one call."""

    fault: str
    planted: float | None = None
    """When what is wrong would have begun to sound, seconds of the raw voice."""
    caught: bool = False
    leaked_ms: float = 0.0
    """How much of it was heard."""
    passed_ms: float = 0.0
    """How much of the agent's voice was heard at all."""
    answered: float | None = None
    """Seconds from the block to the first sound instead."""
    right: bool = True
    """Whether the agent's order was the caller's (clean calls)."""
    added_ms: list[float] = field(default_factory=list)
    events: list[GuardEvent] = field(default_factory=list)


class Plant:
    """Puts one fault into a session's beats."""

    def __init__(
        self, fault: str, scenario: Scenario, text: str, rng: random.Random, others: list[Samples]
    ) -> None:
        self.fault, self.trial = fault, Trial(fault)
        self._scenario, self._rng, self._others = scenario, rng, others
        self._heard = grammar.plain(text)
        self._words = 0
        self._frame: Samples | None = None
        self._begun = False
        self._at = 0
        self._wrong = ""

    def spoil(self, beat: list[ClockEvent], say: Callable[[str], None]) -> list[ClockEvent]:
        """The beat with the fault in it."""
        for event in beat:
            if isinstance(event, AgentWordEvent):
                self._words += 1
                if self._wrong and event.text == self._wrong and self.trial.planted is None:
                    self.trial.planted = event.start
        if self._words >= 2 and not self._begun:
            self._begun = True
            if self.fault == "price":
                self._force("it is", "ninety", "dollars", say)
            elif self.fault == "item":
                wrong = self._unsaid()
                self._force("a", wrong.split()[0], " ".join(wrong.split()[1:]), say)
        out: list[ClockEvent] = []
        for event in beat:
            if isinstance(event, AudioEvent) and self._begun:
                event = self._sound(event)
            if isinstance(event, CallEvent) and self.fault == "call":
                event = event.model_copy(update={"arguments": self._broken(event)})
                self.trial.planted = event.time
            out.append(event)
        return out

    def _force(self, before: str, wrong: str, after: str, say: Callable[[str], None]) -> None:
        self._wrong = wrong
        say(f"{before} {wrong} {after}")

    def _unsaid(self) -> str:
        """Something to drink that the caller did not name."""
        values = [v.value for v in self._scenario.slots["drink"].values]
        fit = [v for v in values if not set(v.split()) & set(self._heard.split())]
        return self._rng.choice(fit or values)

    def _broken(self, call: CallEvent) -> dict[str, Any]:
        kind = self._rng.randrange(3)
        if kind == 0:
            return {**call.arguments, "free": True}
        if kind == 1:
            return {"items": [{"drink": "gin"}]}
        return {"items": [{"drink": self._unsaid()}]}

    def _sound(self, event: AudioEvent) -> AudioEvent:
        if self.fault not in ("babble", "nan", "frozen"):
            return event
        loud = float(np.abs(event.samples).max()) >= AUDIBLE
        if self._frame is None and not loud:
            return event
        if self.trial.planted is None:
            self.trial.planted = event.time
        if self.fault == "nan":
            self._frame = np.full(FRAME, np.nan, dtype=np.float32)
            return event.model_copy(update={"samples": self._frame})
        if self.fault == "frozen":
            self._frame = event.samples if self._frame is None else self._frame
            return event.model_copy(update={"samples": self._frame})
        self._frame = self._babble()
        return event.model_copy(update={"samples": self._frame})

    def _babble(self) -> Samples:
        """A frame of five people at once, as loud as the agent."""
        mixed = np.zeros(FRAME, dtype=np.float32)
        for other in self._others:
            at = self._at % max(1, len(other) - FRAME)
            mixed += other[at : at + FRAME]
        self._at += FRAME
        return mixed


def run(
    agent: Agent, rules: Rulebook, ready: Any, caller: Samples, plant: Plant, judge: Any, seed: int
) -> Trial:
    """One call through the filter."""
    trial = plant.trial
    silence = np.zeros(round(WAIT * SAMPLE_RATE), dtype=np.float32)
    whole = np.concatenate((caller, silence))
    whole = whole[: len(whole) // FRAME * FRAME]
    raw: list[Samples] = []
    out: list[Samples] = []
    calls: list[CallEvent] = []
    with agent.session(seed) as session:
        guard = Filter(rules, delays=session.delays, say=session.say, ready=ready, judge=judge)
        for beat in beats(session, whole):
            spoilt = plant.spoil(beat, session.say)
            raw += [e.samples for e in spoilt if isinstance(e, AudioEvent)]
            for event in guard.review(spoilt):
                if isinstance(event, AudioEvent):
                    out.append(event.samples)
                elif isinstance(event, CallEvent):
                    calls.append(event)
                elif isinstance(event, GuardEvent):
                    trial.events.append(event)
    trial.added_ms = list(guard.added_ms)
    _judge(trial, np.concatenate(raw), np.concatenate(out), calls)
    return trial


def _judge(trial: Trial, raw: Samples, out: Samples, calls: Sequence[CallEvent]) -> None:
    acted = ("blocked", "call_blocked", "fault")
    found = [event for event in trial.events if event.action in acted]
    trial.caught = bool(found)
    if trial.fault == "call":
        blocked = [event for event in found if event.action == "call_blocked"]
        trial.caught = bool(blocked)
        trial.leaked_ms = 80.0 * sum(call.arguments == {} for call in calls)
        return
    # Raw sample 0 plays at 0.08 s, and the filter passes whole blocks.
    planted = math.inf if trial.planted is None else trial.planted
    where = {block: at for at, block in enumerate(_all_blocks(raw))}
    heard = known = 0
    for block in _all_blocks(out):
        at = where.get(block)
        loud = np.frombuffer(block, np.float32)
        if at is None or np.abs(loud).max(initial=0.0) < AUDIBLE:
            continue
        known += 1
        heard += 0 <= at * BLOCK / SAMPLE_RATE + 0.08 - planted < _PLANTED
    trial.leaked_ms, trial.passed_ms = heard * 20.0, known * 20.0
    block_at = next((event.time for event in found if event.action == "blocked"), None)
    if block_at is not None:
        start = round((block_at - 0.08) * SAMPLE_RATE)
        loud = np.flatnonzero(np.abs(out[start:]) >= AUDIBLE)
        trial.answered = float(loud[0]) / SAMPLE_RATE if len(loud) else None


def _all_blocks(samples: Samples) -> Iterator[bytes]:
    for at in range(0, len(samples) - BLOCK + 1, BLOCK):
        yield samples[at : at + BLOCK].tobytes()


def right(scenario: Scenario, calls: Sequence[CallEvent], slots: dict[str, str]) -> bool:
    """Whether the order that the agent placed is the caller's."""
    order = fold(calls, scenario)
    items = order["items"] if order else []
    return len(items) == 1 and scenario.manifest_slots(items[0]) == slots


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bundle", default="cafe")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--n", type=int, default=20, help="calls of each fault")
    parser.add_argument("--faults", nargs="*", default=FAULTS, choices=FAULTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--judge", action="store_true", help="the judge reads the voice back")
    parser.add_argument("--json", type=Path, help="write every trial here")
    chosen = parser.parse_args()
    agent = Agent.load(chosen.bundle)
    rules = Rulebook(agent.scenario)
    found = bundled_judge("agent")
    judge = found.transcribe if found is not None else None
    phrases = prepare(agent, rules.config.all_phrases(agent.scenario)[:1], judge=judge)
    ready = as_ready(phrases)
    lines = (chosen.data / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    entries: list[dict[str, Any]] = [json.loads(line) for line in lines]
    rng = random.Random(chosen.seed)
    rng.shuffle(entries)
    trials: list[Trial] = []
    for fault in chosen.faults:
        for entry in entries[: chosen.n]:
            others = [_level(read(chosen.data / e["path"])) for e in rng.sample(entries, 5)]
            caller = read(chosen.data / entry["path"])
            plant = Plant(fault, agent.scenario, entry["text"], rng, others)
            trial = run(agent, rules, ready, caller, plant, judge if chosen.judge else None, 0)
            if fault == "clean":
                answer = agent.answer(caller)
                trial.right = right(agent.scenario, answer.calls, entry["slots"])
            trials.append(trial)
            print(f"{fault:8s} {entry['path']:24s} {_line(trial)}", file=sys.stderr, flush=True)
    _print(trials)
    if chosen.json:
        rows = [{**vars(t), "events": [e.model_dump() for e in t.events]} for t in trials]
        chosen.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def _level(samples: Samples) -> Samples:
    loud = samples[np.abs(samples) > AUDIBLE]
    power = float(np.sqrt(np.mean(np.square(loud)))) if len(loud) else 1.0
    return (samples * 0.03 / power).astype(np.float32)


def _line(trial: Trial) -> str:
    last = trial.events[0].reason if trial.events else ""
    return f"caught={trial.caught} leaked={trial.leaked_ms:.0f} ms right={trial.right} {last}"


def _print(trials: Sequence[Trial]) -> None:
    print("\nfault     caught                                  nothing heard of it")
    for fault in FAULTS[1:]:
        mine = [t for t in trials if t.fault == fault and t.planted is not None]
        if mine:
            caught = share(sum(t.caught for t in mine), len(mine))
            clean = share(sum(t.caught and t.leaked_ms == 0 for t in mine), len(mine))
            print(f"{fault:8s}  {caught!s:38s}  {clean}")
    late = [t for t in trials if t.fault != "clean" and t.leaked_ms > 0]
    if late:
        print(f"heard of those that came late: {[round(t.leaked_ms) for t in late]} ms")
    soon = [t for t in trials if t.answered is not None]
    print(
        f"answered within {SOON:g} s of the block: "
        f"{share(sum((t.answered or 0) <= SOON for t in soon), len(soon))}"
    )
    calls = [t for t in trials if t.fault == "clean"]
    for name, part in (
        ("right", [t for t in calls if t.right]),
        ("wrong", [t for t in calls if not t.right]),
    ):
        if part:
            blocked = share(sum(t.caught for t in part), len(part))
            print(f"clean calls, order {name}: blocked {blocked}")
    heard = [t for t in trials if t.fault != "call" and t.passed_ms > 0]
    print(f"calls with some of the agent's own voice heard: {len(heard)} of {len(trials)}")
    added = [ms for t in trials for ms in t.added_ms]
    if added:
        p50, p95 = np.percentile(added, (50, 95))
        print(f"added delay of heard words: P50 {p50:.0f} ms, P95 {p95:.0f} ms")


if __name__ == "__main__":
    main()
