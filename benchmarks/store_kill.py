"""kill -9 of a process that keeps calls, again and again: does the store lose anything?

    python benchmarks/store_kill.py --kills 50 --calls 16
    python benchmarks/store_kill.py --kills 50 --url postgresql://user@127.0.0.1/empty

A child process tells a store of several calls at once, as a server would, a beat every `--beat`
seconds, and prints each finished turn after the observer took it. It is killed at a random moment.
Then the store must open, its audit log must verify, every turn that was printed must be there, and
each recording must open and reach to within a second of what the child had told.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.serving.store import Store, StoreConfig

BEAT = FRAME / SAMPLE_RATE
TURN = 5  # beats a turn
LENGTH = 60  # beats a call
READY = "ready"


@dataclass
class Outcome:
    """What one kill left behind."""

    seconds: float
    """From the first call to the kill."""
    turns: int
    """Finished turns that were printed before it."""
    missing: list[tuple[str, int]]
    problems: list[str]
    short: list[str]
    """Recordings that end more than a second before the kill, or do not open."""
    opened_in: float

    @property
    def well(self) -> bool:
        """Nothing is lost."""
        return not (self.missing or self.problems or self.short)


def keep_calls(config: StoreConfig, calls: int, beat: float) -> None:
    """The child: `calls` at once, new ones when they end, until it is killed."""
    from antiphon.runtime.events import CallerWordEvent
    from antiphon.serving.call import CallInfo
    from antiphon.serving.turns import Turn

    rng = np.random.default_rng(0)
    noise = (rng.standard_normal((64, FRAME)) * 0.1).astype(np.float32)
    with Store.open(config) as store, store.serving() as observer:
        print(READY, flush=True)
        live: dict[str, int] = {}
        due = time.perf_counter()
        for number in range(10**9):
            while len(live) < calls:
                call = CallInfo(bundle="noise", protocol="kill", metadata={"caller": "nobody"})
                live[call.id] = -len(live) % TURN - TURN  # not all turns end in one beat
                observer.opened(call)
            for call_id in list(live):
                observer.heard(call_id, noise[number % 64])
                observer.played(call_id, noise[-number % 64])
                live[call_id] += 1
                beats = live[call_id]
                observer.event(call_id, CallerWordEvent(time=number * BEAT, text="w", end=0.1))
                if beats > 0 and beats % TURN == 0:
                    index = beats // TURN - 1
                    speaker = "agent" if index % 2 else "caller"
                    end = beats * BEAT
                    words = (("well", end - 0.3, end),)
                    turn = Turn(
                        index=index, speaker=speaker, text="well", words=words, start=0.0, end=end
                    )
                    observer.turn(call_id, turn)
                    print(json.dumps([call_id, index, beats]), flush=True)
                if beats >= LENGTH:
                    observer.closed(call_id, "client")
                    del live[call_id]
            due += beat
            time.sleep(max(0.0, due - time.perf_counter()))


def kill_once(config: StoreConfig, *, calls: int, beat: float, seconds: float) -> Outcome:
    """Start a child, kill it after `seconds`, and look at what is left."""
    command = [sys.executable, __file__, "--child", config.model_dump_json()]
    command += ["--calls", str(calls), "--beat", str(beat)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        if child.stdout.readline().strip() != READY:
            raise RuntimeError("the child did not begin")
        time.sleep(seconds)
        child.kill()
        # What it had printed is still in the pipe; a last line may be cut off.
        lines = [line for line in child.stdout.read().splitlines() if line.endswith("]")]
    told = [json.loads(line) for line in lines]
    started = time.perf_counter()
    with Store.open(config) as store:
        opened_in = time.perf_counter() - started
        return Outcome(
            seconds=seconds,
            turns=len(told),
            missing=_missing(store, told),
            problems=[str(problem) for problem in store.verify()],
            short=_short(store, told, beat),
            opened_in=opened_in,
        )


def _missing(store: Store, told: list[list[int]]) -> list[tuple[str, int]]:
    there = {
        name: {turn.index for turn in store.call(name).turns} for name in {str(t[0]) for t in told}
    }
    return [(str(name), index) for name, index, _ in told if index not in there[str(name)]]


def _short(store: Store, told: list[list[int]], beat: float) -> list[str]:
    """A second on the clock is a second of sound where a beat lasts as long as its frame."""
    reached: dict[str, int] = {}
    for name, _, beats in told:
        reached[str(name)] = max(reached.get(str(name), 0), beats)
    lost = round(1.0 / beat)  # frames told in a second
    found: list[str] = []
    for name, beats in reached.items():
        path = store.recording(name)
        least = (beats - lost) * FRAME
        if path is None:
            found += [f"{name}: no recording"] if least > 0 else []
            continue
        samples, _ = sf.read(path, dtype="int16")
        if len(samples) < least:
            found.append(f"{name}: {len(samples) / SAMPLE_RATE:.2f} s of {beats * BEAT:.2f} s")
    return found


def main() -> None:
    """Kill again and again, and say what was lost; status 1 if anything was."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--calls", type=int, default=16, help="at once")
    parser.add_argument("--beat", type=float, default=BEAT, help="seconds; 0.08 is real time")
    parser.add_argument("--longest", type=float, default=8.0, help="seconds before a kill")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--url", help="an empty PostgreSQL database; without it SQLite")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        keep_calls(StoreConfig.model_validate_json(given.child), given.calls, given.beat)
        return
    rng = random.Random(given.seed)
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        # One store for all kills: each finds what those before it left.
        config = StoreConfig(folder=Path(folder) / "store", url=given.url)
        for number in range(given.kills):
            wait = rng.uniform(0.0, given.longest)
            outcome = kill_once(config, calls=given.calls, beat=given.beat, seconds=wait)
            outcomes.append(outcome)
            print(
                f"{number + 1:3d}  killed after {wait:5.2f} s  {outcome.turns:5d} turns  "
                f"opened in {outcome.opened_in:5.2f} s  {'well' if outcome.well else 'LOST'}"
            )
            for line in (*map(str, outcome.missing), *outcome.problems, *outcome.short):
                print(f"     {line}")
    well = sum(outcome.well for outcome in outcomes)
    turns = sum(outcome.turns for outcome in outcomes)
    print(f"{well} of {len(outcomes)} without a loss; {turns} finished turns")
    raise SystemExit(0 if well == len(outcomes) else 1)


if __name__ == "__main__":
    main()
