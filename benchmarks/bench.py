"""Measures a bundle's cost beside its peers' and writes docs/performance.md.

    make bench                                   # everything, some minutes
    python benchmarks/bench.py --frames 20 --rounds 1

Each measurement runs in a process of its own, tied to one core; the rounds take turns, and the
best round of each subject counts, so that a busy moment of the machine falls on nobody alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from antiphon.bundle import Bundle, find, load
from antiphon.errors import AntiphonError
from page import Measured, Run, page
from timing import Cost

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BATCHES = (1, 4, 16)
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", default="cafe", help="name or folder")
    parser.add_argument("--frames", type=int, default=200, help="timed frames a measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--recording", type=Path, default=ROOT / "examples" / "order.flac")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "performance.md")
    asked = parser.parse_args()
    if asked.frames < 1 or asked.rounds < 1:
        parser.error("--frames and --rounds are at least 1")
    try:
        bundle = load(find(asked.bundle))
    except AntiphonError as error:
        print(error, file=sys.stderr)
        return 2
    run = measure(bundle, asked)
    beside = asked.out.with_suffix(f".{os.getpid()}.tmp")
    beside.write_text(page(run), encoding="utf-8")
    os.replace(beside, asked.out)
    print(f"wrote {asked.out}")
    return 0


def measure(bundle: Bundle, asked: argparse.Namespace) -> Run:
    """Every subject, round after round."""
    common = ["--bundle", str(bundle.folder), "--frames", str(asked.frames)]
    batches = BATCHES if bundle.manifest.batch == "dynamic" else (bundle.manifest.batch,)
    ours = {f"part {which}": ["part", "--which", which] for which in ("network", "codec")}
    ours |= {
        f"agent {batch}": ["agent", "--batch", str(batch), "--recording", str(asked.recording)]
        for batch in batches
    }
    load_before = os.getloadavg()[0]
    # One quick look tells how large a network the peer has to be.
    network = Cost(**_run([*ours["part network"], *common, "--frames", "1", "--warm-up", "1"]))
    shape = json.dumps(
        {
            "parameters": network.parameters,
            "codebooks": bundle.manifest.n_codes,
            "codebook_size": bundle.manifest.codebook_size,
            "text_pieces": bundle.manifest.text_vocabulary,
            "window": _window(bundle),
        }
    )
    peers = {f"mimi {way}": ["mimi", "--which", way] for way in ("encode", "decode")}
    peers |= {
        f"moshi {batch}": ["moshi", "--batch", str(batch), "--shape", shape] for batch in batches
    }
    subjects = ours | peers
    rounds: dict[str, list[Cost]] = {name: [] for name in subjects}
    bandwidths: list[float] = []
    for number in range(asked.rounds):
        bandwidths.append(_run(["bandwidth"])["bytes_per_second"])
        for name, command in subjects.items():
            cost = Cost(**_run([*command, *common]))
            rounds[name].append(cost)
            print(f"round {number + 1}, {name}: p50 {cost.wall_p50:.2f} ms", flush=True)
    return Run(
        bundle=bundle.folder.name,
        batches=tuple(batches),
        measured={name: Measured.best(costs) for name, costs in rounds.items()},
        bandwidth=max(bandwidths),
        operators=_run(["operators", *common]),
        state_bytes=_state_bytes(bundle),
        graph_bytes=bundle.graph.stat().st_size,
        versions={name: version(name) for name in ("onnxruntime", "torch", "moshi")},
        frames=asked.frames,
        rounds=asked.rounds,
        load=(load_before, os.getloadavg()[0]),
        machine=_machine(),
    )


def _run(arguments: list[str]) -> Any:
    """Runs subject.py in a process of its own; returns the JSON of its last line."""
    environment = os.environ | dict.fromkeys(ONE_THREAD, "1")
    done = subprocess.run(
        [sys.executable, str(HERE / "subject.py"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(done.stderr)
        raise SystemExit(f"benchmark of {' '.join(arguments)} failed")
    return json.loads(done.stdout.splitlines()[-1])


def _window(bundle: Bundle) -> int:
    """How many past frames our backbone sees, and so the peer's."""
    sizes = json.loads((bundle.folder / "model.json").read_text(encoding="utf-8"))
    return sizes["backbone"]["window"]


def _state_bytes(bundle: Bundle) -> int:
    """What a session's past takes, bytes."""
    sizes: dict[str, int] = {"float32": 4, "float16": 2, "int64": 8, "int32": 4}
    total = 0
    for state in bundle.manifest.states:
        count = 1
        for dim in state.shape:
            count *= dim
        total += count * sizes.get(state.dtype, 1)
    return total


def _machine() -> str:
    """The processor's name and how many of its cores are ours."""
    read: Callable[[], str] = Path("/proc/cpuinfo").read_text
    try:
        names = [
            line.split(":", 1)[1].strip() for line in read().splitlines() if "model name" in line
        ]
    except OSError:
        names = []
    return f"{names[0] if names else 'unknown processor'}, {os.cpu_count()} cores"


if __name__ == "__main__":
    sys.exit(main())
