"""The duplex stage: all streams at once on two-channel conversations.

One batch trains dialogue (agent text, call, codes), recognition (caller text, CTC) and
speaking (codes given text), since every conversation holds all three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from antiphon.audio import FRAME
from antiphon.corpus.calls import CallVocabulary
from antiphon.corpus.delivery import FREE
from antiphon.corpus.tokenizer import Tokenizer
from antiphon.model.config import PAD, ModelConfig
from antiphon.model.duplex import Duplex, Mind, Own
from antiphon.training.lines import LineMel, strength
from antiphon.training.loop import Metrics
from antiphon.training.prepare import Flat, Item
from antiphon.training.rollout import Rollout
from antiphon.training.streams import LISTENING, SECONDS, Streams, Timing, align, spell

_AT_ONCE = 0.4  # share of the short calls that lose much or all of the silence they begin with


class LossConfig(BaseModel):
    """Weights of the losses; each term is a mean in nats before it is weighted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: float = 1.0
    text_pad: float = 0.5  # of a PAD frame, relative to a piece
    call: float = 1.0
    call_pad: float = 0.2
    caller_text: float = 0.5
    caller_pad: float = 0.3
    codes: float = 1.0
    code_weights: tuple[float, ...] = (1.5, 0.6, 3.0, 1.8, 0.8, 0.5)
    ctc: float = 0.3
    light: float = 0.1
    tone: float = 0.1  # of the caller's tone, a light head whose weight is its own
    silence: float = 0.12  # share of the agent's silent frames whose codes are trained on
    corrupt: float = 0.1  # share of frames whose own codes come in wrong, as after a bad sample
    deaf: float = 0.2  # share of conversations in which nothing written of the caller comes back
    told: float = 0.2  # share of conversations that tell the style, the speed, or both
    read: float = 0.0
    """Share of conversations of which nothing is heard but what is written of the caller: there
    a call can only be copied from that, which is what it should mostly be."""
    misheard: float = 0.1  # share of the other pieces written of the caller that come back wrong


class DuplexBatch(NamedTuple):
    """B crops of T frames, padded at the end. All [B, T] but mel and codes; int64."""

    mel: Tensor  # [B, 8 T, 80]
    own: Own
    text: Tensor
    caller_text: Tensor
    call: Tensor
    codes: Tensor  # [B, T, codebooks]
    voice: Tensor
    turn: Tensor
    tone: Tensor  # -1: unknown
    pitch: Tensor  # float: the caller's log2(Hz / 100), 0 where unvoiced
    energy: Tensor  # float
    valid: Tensor  # bool
    speak: Tensor  # bool: frames whose codes are trained on
    late: Tensor  # bool: frames whose text is not
    read: Tensor  # [B] bool: conversations of which no sound comes in
    spelled: Tensor  # CTC targets, concatenated
    spelled_lengths: Tensor  # [B]
    positions: Tensor  # [B] of what CTC writes
    seconds: float


class DuplexObjective(nn.Module):
    """The weighted losses of a batch."""

    weights: Tensor

    def __init__(self, duplex: Duplex, config: LossConfig) -> None:
        super().__init__()
        self.duplex, self.config = duplex, config
        weights = torch.tensor(config.code_weights[: duplex.config.codebooks])
        self.register_buffer("weights", weights / weights.mean())

    def forward(self, batch: DuplexBatch) -> dict[str, Tensor]:
        """Every term unweighted but for `loss`, their weighted sum."""
        config, duplex = self.config, self.duplex
        vectors, _ = duplex.encoder(batch.mel)
        z = duplex.trunk(vectors.masked_fill(batch.read[:, None, None], 0.0), batch.own)
        # The memory of words has its own lesson (training.memory). Taught together, on voices that
        # the ears know well, the trunk is trusted too much on those that they do not.
        heads = duplex.heads(Mind(z, z[..., :0]))
        with torch.no_grad():
            called = duplex.call_scores(Mind(z, duplex.words(batch.own))).argmax(-1)
        valid, heard = batch.valid, batch.valid & ~batch.read[:, None]
        text = _stream_loss(heads.text, batch.text, valid & ~batch.late, config.text_pad)
        caller = _stream_loss(heads.caller_text, batch.caller_text, heard, config.caller_pad)
        call = _stream_loss(heads.call, batch.call, valid, config.call_pad)
        spoken = batch.speak & valid
        logits = duplex.depth(z[spoken], batch.text[spoken], batch.codes[spoken])
        codes = F.cross_entropy(
            logits.float().flatten(0, 1), batch.codes[spoken].flatten(), reduction="none"
        ).view(-1, self.weights.shape[0])
        recognised = duplex.encoder.characters(vectors)
        ctc = F.ctc_loss(
            recognised.transpose(0, 1),
            batch.spelled,
            batch.positions,
            batch.spelled_lengths,
            zero_infinity=True,
        )
        right = (heads.text.argmax(-1) == batch.text) & (called == batch.call)
        told = batch.tone.masked_fill(~heard, -1)
        tone = F.cross_entropy(
            heads.tone.float().flatten(0, 1), told.flatten(), ignore_index=-1, reduction="sum"
        ) / (told >= 0).sum().clamp(min=1)
        light = (
            _binary(heads.voice, batch.voice, heard)
            + F.cross_entropy(heads.turn.float()[valid], batch.turn[valid])
            + (heads.energy.float() - batch.energy)[heard].abs().mean()
            + _binary(heads.confidence, right, valid)
            + _pitch_loss(heads.pitch.float(), batch.pitch * heard)
        )
        loss = (
            config.text * text
            + config.caller_text * caller
            + config.call * call
            + config.codes * (codes * self.weights).mean()
            + config.ctc * ctc
            + config.light * light
            + config.tone * tone
        )
        return {
            "loss": loss,
            "text": text,
            "caller": caller,
            "call": call,
            "codes": codes.mean(),
            "pitch1": codes[:, 0].mean(),
            "timbre1": codes[:, 2].mean(),
            "ctc": ctc,
            "light": light,
            "tone": tone,
        }


def _stream_loss(logits: Tensor, target: Tensor, valid: Tensor, pad: float) -> Tensor:
    """Cross-entropy [B, T] over a sparse stream: a piece counts 1, a PAD frame `pad`.

    Normalised by the number of frames over four, so that streams keep their weight whatever
    the share of pieces in a batch.
    """
    each = F.cross_entropy(logits.float().flatten(0, 1), target.flatten(), reduction="none")
    weight = torch.where(target.flatten() == PAD, pad, 1.0) * valid.flatten()
    return (each * weight).sum() / (valid.sum() / 4)


def _pitch_loss(heard: Tensor, pitch: Tensor) -> Tensor:
    """Mean absolute error in octaves over voiced frames [B, T]."""
    voiced = pitch != 0
    return ((heard - pitch).abs() * voiced).sum() / voiced.sum().clamp(min=1)


def _binary(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits.float()[valid], target[valid].float())


@dataclass(frozen=True)
class Example:
    """A prepared conversation with its streams."""

    item: Item
    streams: Streams


class DuplexTask:
    """Batches and validation of the duplex stage."""

    def __init__(
        self,
        duplex: Duplex,
        train: Flat,
        tokenizer: Tokenizer,
        calls: CallVocabulary,
        timing: Timing,
        losses: LossConfig,
        *,
        rollout: Rollout,
        batch_seconds: float,
        longest: int,
        seed: int,
        line: LineMel,
        single_share: float = 0.5,
    ) -> None:
        self.network: nn.Module = DuplexObjective(duplex, losses)
        self.duplex, self.flat, self.losses, self.line = duplex, train, losses, line
        self.rollout, self.batch_seconds, self.longest = rollout, batch_seconds, longest
        self.seed = seed
        examples = [
            Example(item, align(item.frames, item.words, item.events, tokenizer, calls, timing))
            for item in train.items
        ]
        self.examples = sorted(examples, key=lambda e: e.item.frames)

    def batch(self, step: int, rank: int, progress: float) -> DuplexBatch:
        """Conversations of like length; longer ones than `longest` frames are cut at a turn."""
        rng = np.random.default_rng([self.seed, 3, step, rank])
        place = int(rng.integers(len(self.examples)))
        frames = min(self.examples[place].item.frames, self.longest)
        count = max(2, int(self.batch_seconds / (frames * SECONDS)))
        reach = max(count, len(self.examples) // 30)
        places = np.clip(
            place + rng.integers(-reach, reach + 1, size=count), 0, len(self.examples) - 1
        )
        crops = [_crop(self.examples[int(p)], self.longest, rng) for p in places]
        return collate(
            crops,
            self.flat,
            self.duplex.config,
            self.losses,
            self.line,
            strength(progress),
            rng,
        )

    def loss(self, network: nn.Module, batch: DuplexBatch) -> tuple[Tensor, Metrics]:
        """The weighted sum, and every term."""
        terms: dict[str, Tensor] = network(batch)
        figures = {key: float(value.detach()) for key, value in terms.items() if key != "loss"}
        return terms["loss"], {**figures, "seconds": batch.seconds}

    def validate(self, network: nn.Module) -> Metrics:
        """The task: are the calls of held-out conversations exactly right?"""
        return self.rollout.run(self.duplex)


@dataclass(frozen=True)
class Crop:
    """`frames` frames of an example from `start` on."""

    example: Example
    start: int
    frames: int


def _crop(example: Example, longest: int, rng: np.random.Generator) -> Crop:
    total = example.item.frames
    if total <= longest:
        # Some callers speak from the first frame on.
        first = next(example.item.turns("caller"), None)
        lead = int(first.start / SECONDS) if first and rng.random() < _AT_ONCE else 0
        start = int(rng.integers(lead // 2, lead + 1))
        return Crop(example, start, total - start)
    starts = [
        max(0, int(turn.start / SECONDS) - int(rng.integers(1, 12)))
        for turn in example.item.turns("caller")
    ]
    starts = [s for s in starts if s + longest // 3 < total] or [0]
    start = starts[int(rng.integers(len(starts)))]
    return Crop(example, start, min(longest, total - start))


def collate(
    crops: Sequence[Crop],
    flat: Flat,
    sizes: ModelConfig,
    losses: LossConfig,
    line: LineMel,
    level: float,
    rng: np.random.Generator,
) -> DuplexBatch:
    """Crops to one padded batch."""
    rows, longest = len(crops), max(crop.frames for crop in crops)
    codebooks = sizes.codebooks

    def stack(name: str, fill: int = 0) -> torch.Tensor:
        out = np.full((rows, longest), fill, dtype=np.int64)
        for row, crop in enumerate(crops):
            stream = getattr(crop.example.streams, name)
            out[row, : crop.frames] = stream[crop.start : crop.start + crop.frames]
        return torch.from_numpy(out)

    heard = np.zeros((rows, longest, codebooks), dtype=np.int64)  # codes of the frame just played
    next_codes = np.zeros((rows, longest, codebooks), dtype=np.int64)
    valid = np.zeros((rows, longest), dtype=bool)
    energy = np.zeros((rows, longest), dtype=np.float32)
    pitch = np.zeros((rows, longest), dtype=np.float32)
    samples: list[np.ndarray] = []
    agent: list[np.ndarray] = []
    spelled: list[list[int]] = []
    for row, crop in enumerate(crops):
        at = crop.example.item.offset + crop.start
        codes = flat.codes(at, crop.frames, codebooks)
        heard[row, 1 : crop.frames] = codes[1:] + 1  # 0: the call begins
        next_codes[row, : crop.frames - 1] = codes[1:]
        valid[row, : crop.frames - 1] = True
        x = flat.caller(at, crop.frames)
        power = np.sqrt(np.mean(x.reshape(crop.frames, FRAME) ** 2, axis=1))
        energy[row, : crop.frames] = np.log10(power + 1e-4) + 2
        pitch[row, : crop.frames] = flat.pitch(at, crop.frames)
        samples.append(x)
        agent.append(flat.agent(at, crop.frames))
        spelled.append(spell(_said(crop)))
    wrong = rng.random((rows, longest)) < losses.corrupt
    wrong &= heard[..., 0] > 0
    noise = rng.integers(1, sizes.codebook_size + 1, size=heard.shape)
    heard = np.where(wrong[..., None], noise, heard)
    mel = line(samples, longest * FRAME, level, rng, agent)
    caller_text = stack("caller_text")
    text, call = stack("text"), stack("call")
    turn = stack("turn")
    speak = (turn != LISTENING) | (torch.from_numpy(rng.random((rows, longest))) < losses.silence)
    before = torch.zeros(rows, 1, dtype=torch.int64)
    read = torch.from_numpy(rng.random(rows) < losses.read) if losses.read else before[:, 0] > 0
    if read.all():
        read[0] = False  # something is heard in every batch
    written = torch.where(read[:, None], caller_text, _misheard(caller_text, sizes, losses, rng))
    return DuplexBatch(
        mel=mel,
        own=Own(
            torch.cat([before, text[:, :-1]], 1),
            torch.cat([before, written[:, :-1]], 1),
            torch.cat([before, call[:, :-1]], 1),
            torch.from_numpy(heard),
            torch.tensor([_told(crop.example.streams, losses.told, rng) for crop in crops]),
        ),
        text=text,
        caller_text=caller_text,
        call=call,
        codes=torch.from_numpy(next_codes),
        voice=stack("voice"),
        turn=turn,
        tone=stack("tone", -1),
        pitch=torch.from_numpy(pitch),
        energy=torch.from_numpy(energy),
        valid=torch.from_numpy(valid),
        speak=speak,
        late=stack("late") > 0,
        read=read,
        spelled=torch.tensor([i for ids in spelled for i in ids], dtype=torch.int64),
        spelled_lengths=torch.tensor([len(ids) for ids in spelled]),
        positions=torch.tensor([sizes.encoder.written * crop.frames for crop in crops]),
        seconds=rows * longest * SECONDS,
    )


def _told(streams: Streams, share: float, rng: np.random.Generator) -> tuple[int, int]:
    """The control of a conversation: it is always told what nothing in it would tell."""
    style, speed = streams.delivery.control
    tells = rng.random(2) < share
    if streams.directed:
        return style, speed
    return style if tells[0] else FREE, speed if tells[1] else FREE


def _misheard(
    caller_text: Tensor, sizes: ModelConfig, losses: LossConfig, rng: np.random.Generator
) -> Tensor:
    """What comes back of the caller's text [B, T]: it can be wrong, so the sound must count."""
    wrong = torch.from_numpy(rng.random(caller_text.shape) < losses.misheard)
    other = torch.from_numpy(rng.integers(0, sizes.text_vocabulary, size=caller_text.shape))
    dropped = torch.from_numpy(rng.random(caller_text.shape) < 0.5)
    instead = torch.where(dropped, PAD, other)
    heard = torch.where(wrong & (caller_text != PAD), instead, caller_text)
    deaf = torch.from_numpy(rng.random(len(caller_text)) < losses.deaf)
    return torch.where(deaf[:, None], PAD, heard)


def _said(crop: Crop) -> str:
    """The caller's words that begin inside a crop."""
    first, last = crop.start * SECONDS, (crop.start + crop.frames) * SECONDS
    words = (w for w in crop.example.item.words if w.speaker == "caller")
    return " ".join(w.text for w in words if first <= w.start and w.end <= last)
