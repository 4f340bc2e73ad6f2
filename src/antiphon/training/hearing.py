"""The hearing stage: the encoder alone, CTC over characters, on single turns of one side.

It warms the ears up before the whole network trains: cheap batches of speech without the
agent's side, synthetic callers from the corpus and real speech from manifests.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.audio.augment import change_speed
from antiphon.corpus.conversation import Speaker
from antiphon.corpus.edits import distance
from antiphon.corpus.tokenizer import normalise
from antiphon.model.encoder import Encoder
from antiphon.training.lines import strength
from antiphon.training.loop import Metrics
from antiphon.training.prepare import Flat
from antiphon.training.recordings import Recording
from antiphon.training.streams import CHARACTERS, SECONDS, spell

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Spoken:
    """One utterance: where its samples lie, and its words."""

    seconds: float
    text: str
    flat_start: int = -1  # first sample in the flat file
    recording: int = -1  # or a real recording's number


class Line(Protocol):
    """What speech goes through on its way to log-mel: `LineMel` is the callers'."""

    def __call__(
        self, samples: Sequence[Floats], length: int, level: float, rng: np.random.Generator
    ) -> Tensor:
        """samples: B arrays [<= length]; returns log-mel [B, length / 160, 80]."""
        ...


class HearingBatch(NamedTuple):
    """mel [B, T, 80]; targets concatenated; lengths [B]."""

    mel: Tensor
    lengths: Tensor  # of what CTC writes, for each row
    targets: Tensor
    target_lengths: Tensor
    seconds: float


class HearingObjective(nn.Module):
    """CTC loss of a batch (Graves et al. 2006)."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, batch: HearingBatch) -> Tensor:
        """The mean loss a character."""
        vectors, _ = self.encoder(batch.mel)
        return ctc(self.encoder.characters(vectors), batch)


def ctc(log_probabilities: Tensor, batch: HearingBatch) -> Tensor:
    """CTC a target character, mean over utterances; impossible alignments count nothing."""
    return F.ctc_loss(
        log_probabilities.transpose(0, 1),
        batch.targets,
        batch.lengths,
        batch.target_lengths,
        zero_infinity=True,
    )


def utterances(
    flat: Flat, recordings: Sequence[Recording], speaker: Speaker = "caller"
) -> list[Spoken]:
    """Every turn with words of one side of a prepared corpus, and every transcribed recording."""
    found: list[Spoken] = []
    for item in flat.items:
        for turn in item.turns(speaker):
            text = normalise(str(turn.data.get("text", "")))
            if text and not turn.data.get("recorded_without_text"):
                start = item.offset * FRAME + int(turn.start * SAMPLE_RATE)
                found.append(Spoken(turn.end - turn.start, text, flat_start=start))
    for number, recording in enumerate(recordings):
        if recording.text:
            seconds = len(recording.samples) / SAMPLE_RATE
            found.append(Spoken(seconds, recording.text, recording=number))
    return [u for u in found if 0.2 < u.seconds < 12.0]


class HearingTask:
    """Batches and validation of the hearing stage."""

    def __init__(
        self,
        encoder: Encoder,
        train: Flat,
        valid: Flat,
        recordings: Sequence[Recording],
        *,
        real_share: float,
        batch_seconds: float,
        seed: int,
        line: Line,
        speaker: Speaker = "caller",
        spread: float = 0.17,
    ) -> None:
        """spread: the speed changes by up to this much (in logarithm) at full strength."""
        self.network: nn.Module = HearingObjective(encoder)
        self.encoder = encoder
        self.flat, self.recordings = train, list(recordings)
        self.speaker, self.spread = speaker, spread
        spoken = sorted(utterances(train, recordings, speaker), key=lambda u: u.seconds)
        self.synthetic = [u for u in spoken if u.recording < 0]
        self.real = [u for u in spoken if u.recording >= 0]
        self.real_share = real_share if self.real else 0.0
        self.batch_seconds, self.seed, self.line = batch_seconds, seed, line
        self.valid_flat, self.valid = valid, utterances(valid, [], speaker)[:96]

    def batch(self, step: int, rank: int, progress: float) -> HearingBatch:
        """Utterances of like length, with silence before and after, on an augmented line."""
        rng = np.random.default_rng([self.seed, 1, step, rank])
        anchor = self.synthetic[int(rng.integers(len(self.synthetic)))].seconds
        # Long silences are the largest lesson of the first prototypes: an encoder that never
        # heard three seconds of nothing hears words in it.
        longest = float(rng.uniform(0.5, 3.5)) if rng.random() < 0.3 else 0.4
        count = max(2, int(self.batch_seconds / (anchor + longest + 0.3)))
        chosen: list[Spoken] = []
        for _ in range(count):
            pool = self.real if rng.random() < self.real_share else self.synthetic
            chosen.append(_near(pool, anchor, rng))
        level = strength(progress)
        return self._collate(chosen, self.flat, longest, level, rng)

    def _collate(
        self,
        chosen: Sequence[Spoken],
        flat: Flat,
        longest: float,
        level: float,
        rng: np.random.Generator,
    ) -> HearingBatch:
        rows: list[Floats] = []
        for utterance in chosen:
            x = self._samples(flat, utterance)
            spread = self.spread * level
            x = change_speed(x, float(np.exp(rng.uniform(-spread, spread))))
            before = np.zeros(int(rng.uniform(0.02, longest) * SAMPLE_RATE), np.float32)
            after = np.zeros(int(rng.uniform(0.32, longest + 0.1) * SAMPLE_RATE), np.float32)
            rows.append(np.concatenate([before, x, after]))
        length = -(-max(map(len, rows)) // FRAME) * FRAME
        mel = self.line(rows, length, level, rng)
        spelled = [spell(u.text) for u in chosen]
        written = self.encoder.config.written
        lengths = [written * -(-len(row) // FRAME) for row in rows]
        return HearingBatch(
            mel,
            torch.tensor(lengths),
            torch.tensor([i for ids in spelled for i in ids]),
            torch.tensor([len(ids) for ids in spelled]),
            length * len(rows) / SAMPLE_RATE,
        )

    def _samples(self, flat: Flat, utterance: Spoken) -> Floats:
        if utterance.recording >= 0:
            return self.recordings[utterance.recording].samples
        first = utterance.flat_start // FRAME
        frames = int(utterance.seconds / SECONDS) + 2
        x = (flat.agent if self.speaker == "agent" else flat.caller)(first, frames)
        begin = utterance.flat_start - first * FRAME
        return x[begin : begin + int(utterance.seconds * SAMPLE_RATE)]

    def loss(self, network: nn.Module, batch: HearingBatch) -> tuple[Tensor, Metrics]:
        """The CTC loss."""
        loss = network(batch)
        return loss, {"ctc": float(loss.detach()), "seconds": batch.seconds}

    def validate(self, network: nn.Module) -> Metrics:
        """Loss and character error rate, greedy, on clean held-out turns."""
        rng = np.random.default_rng([self.seed, 2])
        errors = characters = 0
        losses: list[float] = []
        for start in range(0, len(self.valid), 24):
            chosen = self.valid[start : start + 24]
            batch = self._collate(chosen, self.valid_flat, 0.4, 0.0, rng)
            vectors, _ = self.encoder(batch.mel.to(self.encoder.mean.device))
            log_probabilities = self.encoder.characters(vectors).cpu()
            losses.append(float(ctc(log_probabilities, batch)))
            for row, utterance in enumerate(chosen):
                heard = greedy(log_probabilities[row, : int(batch.lengths[row])])
                errors += distance(heard, utterance.text)
                characters += len(utterance.text)
        return {"ctc": sum(losses) / max(len(losses), 1), "cer": errors / max(characters, 1)}


def _near(pool: Sequence[Spoken], seconds: float, rng: np.random.Generator) -> Spoken:
    """One of the utterances whose length is close to `seconds`; the pool is sorted."""
    place = bisect.bisect_left(pool, seconds, key=lambda u: u.seconds)
    reach = max(8, len(pool) // 25)
    return pool[int(np.clip(place + rng.integers(-reach, reach + 1), 0, len(pool) - 1))]


def greedy(log_probabilities: Tensor) -> str:
    """The best path of CTC log-probabilities [T, characters]: repeats and blanks removed."""
    best = log_probabilities.argmax(-1)
    keep = torch.cat([torch.ones(1, dtype=torch.bool), best[1:] != best[:-1]]) & (best != 0)
    return " ".join("".join(CHARACTERS[int(i) - 1] for i in best[keep]).split())
