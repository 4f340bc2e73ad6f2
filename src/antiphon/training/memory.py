"""The memory stage: calls from words alone, on conversations that nobody speaks.

A call copies what was heard, and what was heard is text by then: so copying can be learnt from
text, millions of events an hour, and every batch is new. What was written of the caller comes in
wrong now and then, as ears have it.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from antiphon.audio import FRAME
from antiphon.corpus.build import Split, imagine
from antiphon.corpus.calls import CallVocabulary
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.tokenizer import Tokenizer
from antiphon.model.config import END, PAD
from antiphon.model.memory import WordMemory
from antiphon.training.loop import Metrics
from antiphon.training.streams import Ints, Streams, Timing, align

_HELD_OUT = 300  # conversations that calls are validated on
_SAYING = 0.2  # weight of the agent's next piece: replies say what calls hold
_DROPPED = 0.4  # of the pieces that come in wrong
_POOL = 4  # batches that share their conversations out by length


class Words(NamedTuple):
    """The text streams of a conversation where anything is in them, [events]."""

    heard: Ints
    text: Ints
    call: Ints


class MemoryBatch(NamedTuple):
    """B conversations of T events, padded at the end; all int64 [B, T].

    said, heard, called: what happened in each event. text, call: what comes in the next.
    """

    said: Tensor
    heard: Tensor
    called: Tensor
    text: Tensor
    call: Tensor


class MemoryObjective(nn.Module):
    """Cross-entropy of every next token of a call, and of the agent's next pieces beside it."""

    def __init__(self, memory: WordMemory) -> None:
        super().__init__()
        self.memory = memory

    def forward(self, batch: MemoryBatch) -> dict[str, Tensor]:
        """`call` and `text` in nats a token, and `loss`."""
        now = self.memory(batch.said, batch.heard, batch.called)
        calls, texts = batch.call != PAD, batch.text != PAD
        # That there is a token is given: when to call is not the memory's to say.
        logits = self.memory.call_head(now[calls])[:, 1:]
        call = F.cross_entropy(logits.float(), batch.call[calls] - 1)
        written = F.linear(now[texts], self.memory.said.weight)[:, 1:]
        text = F.cross_entropy(written.float(), batch.text[texts] - 1)
        return {"loss": call + _SAYING * text, "call": call, "text": text}


class MemoryTask:
    """Batches and validation of the memory stage."""

    def __init__(
        self,
        memory: WordMemory,
        scenario: Scenario,
        tokenizer: Tokenizer,
        timing: Timing,
        *,
        conversations: int,
        misheard: float,
        seed: int,
    ) -> None:
        """conversations: in a batch. misheard: share of the heard pieces that come in wrong."""
        self.network: nn.Module = MemoryObjective(memory)
        self.memory, self.tokenizer = memory, tokenizer
        self.scenario, self.timing = scenario, timing
        self.conversations, self.misheard, self.seed = conversations, misheard, seed
        self.calls: CallVocabulary = scenario.call_vocabulary
        self._pool: tuple[int, int, list[Words], Ints] | None = None

    def batch(self, step: int, rank: int, progress: float) -> MemoryBatch:
        """New conversations in which something is called, of like length."""
        del progress
        if self._pool is None or self._pool[:2] != (step // _POOL, rank):
            key = [self.seed, 6, step // _POOL, rank]
            found = self._imagined("train", " ".join(map(str, key)), self.misheard)
            pool = [next(found) for _ in range(self.conversations * _POOL)]
            pool.sort(key=lambda words: len(words.call))
            order = np.random.default_rng(key).permutation(_POOL)
            self._pool = step // _POOL, rank, pool, order
        _, _, pool, order = self._pool
        at = int(order[step % _POOL]) * self.conversations
        return _collate(pool[at : at + self.conversations])

    def loss(self, network: nn.Module, batch: MemoryBatch) -> tuple[Tensor, Metrics]:
        """The sum, and its terms."""
        terms: dict[str, Tensor] = network(batch)
        events = (batch.said != PAD) | (batch.heard != PAD) | (batch.called != PAD)
        figures = {name: float(terms[name].detach()) for name in ("call", "text")}
        return terms["loss"], {**figures, "events": float(events.sum())}

    def validate(self, network: nn.Module) -> Metrics:
        """Share of the calls of held-out conversations that are right, token for token."""
        del network
        found = self._imagined("valid", "held out", 0.0)
        right = total = 0
        for _ in range(_HELD_OUT // self.conversations + 1):
            batch = _collate([next(found) for _ in range(self.conversations)])
            now = self.memory(batch.said, batch.heard, batch.called)
            best = self.memory.call_head(now)[..., 1:].argmax(-1) + 1
            ended = batch.call == END
            number = ended.cumsum(1) - ended.long()  # of the call that a token belongs to
            errors = ((batch.call != PAD) & (batch.call != best)).long()
            wrong = torch.zeros_like(number).scatter_add(1, number, errors)
            right += int((wrong.gather(1, number)[ended] == 0).sum())
            total += int(ended.sum())
        return {"calls_right": right / max(total, 1), "calls": float(total)}

    def _imagined(self, split: Split, key: str, misheard: float) -> Iterator[Words]:
        rng, chance = random.Random(key), np.random.default_rng(zlib.crc32(key.encode()))
        while True:
            made = imagine(self.scenario, split, rng)
            frames = made.audio.shape[1] // FRAME
            streams = align(
                frames, made.words, made.events, self.tokenizer, self.calls, self.timing
            )
            if streams.call.any():
                heard = self._misheard(streams, misheard, chance)
                happens = (streams.text != PAD) | (heard != PAD) | (streams.call != PAD)
                yield Words(heard[happens], streams.text[happens], streams.call[happens])

    def _misheard(self, streams: Streams, share: float, rng: np.random.Generator) -> Ints:
        """What ears might have written of the caller."""
        heard = streams.caller_text
        wrong = (heard != PAD) & (rng.random(len(heard)) < share)
        # Now and then something is written where nothing was said.
        wrong |= (streams.voice > 0) & (rng.random(len(heard)) < share / 8)
        other = rng.integers(END + 1, self.tokenizer.size, size=len(heard))
        other[rng.random(len(heard)) < _DROPPED] = PAD
        return np.where(wrong, other, heard)


def _collate(words: Sequence[Words]) -> MemoryBatch:
    """Conversations as one batch; what happens in an event is known in the next."""
    longest = max(len(each.call) for each in words)

    def stack(name: str) -> Tensor:
        out = np.zeros((len(words), longest + 1), dtype=np.int64)
        for row, each in enumerate(words):
            stream = getattr(each, name)
            out[row, 1 : len(stream) + 1] = stream
        return torch.from_numpy(out)

    heard, text, call = (stack(name) for name in Words._fields)
    return MemoryBatch(text[:, :-1], heard[:, :-1], call[:, :-1], text[:, 1:], call[:, 1:])
