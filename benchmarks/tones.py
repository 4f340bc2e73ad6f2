"""Can a caller's tone be told from the voice alone: by plain figures of a corpus, by a bundle?

    python benchmarks/tones.py corpus runs/again/cafe/flat/train
    python benchmarks/tones.py bundle cafe --turns 240

`corpus` gives a turn's pitch, its movement, tempo, pauses, level and tilt to boosted trees, in four
folds of which each has voices that the others have not, with and without level and tilt, which are
the line's as much as the caller's. `bundle` lets voices that no training heard say orders in each
of four tones on a clean line, and counts the turns of which most frames were told the right one.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import GroupKFold

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.bundle.manifest import find
from antiphon.corpus.conversation import Event
from antiphon.corpus.grammar import join
from antiphon.corpus.scenario import load_scenario
from antiphon.corpus.voices import Voices
from antiphon.errors import AntiphonError
from antiphon.guard.beats import beats
from antiphon.runtime.agent import Agent
from antiphon.runtime.clock import HeardEvent
from antiphon.training.prepare import Flat, Item
from antiphon.training.streams import SECONDS, TONE_IDS

TONES = ("neutral", "annoyed", "hesitant", "cheerful")
LINE = (5, 6, 13, 14, 15)  # which figures of a turn are its level and its tilt
FOLDS = 4
QUIET = 6  # frames before and after a turn


def figures(flat: Flat, item: Item, turn: Event) -> list[float] | None:
    """Nineteen plain figures of a caller's turn; None where hardly anything is voiced."""
    first, last = int(turn.start / SECONDS), min(int(turn.end / SECONDS) + 1, item.frames)
    samples = flat.caller(item.offset + first, last - first)
    pitch = flat.pitch(item.offset + first, last - first)
    pitch = pitch[pitch != 0]
    words = [
        w for w in item.words if w.speaker == "caller" and turn.start - 0.02 <= w.start < turn.end
    ]
    if len(pitch) < 3 or not words:
        return None
    level = np.log10(np.sqrt(np.mean(samples.reshape(-1, FRAME) ** 2, axis=1)) + 1e-4)
    loud = level[level > level.max() - 1.2]
    letters, sounding = sum(len(w.text) for w in words), sum(w.end - w.start for w in words)
    gaps = [b.start - a.end for a, b in pairwise(words)] or [0.0]
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)

    def band(low: float, high: float) -> float:
        return float(np.log10(power[(hertz >= low) & (hertz < high)].sum() + 1e-9))

    middle = band(500, 1500)
    return [
        *(pitch.mean(), pitch.std(), *np.percentile(pitch, [10, 90]), np.median(pitch)),
        *(level.max(), loud.mean(), loud.std()),
        letters / max(sounding, 0.1),
        letters / max(words[-1].end - words[0].start, 0.1),
        *(max(gaps), sum(gaps), len(words)),
        *(band(0, 500) - middle, band(1500, 4000) - middle, band(4000, 8000) - middle),
        float(np.abs(np.diff(pitch)).mean()),
        *(pitch[-3:].mean() - pitch.mean(), pitch[:3].mean() - pitch.mean()),
    ]


def corpus(folder: Path) -> None:
    """What trees tell of a prepared corpus, by fold."""
    flat = Flat(folder)
    rows, tones, voices = list[list[float]](), list[int](), list[str]()
    for item in flat.items:
        for turn in item.turns("caller"):
            found = None if turn.data.get("voice") == "recorded" else figures(flat, item, turn)
            if found is not None:
                rows.append(found)
                tones.append(TONE_IDS[str(turn.data.get("tone", "neutral"))])
                voices.append(str(turn.data.get("voice")))
    x, y = np.array(rows), np.array(tones)
    print(
        f"{len(y)} turns of {len(set(voices))} voices; the commonest tone is {np.bincount(y).max()}"
    )
    for name, kept in (
        ("all figures", list(range(x.shape[1]))),
        ("no level, no tilt", [i for i in range(x.shape[1]) if i not in LINE]),
    ):
        shares: list[float] = []
        for known, unknown in GroupKFold(FOLDS).split(x, y, voices):
            trees = HistGradientBoostingClassifier(max_iter=150, learning_rate=0.08, random_state=0)
            trees.fit(x[known][:, kept], y[known])
            shares.append(float((trees.predict(x[unknown][:, kept]) == y[unknown]).mean()))
        print(f"{name}: right, by fold: " + ", ".join(f"{share:.3f}" for share in sorted(shares)))


def told(agent: Agent, samples: npt.NDArray[np.float32]) -> str:
    """The likeliest tone of most frames of a turn with quiet around it."""
    frames = -(-len(samples) // FRAME)
    whole = np.zeros((frames + 2 * QUIET) * FRAME, dtype=np.float32)
    whole[QUIET * FRAME :][: len(samples)] = samples
    with agent.session(seed=0) as session:
        heard = [e for beat in beats(session, whole) for e in beat if isinstance(e, HeardEvent)]
    tones = Counter(int(e.out.tone.argmax()) for e in heard[QUIET : QUIET + frames])
    return TONES[tones.most_common(1)[0][0]]


def bundle(name: str, turns: int, seed: int) -> None:
    """What a bundle tells of unseen voices."""
    folder = find(name)
    agent, scenario = Agent.load(folder), load_scenario(folder / "scenario.yaml")
    rng, table = random.Random(seed), Counter[tuple[str, str]]()
    with Voices() as voices:
        for index in range(turns):
            tone = TONES[index % len(TONES)]
            text = " ".join(join(scenario.say("order", rng).tokens).split())
            speech = voices.caller("test", rng).speak(text, rng, tone)
            table[tone, told(agent, speech.samples)] += 1
    right = sum(table[tone, tone] for tone in TONES)
    print(f"{name}: {right} of {turns} turns, {right / turns:.3f}")
    for tone in TONES:
        print(f"  {tone:9} " + "  ".join(f"{other} {table[tone, other]}" for other in TONES))


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ways = parser.add_subparsers(dest="way", required=True)
    of_corpus = ways.add_parser("corpus", help="a prepared corpus")
    of_corpus.add_argument("folder", type=Path)
    of_bundle = ways.add_parser("bundle", help="bundles")
    of_bundle.add_argument("names", nargs="+")
    of_bundle.add_argument("--turns", type=int, default=240)
    of_bundle.add_argument("--seed", type=int, default=2)
    given = parser.parse_args()
    try:
        if given.way == "corpus":
            corpus(given.folder)
        else:
            for name in given.names:
                bundle(name, given.turns, given.seed)
    except AntiphonError as error:
        sys.exit(f"tones: {error}")


if __name__ == "__main__":
    main()
