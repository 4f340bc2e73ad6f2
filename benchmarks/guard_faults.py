"""Faults planted into calls of a real bundle: how many the guard catches, what is heard of them,
and how soon the caller is answered.

    python benchmarks/guard_faults.py --bundle cafe --turns 300 --json faults.json

A caller speaks to the guarded agent, and in that turn one thing goes wrong: other words are forced
into its text (a price, an item), its calls are broken, its voice becomes babble, its engine stands
still, gets NaN for weights, or is killed. `--turns` are spread over the kinds; as many turns stay
clean. What comes out is compared with what went in, 20 ms by 20 ms, so "heard" is what a caller
would have heard. Callers are voices kept from training, or with `--data` a folder's recordings
(manifest.jsonl with `path` and `slots`). Times are the call's, not this machine's.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.bundle import Bundle
from antiphon.corpus.grammar import plain
from antiphon.corpus.scenario import Scenario, load_scenario
from antiphon.evaluation.judge import bundled_judge
from antiphon.evaluation.statistics import percentile, share
from antiphon.guard.beats import beats
from antiphon.guard.checks import Rulebook
from antiphon.guard.config import guard_of
from antiphon.guard.events import GuardEvent
from antiphon.guard.opening import open_service
from antiphon.guard.operator import Handover
from antiphon.guard.stage import Guard, Service
from antiphon.runtime.agent import Agent
from antiphon.runtime.clock import ClockEvent
from antiphon.runtime.engine import Engine, StepInput, StepOutput
from antiphon.runtime.events import AgentWordEvent, AudioEvent, CallEvent, Samples
from antiphon.runtime.latency import AUDIBLE
from antiphon.runtime.session import Session
from guard_turns import CallerTurn, recorded, speakers, with_silence

BLOCK = 320
WAIT = 5.0  # s of silence in which the agent answers and the guard acts
SOON = 2.0  # s within which the caller must be answered
KINDS = ("price", "item", "call", "babble", "frozen", "nan", "killed")
ENGINE = ("frozen", "nan", "killed")
_LASTS = 3.0  # s for which what was planted lasts, where nothing stops it
_REST = 0.28  # s of what was planted that are still to come when it is stopped
_SOUNDS = 3  # blocks in a row that are an answer
_ACTED = ("blocked", "call_blocked", "corrected", "fault", "level", "handover")
_BLOCKED = ("blocked", "call_blocked", "fault")
_MENDED = ("corrected", "answered")


@dataclass
class Trial:
    """What came of one turn."""

    kind: str
    name: str
    planted: float | None = None
    """When what is wrong begins, seconds of the call; None: there was no occasion."""
    since: float = 0.0
    """When it was put in: text leads its voice."""
    caught: bool = False
    leaked_ms: float = 0.0
    """How much of it was heard."""
    words_heard: bool = False
    """Whether a wrong word was told as heard, or a broken call went out."""
    answered: float | None = None
    """Seconds from the fault, or the end of the caller's speech if that is later, to the first
    sound of another answer."""
    blocked: bool = False
    mended: bool = False
    """Whether another call than the agent's was made."""
    right: bool | None = None
    """Whether what was blocked or mended in a clean turn was right."""
    better: bool | None = None
    """Whether what came of it is right."""
    level: str = ""
    added_ms: list[float] = field(default_factory=list[float])
    events: list[GuardEvent] = field(default_factory=list[GuardEvent])


class Faulty(Engine):
    """An engine that breaks down when it is told to."""

    def __init__(self, agent: Agent, broken: Engine) -> None:
        super().__init__(agent.bundle, 1)
        self.breakdown = ""
        self._broken, self._last = broken, dict[int, StepOutput]()

    def step(self, inputs: Mapping[int, StepInput]) -> dict[int, StepOutput]:
        """A frame, or what a broken engine makes of it."""
        if self.breakdown == "killed":
            raise RuntimeError("the replica was killed")
        if self.breakdown == "nan":
            return self._broken.step(inputs)
        if self.breakdown != "frozen" or not self._last:
            self._last = super().step(inputs)
        return self._last


def without_numbers(bundle: Bundle) -> ort.InferenceSession:
    """The bundle's graph with NaN for every weight."""
    model = onnx.load(str(bundle.graph))
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 0:
            values = np.full(tuple(tensor.dims), np.nan, dtype=np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


class Plant:
    """Puts one fault into a session's beats."""

    def __init__(
        self,
        trial: Trial,
        scenario: Scenario,
        turn: CallerTurn,
        rng: random.Random,
        others: Sequence[Samples],
    ) -> None:
        self.trial = trial
        self.scenario, self._rng, self._others = scenario, rng, others
        self._heard = set(turn.text.split())
        # An engine breaks down somewhere around the end of the caller's speech.
        self._breaks = max(0.5, turn.end + rng.uniform(-1.0, 1.5))
        self._words = self._at = 0
        self._begun = False
        self.wrong = ""
        self.broken: dict[str, Any] | None = None

    def before(self, engine: Faulty, time: float) -> None:
        """What happens to the engine before the frame that ends at `time`."""
        if self.trial.kind in ENGINE and not engine.breakdown and time >= self._breaks:
            engine.breakdown = self.trial.kind
            self.trial.planted, self.trial.since = time, time - 0.1  # the last beat was before it

    def spoil(self, beat: list[ClockEvent], say: Callable[[str], None]) -> list[ClockEvent]:
        """The beat with the fault in it."""
        kind, out = self.trial.kind, list[ClockEvent]()
        for event in beat:
            if isinstance(event, AgentWordEvent):
                self._words += 1
                if self.wrong and event.text == self.wrong and self.trial.planted is None:
                    self.trial.planted = event.start
        if self._words >= 2 and not self._begun:
            self._begun = True
            self.trial.since = beat[0].time
            if kind == "price":
                self._force("it is", "ninety", "dollars", say)
            elif kind == "item":
                first, *rest = self._unsaid().split()
                self._force("and a", first, " ".join(rest), say)
        for event in beat:
            if isinstance(event, AudioEvent) and self._begun and kind == "babble":
                self.trial.planted = self.trial.planted or event.time
                if event.time - self.trial.planted < _LASTS:
                    event = event.model_copy(update={"samples": self._babble()})
            if isinstance(event, CallEvent) and kind == "call" and self.trial.planted is None:
                self.broken = self._broken(event)
                event = event.model_copy(update={"arguments": self.broken})
                self.trial.planted = self.trial.since = event.time
            out.append(event)
        return out

    def _force(self, before: str, wrong: str, after: str, say: Callable[[str], None]) -> None:
        self.wrong = wrong
        say(f"{before} {wrong} {after}")

    def _unsaid(self) -> str:
        """Something to drink of which the caller did not say a word."""
        values = [v.value for v in self.scenario.slots["drink"].values]
        return self._rng.choice([v for v in values if not set(v.split()) & self._heard] or values)

    def _broken(self, call: CallEvent) -> dict[str, Any]:
        kind = self._rng.randrange(3)
        if kind == 0:
            return {**call.arguments, "free": True}
        if kind == 1:
            return {"items": [{"drink": "gin"}]}
        return {"items": [{"drink": self._unsaid()}]}

    def _babble(self) -> Samples:
        """A frame of several people at once."""
        mixed = np.zeros(FRAME, dtype=np.float32)
        for other in self._others:
            at = self._at % max(1, len(other) - FRAME)
            mixed += other[at : at + FRAME]
        self._at += FRAME
        return mixed


class Nobody:
    """Operators who are never there."""

    def take(self, message: Handover, /) -> None:
        """Nothing."""


def run(agent: Agent, opened: Service, engine: Faulty, turn: CallerTurn, plant: Plant) -> Trial:
    """One turn through the guard, which knows nothing of those before."""
    trial = plant.trial
    service = Service(
        opened.rules,
        delays=opened.delays,
        ready=opened.ready,
        standby=opened.standby,
        operators=Nobody(),
    )
    raw: list[Samples] = []
    out: list[Samples] = []
    words: list[AgentWordEvent] = []
    calls: list[CallEvent] = []

    def keep(passed: Sequence[Any]) -> None:
        for event in passed:
            match event:
                case AudioEvent():
                    out.append(event.samples)
                case CallEvent():
                    calls.append(event)
                case AgentWordEvent():
                    words.append(event)
                case GuardEvent():
                    trial.events.append(event)
                case _:
                    pass

    engine.breakdown = ""
    with Session(engine, agent.pieces, agent.vocabulary, seed=0) as session:
        guard = service.guard("call", session.say)
        gone = False
        for at, frame in enumerate(_frames(with_silence(turn.samples, WAIT))):
            now = (at + 1) * FRAME / SAMPLE_RATE
            plant.before(engine, now)
            if gone:
                keep(guard.beat_alone(frame, now))
                continue
            try:
                for beat in beats(session, frame):
                    spoilt = plant.spoil(beat, session.say)
                    raw += [e.samples for e in spoilt if isinstance(e, AudioEvent)]
                    keep(guard.review(spoilt))
            except Exception as error:  # as the server's clock ends a call
                gone = True
                guard.failed(f"engine: {error}")
                keep(guard.beat_alone(frame, now))
        _finish(trial, guard)
    _judge(trial, plant, turn, np.concatenate(raw), np.concatenate(out), words, calls)
    return trial


def _finish(trial: Trial, guard: Guard) -> None:
    trial.level = guard.level
    trial.added_ms = list(guard.filter.added_ms)
    guard.close()


def _frames(samples: Samples) -> Iterator[Samples]:
    for at in range(0, len(samples), FRAME):
        yield samples[at : at + FRAME]


def _judge(
    trial: Trial,
    plant: Plant,
    turn: CallerTurn,
    raw: Samples,
    out: Samples,
    words: Sequence[AgentWordEvent],
    calls: Sequence[CallEvent],
) -> None:
    trial.blocked = any(event.action in _BLOCKED for event in trial.events)
    trial.mended = any(event.action in _MENDED for event in trial.events)
    if trial.kind == "clean":
        trial.better = turn.right(calls, plant.scenario, plain(" ".join(w.text for w in words)))
    if trial.planted is None:
        return
    if any(event.action in _ACTED and event.time < trial.since for event in trial.events):
        trial.planted = None  # the guard had already acted, so there was nothing to plant it into
        return
    wanted = ("call_blocked", "corrected") if trial.kind == "call" else _ACTED
    acts = [event.time for event in trial.events if event.action in wanted]
    trial.caught = bool(acts)
    act = acts[0] if acts else math.inf
    if trial.kind == "call":
        trial.words_heard = any(call.arguments == plant.broken for call in calls)
        after = max(trial.planted, turn.end)
        trial.answered = _first_sound(raw, out, after, after, 0.0) if acts else None
        return
    first, last = trial.planted, min(act + _REST, trial.planted + _LASTS)
    trial.leaked_ms = _leaked(trial.kind, raw, out, first, last)
    told = [word.text for word in words if word.start < act + _REST]
    trial.words_heard = bool(plant.wrong) and plant.wrong in told
    if acts:
        own = math.inf if trial.kind in ENGINE else act + _REST
        trial.answered = _first_sound(raw, out, max(act, turn.end), max(first, turn.end), own)


def _leaked(kind: str, raw: Samples, out: Samples, first: float, last: float) -> float:
    """How many ms of raw[first:last] (seconds) are heard in `out`."""
    if kind == "nan":
        return 1e3 * float(np.count_nonzero(~np.isfinite(out))) / SAMPLE_RATE
    if kind == "killed":
        return 0.0
    # Raw sample 0 plays at 0.08 s, and the filter passes whole blocks.
    wrong = {
        block
        for at, block in enumerate(_blocks(raw))
        if first <= at * BLOCK / SAMPLE_RATE + 0.08 < last
        and np.abs(np.frombuffer(block, np.float32)).max() >= AUDIBLE
    }
    heard = sum(block in wrong for block in _blocks(out))
    if kind == "frozen":
        heard = max(0, heard - FRAME // BLOCK)  # the frame that it stands still at was right once
    return heard * 20.0


def _first_sound(
    raw: Samples, out: Samples, after: float, since: float, own: float
) -> float | None:
    """Seconds from `since` to the first sound from `after` on that is not what the network gave
    before `own`: what was held of that goes on for a moment."""
    before = {
        block for at, block in enumerate(_blocks(raw)) if at * BLOCK / SAMPLE_RATE + 0.08 < own
    }
    run = 0  # a single block is the fade of what was cut off
    for at, block in enumerate(_blocks(out)):
        time = at * BLOCK / SAMPLE_RATE + 0.08
        loud = np.abs(np.nan_to_num(np.frombuffer(block, np.float32))).max() >= AUDIBLE
        run = run + 1 if time >= after and loud and block not in before else 0
        if run == _SOUNDS:
            return max(0.0, time - (_SOUNDS - 1) * BLOCK / SAMPLE_RATE - since)
    return None


def _blocks(samples: Samples) -> Iterator[bytes]:
    for at in range(0, len(samples) - BLOCK + 1, BLOCK):
        yield samples[at : at + BLOCK].tobytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bundle", default="cafe")
    parser.add_argument("--data", type=Path, help="recordings in place of spoken turns")
    parser.add_argument("--rules", type=Path, help="take the guard section of this scenario")
    parser.add_argument("--turns", type=int, default=300, help="with a fault; as many without")
    parser.add_argument("--clean", type=int, help="turns without a fault, if not as many")
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=KINDS)
    parser.add_argument("--no-cascade", action="store_true", help="a person in its place")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write every trial here")
    chosen = parser.parse_args()
    agent = Agent.load(chosen.bundle)
    scenario = agent.scenario
    config = guard_of(load_scenario(chosen.rules)) if chosen.rules else None
    judge = bundled_judge("agent")
    opened = open_service(
        agent,
        rules=Rulebook(scenario, config=config),
        judge=judge.transcribe if judge else None,
        cascade=not chosen.no_cascade,
    )
    engine = Faulty(agent, Engine(agent.bundle, graph=without_numbers(agent.bundle)))
    trials: list[Trial] = []
    kinds = [chosen.kinds[i % len(chosen.kinds)] for i in range(chosen.turns)]
    kinds += ["clean"] * (chosen.turns if chosen.clean is None else chosen.clean)
    rng = random.Random(chosen.seed)
    orders = [n for n, spec in scenario.intents.items() if spec.effect == "add"]
    # Numbers are often misheard and then blocked, before anything can be planted.
    asked = [n for n in ("price", "hours") if n in scenario.intents]
    recordings = recorded(chosen.data, chosen.seed) if chosen.data else []
    with speakers(scenario, chosen.seed) as people:
        crowd = [_level(people.ask(i, orders, "crowd").samples) for i in range(5)]
        for number, kind in enumerate(kinds):
            if recordings:
                turn = recordings[number % len(recordings)]
            else:
                wants_order = kind in ("call", "item") or rng.random() < 0.7 or not asked
                turn = people.ask(number, orders[:1] if wants_order else asked)
            plant = Plant(Trial(kind, turn.name), scenario, turn, rng, crowd)
            trial = run(agent, opened, engine, turn, plant)
            if kind == "clean" and (trial.blocked or trial.mended):
                alone = agent.answer(turn.samples)
                trial.right = turn.right(alone.calls, scenario, plain(alone.agent_text))
            trials.append(trial)
            print(f"{number:4d} {kind:7s} {_line(trial)}", file=sys.stderr, flush=True)
            if chosen.json:
                rows = [{**vars(t), "events": [e.model_dump() for e in t.events]} for t in trials]
                chosen.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    _print(trials)


def _level(samples: Samples) -> Samples:
    loud = samples[np.abs(samples) > AUDIBLE]
    power = float(np.sqrt(np.mean(np.square(loud)))) if len(loud) else 1.0
    return (samples * 0.03 / power).astype(np.float32)


def _line(trial: Trial) -> str:
    if trial.kind != "clean" and trial.planted is None:
        return "no occasion"
    first = next((e.reason for e in trial.events if e.action in _BLOCKED), "")
    answered = "-" if trial.answered is None else f"{trial.answered:.2f} s"
    return (
        f"caught={trial.caught} leaked={trial.leaked_ms:.0f} ms word={trial.words_heard} "
        f"answered={answered} then={trial.level} {first}"
    )


def _print(trials: Sequence[Trial]) -> None:
    planted = [t for t in trials if t.planted is not None]
    print(f"{'fault':8s}{'caught':38s}{'nothing wrong heard':38s}answered within {SOON:g} s, P95")
    for kind in (*KINDS, "all"):
        mine = [t for t in planted if kind in (t.kind, "all")]
        if mine:
            print(f"{kind:8s}" + "".join(f"{each:38s}" for each in _row(mine)))
    missing = sum(t.kind != "clean" and t.planted is None for t in trials)
    if missing:
        print(f"left out, for there was no occasion (no word, no call, blocked before): {missing}")
    clean = [t for t in trials if t.kind == "clean"]
    if clean:
        wrong = sum(t.blocked and t.right is False for t in clean)
        false = share(sum(t.blocked and t.right is not False for t in clean), len(clean))
        print(f"clean turns, blocked though right: {false}; blocked and wrong: {wrong}")
        mended = [t for t in clean if t.mended]
        for_better = sum(t.right is False and t.better is True for t in mended)
        for_worse = sum(t.right is True and t.better is False for t in mended)
        print(
            f"clean turns, mended: {len(mended)}; wrong before and right after: {for_better}, "
            f"right before and wrong after: {for_worse}"
        )
    added = [ms for t in trials for ms in t.added_ms]
    if added:
        p50, p95 = (percentile(added, q) for q in (50, 95))
        print(f"added delay of heard words: P50 {p50:.0f} ms, P95 {p95:.0f} ms")


def _row(mine: Sequence[Trial]) -> tuple[str, str, str]:
    caught = share(sum(t.caught for t in mine), len(mine))
    clean = share(sum(t.leaked_ms == 0 and not t.words_heard for t in mine), len(mine))
    soon = share(sum(t.answered is not None and t.answered <= SOON for t in mine), len(mine))
    times = [t.answered for t in mine if t.answered is not None]
    p95 = percentile(times, 95)
    return str(caught), str(clean), f"{soon}" + ("" if p95 is None else f", {p95:.2f} s")


if __name__ == "__main__":
    main()
