"""Whether the network's confidence says how often it is right, and a calibrator that mends it.

    python benchmarks/guard_calibration.py --bundle cafe --turns 400 --json calibration.json

Callers' turns (voices kept from training, or `--data` recordings) are heard; a turn's confidence is
the mean over the frames with a voice, as the guard's monitor takes it, and right is a turn whose
calls are what the caller wanted. A calibrator is fitted to every second turn; what is printed is of
the others: the expected calibration error with its bins before and after, and the share of turns
that a threshold covers at 1 % risk. The last line goes into the scenario's guard section.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from antiphon.corpus.grammar import plain
from antiphon.evaluation.statistics import share
from antiphon.guard.beats import beats
from antiphon.guard.calibration import (
    Reliability,
    coverage,
    fit_isotonic,
    fit_platt,
    fit_temperature,
    reliability,
)
from antiphon.runtime.agent import Agent
from antiphon.runtime.clock import HeardEvent
from antiphon.runtime.events import AgentWordEvent, CallEvent
from guard_turns import CallerTurn, recorded, speakers, with_silence

VOICE = 0.5
WAIT = 3.0  # s of silence in which the agent makes its call
RISK = 0.01
FITS = {"temperature": fit_temperature, "platt": fit_platt, "isotonic": fit_isotonic}


def hear(agent: Agent, turn: CallerTurn) -> tuple[float, bool]:
    """How sure the network was of a turn, and whether it was right."""
    sure: list[float] = []
    calls: list[CallEvent] = []
    said: list[str] = []
    with agent.session(seed=0) as session:
        for beat in beats(session, with_silence(turn.samples, WAIT)):
            for event in beat:
                if isinstance(event, HeardEvent) and event.out.vad >= VOICE:
                    sure.append(event.out.confidence)
                elif isinstance(event, CallEvent):
                    calls.append(event)
                elif isinstance(event, AgentWordEvent):
                    said.append(event.text)
    mean = sum(sure) / len(sure) if sure else 0.0
    return min(max(mean, 0.0), 1.0), turn.right(calls, agent.scenario, plain(" ".join(said)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bundle", default="cafe")
    parser.add_argument("--data", type=Path, help="recordings in place of spoken turns")
    parser.add_argument("--turns", type=int, default=400)
    parser.add_argument("--fit", choices=list(FITS), default="platt")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write confidences and outcomes here")
    chosen = parser.parse_args()
    agent = Agent.load(chosen.bundle)
    intents = [name for name, spec in agent.scenario.intents.items() if spec.effect == "add"]
    intents = [name for name in intents if agent.scenario.intents[name].weight.get("empty")]
    found: list[tuple[float, bool]] = []
    with speakers(agent.scenario, chosen.seed) as people:
        known = recorded(chosen.data, chosen.seed) if chosen.data else []
        count = min(chosen.turns, len(known)) if known else chosen.turns
        for number in range(count):
            turn = known[number] if known else people.ask(number, intents)
            found.append(hear(agent, turn))
            print(f"{number:4d} {found[-1][0]:.4f} {found[-1][1]}", file=sys.stderr, flush=True)
            if chosen.json:
                chosen.json.write_text(json.dumps(found), encoding="utf-8")
    _report(found, chosen.fit)


def _report(found: Sequence[tuple[float, bool]], fit: str) -> None:
    here, there = found[1::2], found[::2]
    mend = FITS[fit]([c for c, _ in there], [r for _, r in there])
    right = [r for _, r in here]
    print(f"right: {share(sum(right), len(right))}; fitted to {len(there)} others")
    for name, sure in (
        ("as it is", [c for c, _ in here]),
        (f"mended ({fit})", [min(max(mend(c), 0.0), 1.0) for c, _ in here]),
    ):
        seen = reliability(sure, right)
        if seen is None:
            continue
        print(f"{name}: ECE {seen.ece:.3f}, Brier {seen.brier:.3f}")
        _print_bins(seen)
        covered = coverage(sure, right, RISK)
        if covered is None:
            print(f"  no threshold has a risk of {RISK:.0%}")
        else:
            print(
                f"  from {covered.threshold:.4f} on: {covered.covered:.3f} covered, "
                f"risk {covered.risk:.4f}"
            )
    print(f"guard: {{breaker: {{calibration: {mend.model_dump_json()}}}}}")


def _print_bins(seen: Reliability) -> None:
    for row in seen.bins:
        if row.n:
            print(
                f"  {row.low:.1f} to {row.high:.1f}: {row.n:4d} turns, "
                f"sure {row.confidence:.3f}, right {row.accuracy:.3f}"
            )


if __name__ == "__main__":
    main()
