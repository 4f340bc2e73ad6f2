"""Utterances as the codec's training sees them: one long recording, its pitch, random cuts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.audio import FRAME, HOP, SAMPLE_RATE
from antiphon.codec.pitch import track
from antiphon.errors import CorpusError

Floats = NDArray[np.float32]

# The agent is silent most of a call, so silence around each utterance belongs to what is learnt.
_SILENCE = 25 * HOP


@dataclass(frozen=True, slots=True)
class Recording:
    """Utterances one after another with silence between them."""

    samples: Floats  # [M * 160]
    f0: Floats  # [M] Hz, 0 = unvoiced

    @classmethod
    def join(cls, utterances: Iterable[Floats]) -> Recording:
        """utterances: float32 [N] each, 16 kHz."""
        gap = np.zeros(_SILENCE, np.float32)
        pieces: list[Floats] = [gap]
        pitches: list[Floats] = [np.zeros(_SILENCE // HOP, np.float32)]
        for utterance in utterances:
            whole = np.concatenate([utterance.astype(np.float32, copy=False), gap])
            whole = whole[: len(whole) // HOP * HOP]
            pieces.append(whole)
            pitches.append(track(whole))
        return cls(np.concatenate(pieces), np.concatenate(pitches))

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    def cut(self, rng: np.random.Generator, frames: int) -> tuple[Floats, Floats]:
        """A random stretch: samples [frames * 1280], f0 [frames * 8]."""
        hops = frames * FRAME // HOP
        if len(self.f0) < hops:
            return self._padded(hops).cut(rng, frames)
        start = int(rng.integers(0, len(self.f0) - hops + 1))
        samples = self.samples[start * HOP : (start + hops) * HOP]
        return samples, self.f0[start : start + hops]

    def _padded(self, hops: int) -> Recording:
        """The same with silence behind it, `hops` long."""
        missing = hops - len(self.f0)
        return Recording(np.pad(self.samples, (0, missing * HOP)), np.pad(self.f0, (0, missing)))


def batch(
    recordings: Sequence[Recording],
    shares: Sequence[float],
    rng: np.random.Generator,
    rows: int,
    frames: int,
) -> tuple[Floats, Floats]:
    """samples [rows, frames * 1280] at -6 to +3 dB, f0 [rows, frames * 8]; shares sum to 1."""
    chosen = rng.choice(len(recordings), rows, p=shares)
    cuts = [recordings[int(index)].cut(rng, frames) for index in chosen]
    gain = 10 ** (rng.uniform(-6, 3, (rows, 1)) / 20)
    samples = np.stack([samples for samples, _ in cuts]) * gain.astype(np.float32)
    return samples, np.stack([f0 for _, f0 in cuts])


def collect(folder: Path, hours: float) -> tuple[list[Floats], list[Floats]]:
    """Utterances of the agent and of the callers from a corpus, about `hours` of the agent's.

    Returns (agent, others), float32 [N] each, in the corpus's order. Raises `CorpusError`.
    """
    from antiphon.corpus.disk import Corpus

    agent: list[Floats] = []
    others: list[Floats] = []
    left = hours * 3600 * SAMPLE_RATE
    for conversation in Corpus(folder):
        for event in conversation.events:
            if event.kind != "turn":
                continue
            start = max(0, round((event.start - 0.1) * SAMPLE_RATE))
            stop = round((event.end + 0.15) * SAMPLE_RATE)
            piece = conversation.audio[0 if event.speaker == "agent" else 1, start:stop]
            (agent if event.speaker == "agent" else others).append(piece.copy())
            left -= len(piece) if event.speaker == "agent" else 0
        if left <= 0:
            break
    if not agent:
        raise CorpusError(f"{folder}: no turn of the agent in this corpus; build it first")
    return agent, others
