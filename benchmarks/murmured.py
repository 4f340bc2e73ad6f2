"""Are the agent's murmurs voiced? It murmurs in long turns of a caller ("mm hmm", "okay", "i see").

    antiphon corpus build scenarios/cafe.yaml --out runs/test --conversations 200 --voices test
    antiphon corpus clips runs/test --scenario scenarios/cafe.yaml --out runs/orders
    python benchmarks/murmured.py --bundle cafe --data runs/orders/manifest.jsonl

Plays every recording of a manifest twice, cuts out what the agent says while its state is
`backchannelling`, and prints how periodic that is, weighted by energy (`guard.sound`): a voice is
above .7, a whisper or noise below .6.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.io import read
from antiphon.guard.sound import periodicity
from antiphon.runtime.agent import Agent
from antiphon.runtime.events import AudioEvent, Samples, TurnEvent

WHISPER = 0.6  # periodicity below which nobody would call it a voice
AUDIBLE = 0.03  # peak
TAIL = 0.4  # s for which a murmur may sound after its state is over
SEEDS = (1, 2)


def murmurs(agent: Agent, caller: Samples, seed: int) -> Iterator[Samples]:
    """What the agent says beside a caller's turn, float32 [N] at 16 kHz each."""
    voice: list[Samples] = []
    states: list[tuple[float, str]] = []
    with agent.session(seed) as session:
        for event in session.push(caller):
            if isinstance(event, AudioEvent):
                voice.append(event.samples)
            elif isinstance(event, TurnEvent):
                states.append((event.time, event.state))
    said = np.concatenate(voice)
    over = (len(said) / SAMPLE_RATE, "")
    for (start, state), (end, _) in pairwise([*states, over]):
        if state == "backchannelling":
            cut = said[round(start * SAMPLE_RATE) : round((end + TAIL) * SAMPLE_RATE)]
            if np.abs(cut).max(initial=0.0) >= AUDIBLE:
                yield cut


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", default="cafe")
    parser.add_argument("--data", type=Path, required=True, help="a manifest with `path` lines")
    given = parser.parse_args()
    agent = Agent.load(given.bundle)
    found: list[float] = []
    for line in given.data.read_text().splitlines():
        caller = read(given.data.parent / json.loads(line)["path"])
        for seed in SEEDS:
            found += [periodicity(each) for each in murmurs(agent, caller, seed)]
    if not found:
        print("the agent murmured in none of them")
        return
    low, middle, high = np.percentile(found, (10, 50, 90))
    whispered = sum(each < WHISPER for each in found)
    print(
        f"{len(found)} murmurs, {whispered} of them whispered; periodicity {middle:.2f} "
        f"(P10 {low:.2f}, P90 {high:.2f})"
    )


if __name__ == "__main__":
    main()
