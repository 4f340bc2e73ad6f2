"""Whether what the ears spell tells an order that was heard from one that is only believed.

    python benchmarks/ears.py --data barista/manifest.jsonl --other other_speech

Real orders are held against the words of their own slots, other speech against those of an order
drawn at random; printed is the share that the guard's check `heard` would stop at several limits.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean

import numpy as np

from antiphon.audio import FRAME
from antiphon.audio.io import read
from antiphon.errors import AntiphonError
from antiphon.evaluation.commands import Clip, other_clips, read_manifest
from antiphon.guard.beats import beats
from antiphon.guard.config import HeardRules
from antiphon.guard.spelling import Spelling, misfit
from antiphon.runtime.agent import Agent
from antiphon.runtime.clock import HeardEvent

LIMITS = (0.3, 0.34, 0.4, 0.45, 0.5, 0.55, 0.6)
TAIL = 8  # frames of silence in which the last letters come


def spelt(agent: Agent, path: Path) -> str:
    """What the ears spell of a recording."""
    samples = read(path)
    whole = np.zeros((len(samples) // FRAME + TAIL) * FRAME, dtype=np.float32)
    whole[: len(samples)] = samples
    letters = Spelling()
    with agent.session(seed=0) as session:
        for beat in beats(session, whole):
            for event in beat:
                if isinstance(event, HeardEvent):
                    letters.take(event.time, event.out.spelt)
    return letters.since()


def misfits(clip: Clip, letters: str) -> list[float]:
    """Of the words of a clip's slots that count, each."""
    words = [word for value in (clip.slots or {}).values() for word in value.split()]
    return [misfit(word, letters) for word in words if len(word) >= HeardRules().least]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bundle", default="cafe")
    parser.add_argument("--data", type=Path, required=True, help="manifest of orders")
    parser.add_argument("--other", type=Path, required=True, help="folder of other speech")
    parser.add_argument("--most", type=int, default=150, help="clips of other speech")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    agent, rng = Agent.load(chosen.bundle), random.Random(chosen.seed)
    orders = read_manifest(chosen.data)
    heard = [misfits(order, spelt(agent, order.path)) for order in orders]
    others = [clip.path for clip in other_clips(chosen.other)[: chosen.most]]
    believed = [misfits(rng.choice(orders), spelt(agent, path)) for path in others]
    print(f"{len(heard)} orders, {len(believed)} clips of other speech; stopped where over")
    ways: dict[str, Callable[[Sequence[float]], float]] = {"mean": mean, "least": min}
    for name, figure in ways.items():
        for limit in LIMITS:
            stopped = [
                sum(figure(each) > limit for each in found if each) / len(found)
                for found in (heard, believed)
            ]
            print(f"{name:>5} {limit:.2f}: orders {stopped[0]:.3f}, other speech {stopped[1]:.3f}")


if __name__ == "__main__":
    try:
        main()
    except AntiphonError as error:
        sys.exit(f"error: {error}")
