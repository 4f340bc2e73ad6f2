"""Does the agent sound as it is told to: can each style be told from each other, does it keep to a
speed?

The same sentences are said in every style and at every speed. What is measured of each (pitch,
level, tempo) is held against the same sentence's mean over all styles, so that words do not pass
for style; the distance of two styles is Cohen's d (1988) of what is left.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from antiphon.corpus.delivery import SPEEDS, STYLES, syllables
from antiphon.evaluation.metrics.prosody import contours, spearman
from antiphon.runtime.agent import Agent
from antiphon.runtime.events import Samples

APART = 1.0  # an effect size that a listener hears
_QUIET = -45.0  # dBFS below which a frame says nothing of how loud a voice is
FEATURES = ("pitch", "level", "tempo")

Say = Callable[[str, str | None, float | None, int], Samples]  # text, style, speed, seed


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Sounded(NamedTuple):
    """One sentence as it was said: ln Hz, dBFS, ln syllables a second."""

    pitch: float
    level: float
    tempo: float


class Pair(_Frozen):
    """How far two styles are apart, Cohen's d for each feature; b minus a."""

    a: str
    b: str
    pitch: float
    level: float
    tempo: float


class StyleMean(_Frozen):
    """What a style does to a voice: Hz, dBFS, and tempo relative to the mean of all styles."""

    style: str
    pitch: float
    level: float
    tempo: float


class Styles(_Frozen):
    """The report. told_apart: pairs that every feature tells apart (|d| > 1), of `pairs`.

    speed_followed: Spearman's rank correlation of the speeds asked for and the tempos measured.
    tempo_ratio: the fastest speed's tempo over the slowest's; asked_ratio: what was asked for.
    """

    bundle: str
    sentences: int
    unheard: int
    seed: int
    means: tuple[StyleMean, ...]
    pairs: tuple[Pair, ...]
    told_apart: int
    told_by_any: int
    smallest: float
    speed_followed: float | None
    tempo_ratio: float | None
    asked_ratio: float = max(SPEEDS) / min(SPEEDS)


def sounded(text: str, samples: Samples) -> Sounded | None:
    """A sentence's pitch, level and tempo, pauses left out; None where it cannot be heard.

    text: its words. samples: float32 [N] at 16 kHz.
    """
    found = contours(samples)
    if found is None or not (found.f0 > 0).any():
        return None
    silent = sum((end - start) for start, end in found.pauses) * found.seconds
    spoken = found.seconds - silent
    count = sum(syllables(word.strip(",.?!")) for word in text.split())
    loud = found.level[found.level > _QUIET]
    if spoken <= 0 or not len(loud):
        return None
    return Sounded(
        pitch=float(np.log(found.f0[found.f0 > 0]).mean()),
        level=float(loud.mean()),
        tempo=math.log(count / spoken),
    )


def measure(
    sentences: Sequence[str],
    say: Say,
    *,
    bundle: str,
    seed: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> Styles:
    """Say every sentence in every style, and neutrally at every speed, and hold them together."""
    told: list[dict[str, Sounded]] = []
    paced: list[tuple[float, float, float]] = []  # speed asked for, ln tempo, sentence
    unheard = 0
    for number, text in enumerate(sentences):
        said: dict[str, Sounded] = {}
        for style in STYLES:
            heard = sounded(text, say(text, style, 1.0, seed + number))
            advance()
            if heard is not None:
                said[style] = heard
            unheard += heard is None
        if len(said) == len(STYLES):
            told.append(said)
        for speed in SPEEDS:
            heard = sounded(text, say(text, "neutral", speed, seed + number))
            advance()
            if heard is not None:
                paced.append((speed, heard.tempo, number))
            unheard += heard is None
    pairs = tuple(_pairs(told))
    weakest = [min(abs(pair.pitch), abs(pair.level), abs(pair.tempo)) for pair in pairs]
    strongest = [max(abs(pair.pitch), abs(pair.level), abs(pair.tempo)) for pair in pairs]
    follows, ratio = _speeds(paced)
    return Styles(
        bundle=bundle,
        sentences=len(sentences),
        unheard=unheard,
        seed=seed,
        means=tuple(_means(told)),
        pairs=pairs,
        told_apart=sum(least > APART for least in weakest),
        told_by_any=sum(most > APART for most in strongest),
        smallest=min(weakest, default=0.0),
        speed_followed=follows,
        tempo_ratio=ratio,
    )


def with_agent(agent: Agent) -> Say:
    """Sentences said by an agent."""
    return lambda text, style, speed, seed: agent.say(text, seed=seed, style=style, speed=speed)


def _left(told: Sequence[dict[str, Sounded]], style: str, feature: str) -> list[float]:
    """A feature in one style, each sentence against its own mean over all styles."""
    return [
        float(getattr(said[style], feature))
        - float(np.mean([getattr(other, feature) for other in said.values()]))
        for said in told
    ]


def effect(a: Sequence[float], b: Sequence[float]) -> float:
    """Cohen's d of b over a, the standard deviation pooled; 0 for fewer than two of either."""
    if min(len(a), len(b)) < 2:
        return 0.0
    spread = math.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / 2)
    apart = float(np.mean(b) - np.mean(a))
    return apart / spread if spread > 0 else math.copysign(math.inf, apart) if apart else 0.0


def _pairs(told: Sequence[dict[str, Sounded]]) -> Iterator[Pair]:
    for a, b in itertools.combinations(STYLES, 2):
        by = {f: effect(_left(told, a, f), _left(told, b, f)) for f in FEATURES}
        yield Pair(a=a, b=b, **by)


def _means(told: Sequence[dict[str, Sounded]]) -> Iterator[StyleMean]:
    for style in STYLES:
        if told:
            yield StyleMean(
                style=style,
                pitch=math.exp(np.mean([said[style].pitch for said in told])),
                level=float(np.mean([said[style].level for said in told])),
                tempo=math.exp(np.mean(_left(told, style, "tempo"))),
            )


def _speeds(paced: Sequence[tuple[float, float, float]]) -> tuple[float | None, float | None]:
    """Whether tempo follows the speed: rank correlation within sentences, and the whole range."""
    middle = {
        number: float(np.mean([tempo for _, tempo, other in paced if other == number]))
        for number in {number for *_, number in paced}
    }
    asked = [speed for speed, *_ in paced]
    left = [tempo - middle[number] for _, tempo, number in paced]
    ends = [
        [tempo for speed, tempo in zip(asked, left, strict=True) if speed == end]
        for end in (min(SPEEDS), max(SPEEDS))
    ]
    if not all(ends):
        return None, None
    return spearman(asked, left), math.exp(float(np.mean(ends[1]) - np.mean(ends[0])))
