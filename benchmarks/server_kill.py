"""kill -9 of a server with a call under way, again and again: is what was finished still there?

    python benchmarks/server_kill.py --times 50
    python benchmarks/server_kill.py --times 50 --bundle cafe --sound examples/order.flac

Each time `antiphon serve` is started with the same store, a Live call is held with it in real time,
and the process is killed at a random moment. Then `antiphon store verify` must find the audit log
and the calls whole, the store must open, and every turn of which the client was told more than
`--margin` seconds before the kill must be there, word for word.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import math
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.audio.resample import resample
from antiphon.errors import AntiphonError
from antiphon.serving.store import Store, StoreConfig

PATIENCE = 120.0  # seconds for a server to start
PACE = FRAME / SAMPLE_RATE


@dataclass
class Outcome:
    """What one kill left behind."""

    seconds: float
    """From the session's begin to the kill."""
    told: int = 0
    """Turns that the client was told."""
    due: int = 0
    """Those of them that must be there."""
    missing: list[str] = field(default_factory=list[str])
    late: int = 0
    """Turns told in the last moment that are not there, either."""
    opened_in: float = 0.0
    problems: list[str] = field(default_factory=list[str])

    @property
    def well(self) -> bool:
        """Nothing is lost."""
        return not (self.missing or self.problems)


@contextlib.contextmanager
def server(bundle: str, store: Path, log: Path) -> Generator[tuple[subprocess.Popen[str], str]]:
    """`antiphon serve` as a process of its own, and its ws address."""
    command = [sys.executable, "-m", "antiphon", "serve", bundle, "--port", "0"]
    command += ["--slots", "2", "--threads", "1", "--store", str(store)]
    with log.open("a") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Serving"):
                address = next(word for word in line.split() if word.startswith("http"))
                yield process, address.replace("http", "ws", 1)
                return
        raise SystemExit(f"the server did not start:\n{log.read_text()[-2000:]}")
    finally:
        process.kill()
        process.communicate()


async def call(
    process: subprocess.Popen[str], url: str, sound: np.ndarray, seconds: float
) -> tuple[str, list[tuple[float, dict[str, Any]]]]:
    """Talk for so long, then kill: the call's id, and turns with how long before that they came."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    turns: list[tuple[float, dict[str, Any]]] = []
    session = {
        "model": "any",
        "audio": {"format": {"type": "audio/pcm", "rate": SAMPLE_RATE}},
        "antiphon": {"events": True},
    }
    async with connect(f"{url}/v1/live/sessions", max_size=None) as socket:
        await socket.send(json.dumps({"type": "session.start", "session": session}))
        event: dict[str, Any] = {}
        while event.get("type") != "session.started":
            event = json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))
            if event["type"] == "error":
                raise RuntimeError(str(event["error"]))
        name = str(event["session"]["id"])

        async def hear() -> None:
            with contextlib.suppress(ConnectionClosed):
                async for text in socket:
                    event = json.loads(text)
                    if event["type"] == "antiphon.turn":
                        turns.append((time.monotonic(), event["turn"]))

        hearing = asyncio.create_task(hear())
        pcm = (np.clip(sound, -1, 1) * 32767).astype("<i2")
        began = time.monotonic()
        for number in range(math.ceil(seconds / PACE)):
            at = number * FRAME % (len(pcm) - FRAME)
            audio = base64.b64encode(pcm[at : at + FRAME].tobytes()).decode()
            await socket.send(json.dumps({"type": "session.input_audio.append", "audio": audio}))
            due = began + min((number + 1) * PACE, seconds)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        killed = time.monotonic()
        process.kill()
        await hearing
    return name, [(killed - at, turn) for at, turn in turns]


def kill_once(
    bundle: str, store: Path, log: Path, sound: np.ndarray, *, seconds: float, margin: float
) -> Outcome:
    """A server, a call, a kill, and a look at what is left."""
    with server(bundle, store, log) as (process, url):
        name, turns = asyncio.run(call(process, url, sound, seconds))
        process.wait()
    outcome = Outcome(seconds, told=len(turns), due=sum(before > margin for before, _ in turns))
    command = [sys.executable, "-m", "antiphon", "store", "verify", "--store", str(store)]
    verified = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    if verified.returncode:
        outcome.problems.append(f"verify: {(verified.stdout + verified.stderr).strip()[-400:]}")
    began = time.perf_counter()
    try:
        with Store.open(StoreConfig(folder=store)) as there:
            outcome.opened_in = time.perf_counter() - began
            kept = {(turn.index, turn.speaker, turn.text) for turn in there.call(name).turns}
    except AntiphonError as error:
        outcome.problems.append(str(error))
        kept = set[tuple[int, str, str]]()
    for before, turn in turns:
        if (turn["index"], turn["speaker"], turn["text"]) in kept:
            continue
        if before > margin:
            outcome.missing.append(
                f"turn {turn['index']} ({turn['speaker']}: {turn['text']!r}), {before:.2f} s before"
            )
        else:
            outcome.late += 1
    return outcome


def caller(path: Path | None) -> np.ndarray:
    """float32 [N] at 16 kHz, to be repeated: a file, or a buzz between silences."""
    if path is not None:
        samples, rate = sf.read(path, dtype="float32", always_2d=True)
        samples = samples[:, 0]
        sound = samples if rate == SAMPLE_RATE else resample(samples, rate, SAMPLE_RATE)
        return np.concatenate([sound, np.zeros(2 * SAMPLE_RATE, dtype=np.float32)])
    at = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    buzz = 0.3 * np.sign(np.sin(2 * np.pi * 120 * at))
    parts = [np.zeros(SAMPLE_RATE // 4), buzz, np.zeros(2 * SAMPLE_RATE)]
    return np.concatenate(parts).astype(np.float32)


def wilson(well: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, 1927)."""
    share, square = well / of, z * z
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = z / (1 + square / of) * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def main() -> None:
    """Kill again and again, and say what was lost; status 1 if anything was."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--bundle", default="tiny", help="name or folder; tiny: that of the tests")
    parser.add_argument("--sound", type=Path, help="what the caller says, again and again")
    parser.add_argument("--shortest", type=float, default=2.0, help="seconds before a kill")
    parser.add_argument("--longest", type=float, default=15.0, help="seconds before a kill")
    parser.add_argument("--margin", type=float, default=1.0, help="seconds that may be lost")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng, sound = random.Random(given.seed), caller(given.sound)
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        bundle = given.bundle
        if bundle == "tiny":
            sys.path.insert(0, str(Path(__file__).parents[1]))
            from tests.conftest import make_bundle

            bundle = str(make_bundle(place / "tiny"))
        for number in range(given.times):
            # One store for all kills: each server finds what those before it left.
            outcome = kill_once(
                bundle,
                place / "calls",
                place / "log",
                sound,
                seconds=rng.uniform(given.shortest, given.longest),
                margin=given.margin,
            )
            outcomes.append(outcome)
            print(
                f"{number + 1:3d}  killed after {outcome.seconds:5.2f} s  {outcome.told:3d} turns, "
                f"{outcome.due:3d} due  opened in {outcome.opened_in:5.2f} s  "
                f"{'well' if outcome.well else 'LOST'}",
                flush=True,
            )
            for line in (*outcome.missing, *outcome.problems):
                print(f"     {line}", flush=True)
    well = sum(outcome.well for outcome in outcomes)
    due, late = sum(each.due for each in outcomes), sum(each.late for each in outcomes)
    low, high = wilson(well, len(outcomes))
    print(
        f"{well} of {len(outcomes)} kills without a loss (95 %: {low:.1%} to {high:.1%}); "
        f"{due} turns were due, {late} later ones are not there"
    )
    if not due:
        print("no turn was finished in time: this says nothing; try a greater --shortest")
    raise SystemExit(0 if well == len(outcomes) and due else 1)


if __name__ == "__main__":
    main()
