"""Are the agent's murmurs voiced? It murmurs in long turns of a caller ("mm hmm", "okay", "i see").

    antiphon corpus build scenarios/cafe.yaml --out runs/test --conversations 200 --voices test
    antiphon corpus clips runs/test --scenario scenarios/cafe.yaml --out runs/orders
    python benchmarks/murmured.py --bundle cafe --data runs/orders/manifest.jsonl

Plays every recording of a manifest twice, cuts out what the agent says while its state is
`backchannelling`, and prints how periodic that is, weighted by energy (`guard.sound`): a voice is
above .7, a whisper or noise below .6. And in how many of the calls the guard's check of the sound
would have stopped the agent, though nothing was planted.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path

import numpy as np

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.io import frames, read
from antiphon.guard.config import SoundRules, guard_of
from antiphon.guard.ready import prepare
from antiphon.guard.sound import SoundWatch, VoicePrint, periodicity
from antiphon.runtime.agent import Agent
from antiphon.runtime.events import AudioEvent, Samples, TurnEvent

WHISPER = 0.6  # periodicity below which nobody would call it a voice
AUDIBLE = 0.03  # peak
TAIL = 0.4  # s for which a murmur may sound after its state is over
AFTER = 5.0  # s of silence after the caller, in which the agent answers
SEEDS = (1, 2)


def call(agent: Agent, caller: Samples, seed: int) -> tuple[Samples, list[Samples]]:
    """All that the agent says, float32 [N] at 16 kHz, and its murmurs beside the caller's turn."""
    voice: list[Samples] = []
    states: list[tuple[float, str]] = []
    with agent.session(seed) as session:
        for event in session.push(np.pad(caller, (0, round(AFTER * SAMPLE_RATE)))):
            if isinstance(event, AudioEvent):
                voice.append(event.samples)
            elif isinstance(event, TurnEvent):
                states.append((event.time, event.state))
    said = np.concatenate(voice)
    cuts = [
        said[round(start * SAMPLE_RATE) : round((end + TAIL) * SAMPLE_RATE)]
        for (start, state), (end, _) in pairwise([*states, (len(said) / SAMPLE_RATE, "")])
        if state == "backchannelling"
    ]
    return said, [cut for cut in cuts if np.abs(cut).max(initial=0.0) >= AUDIBLE]


def stopped(said: Samples, rules: SoundRules, voice: VoicePrint | None) -> bool:
    """Whether the check of the sound finds anything wrong with it."""
    watch = SoundWatch(rules, voice)
    return any([watch.push(frame)[1] for frame in frames(said)])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", default="cafe")
    parser.add_argument("--data", type=Path, required=True, help="a manifest with `path` lines")
    given = parser.parse_args()
    if not given.data.is_file():
        parser.error(f"{given.data}: there is no such manifest")
    agent = Agent.load(given.bundle)
    guard = guard_of(agent.scenario)
    own = VoicePrint.of(
        phrase.samples for phrase in prepare(agent, guard.all_phrases(agent.scenario))
    )
    found: list[float] = []
    blocked: list[bool] = []
    for line in given.data.read_text().splitlines():
        caller = read(given.data.parent / json.loads(line)["path"])
        for seed in SEEDS:
            said, cuts = call(agent, caller, seed)
            found += [periodicity(cut) for cut in cuts]
            blocked.append(stopped(said, guard.audio, own))
    print(f"the check of the sound would have stopped {sum(blocked)} of {len(blocked)} calls")
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
