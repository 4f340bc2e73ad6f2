"""Sampled exchanges: the given past once, then many futures of it side by side.

It decides as `antiphon.model.step.FrameStep` does, but samples calls too, can be given a past, and
tells afterwards how likely every decision was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from antiphon.audio import FRAME
from antiphon.corpus.calls import CallDecoder, CallVocabulary
from antiphon.corpus.delivery import FREE
from antiphon.model.config import END, PAD, POSITIONS
from antiphon.model.duplex import Duplex, Heads, Own, recent_pieces
from antiphon.model.state import State, keep_idle
from antiphon.training.lines import LineMel
from antiphon.training.prepare import Flat
from antiphon.training.streams import Timing
from antiphon.training.tune_scenes import Scene

_NEVER = 1e4  # nats: out of the question


class Heat(NamedTuple):
    """Temperatures: of text and calls, and of the codes; 0 takes the likeliest."""

    decisions: float
    codes: float


class Rolled(NamedTuple):
    """R rows of T frames, each row from its scene's start; what lies past its end is padding.

    text, heard, call: int64 [R, T]; codes: int64 [R, T, codebooks]; legal: bool [R, T, calls];
    free: bool [R, T], the frames in which the network decided itself; control: int64 [R, 2].
    """

    text: Tensor
    heard: Tensor
    call: Tensor
    codes: Tensor
    legal: Tensor
    free: Tensor
    control: Tensor

    def lists(self) -> tuple[list[list[int]], list[list[int]]]:
        """Text and call, a list of frames for each row."""
        lists: list[Any] = [self.text.tolist(), self.call.tolist()]
        return lists[0], lists[1]

    def own(self) -> Own:
        """As the network's input: what was done in a frame is known in the next."""
        return Own(
            _later(self.text),
            _later(self.heard),
            _later(self.call),
            _later(self.codes + 1),
            self.control,
        )


class Decided(NamedTuple):
    """Log-probabilities: text [R, T, pieces] given the call that was made, call [R, T, calls]."""

    text: Tensor
    call: Tensor


def _later(x: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)


def call_scores(heads: Heads, quiet: Tensor, legal: Tensor, timing: Timing) -> Tensor:
    """Logits of the call; quiet [...]: the agent's turn is over, or none has begun."""
    scores = _waiting_less(heads.call, timing.eagerness * quiet)
    return scores.masked_fill(~legal, -_NEVER)


def text_scores(heads: Heads, quiet: Tensor, call: Tensor, timing: Timing) -> Tensor:
    """Logits of the text, given the call that was just decided [...]."""
    told = quiet & (call != PAD)
    scores = _waiting_less(heads.text, timing.eagerness * quiet + _NEVER * told)
    if timing.yielding:
        more = timing.yielding * heads.voice.detach().sigmoid() * ~quiet
        ending = torch.zeros(scores.shape[-1], device=scores.device, dtype=scores.dtype)
        ending[END] = 1.0
        scores = scores + more[..., None] * ending
    return scores


def _waiting_less(logits: Tensor, nats: Tensor) -> Tensor:
    return torch.cat([logits[..., :1] - nats[..., None], logits[..., 1:]], dim=-1)


def decided(heads: Heads, rolled: Rolled, timing: Timing, heat: float) -> Decided:
    """How likely everything was that could have been decided, at temperature `heat`."""
    ids, _ = recent_pieces(_later(rolled.text))
    quiet = ids[..., 0] <= END
    call = call_scores(heads, quiet, rolled.legal, timing)
    text = text_scores(heads, quiet, rolled.call, timing)
    return Decided(
        (text.float() / heat).log_softmax(-1),
        (call.float() / heat).log_softmax(-1),
    )


@torch.no_grad()
def heard_of(
    duplex: Duplex,
    scenes: Sequence[Scene],
    flat: Flat,
    line: LineMel,
    level: float,
    rng: np.random.Generator,
) -> Tensor:
    """The callers of scenes on an augmented line, silence after them, encoded: [N, 2 T, C]."""
    samples = [scene.samples(flat) for scene in scenes]
    longest = max(scene.frames for scene in scenes)
    mel = line(samples, longest * FRAME, level, rng, spectral_masks=False)
    vectors, _ = duplex.encoder(mel.to(next(duplex.parameters()).device))
    return vectors


@torch.no_grad()
def roll(
    duplex: Duplex,
    scenes: Sequence[Scene],
    vectors: Tensor,
    flat: Flat,
    calls: CallVocabulary,
    timing: Timing,
    heat: Heat,
    *,
    group: int = 1,
    seed: int = 0,
) -> Rolled:
    """`group` futures of every scene, those of one scene next to each other.

    vectors: what the encoder heard of the scenes' callers [N, 2 T, C] (`heard_of`), T the
    longest scene's frames; it depends on nothing that the agent does.
    """
    device = next(duplex.parameters()).device
    frames, sizes = vectors.shape[1] // POSITIONS, duplex.config
    rows = len(scenes) * group
    past = _past(scenes, flat, frames, sizes.codebooks, device)
    given = torch.tensor([scene.prefix for scene in scenes], device=device)
    state, heard = _listen(duplex, vectors, past, given)
    state = {name: value.repeat_interleave(group, 0) for name, value in state.items()}
    vectors, given = vectors.repeat_interleave(group, 0), given.repeat_interleave(group, 0)
    text, call, codes, control = (x.repeat_interleave(group, 0) for x in past)
    heard = heard.repeat_interleave(group, 0)
    legal = torch.ones(rows, frames, sizes.call_vocabulary, dtype=torch.bool, device=device)
    free = torch.zeros(rows, frames, dtype=torch.bool, device=device)
    each = [scene for scene in scenes for _ in range(group)]
    decoders = [_after(calls, scene.call().tolist()) for scene in each]
    for row, scene in enumerate(each):
        free[row, scene.prefix : scene.frames] = True
    generator = torch.Generator().manual_seed(seed)
    every = torch.arange(rows, device=device)
    for s in range(max(scene.frames - scene.prefix for scene in scenes)):
        at = (given + s).clamp(max=frames - 1)
        mind, network = duplex.trunk_step(_frame(vectors, at), control, state)
        heads = duplex.heads(mind)
        now = torch.from_numpy(np.stack([d.mask() for d in decoders])).to(device)
        quiet = state["recent.pieces"][:, 0] <= END
        noise = _gumbel((rows, sizes.call_vocabulary), generator, device)
        made = _pick(call_scores(heads, quiet, now, timing), noise, heat.decisions)
        noise = _gumbel((rows, sizes.text_vocabulary), generator, device)
        said = _pick(text_scores(heads, quiet, made, timing), noise, heat.decisions)
        noises = _gumbel((rows, sizes.codebooks, sizes.codebook_size), generator, device)

        def pick(logits: Tensor, book: int, noises: Tensor = noises) -> Tensor:
            return _pick(logits, noises[:, book], heat.codes)

        sounded = duplex.depth.sample(mind.z, said, pick)
        wrote = heads.caller_text.argmax(-1)
        state = {**network, **duplex.remember(state, said, wrote, made, sounded)}
        for decoder, token in zip(decoders, cast("list[int]", made.tolist()), strict=True):
            decoder.push(token)
        inside = every[given + s < frames]
        for stream, value in ((text, said), (heard, wrote), (call, made), (codes, sounded)):
            stream[inside, at[inside]] = value[inside]
        legal[inside, at[inside]] = now[inside]
    beyond = torch.arange(frames, device=device) >= torch.tensor(
        [[scene.frames] for scene in each], device=device
    )
    text, call = text.masked_fill(beyond, PAD), call.masked_fill(beyond, PAD)
    return Rolled(text, heard, call, codes, legal, free, control)


class _Past(NamedTuple):
    text: Tensor
    call: Tensor
    codes: Tensor
    control: Tensor


def _past(
    scenes: Sequence[Scene], flat: Flat, frames: int, codebooks: int, device: torch.device
) -> _Past:
    """What is given of every scene, nothing after it."""
    text = np.zeros((len(scenes), frames), dtype=np.int64)
    call, codes = text.copy(), np.zeros((*text.shape, codebooks), dtype=np.int64)
    control = np.full((len(scenes), 2), FREE, dtype=np.int64)
    for row, scene in enumerate(scenes):
        text[row, : scene.prefix], call[row, : scene.prefix] = scene.text(), scene.call()
        codes[row, : scene.prefix] = scene.codes(flat, codebooks)
        streams = scene.example.streams
        if streams.directed:
            control[row] = streams.delivery.control
    return _Past(*(torch.from_numpy(x).to(device) for x in (text, call, codes, control)))


def _listen(duplex: Duplex, vectors: Tensor, past: _Past, given: Tensor) -> tuple[State, Tensor]:
    """The state after what is given of every scene; they end together, so they begin one by one.

    Also what the network wrote of the caller, [N, T].
    """
    longest = int(given.max())
    state = {
        name: value.to(given.device)
        for name, value in duplex.initial_state(len(given)).items()
        if not name.startswith("encoder.")
    }
    heard = torch.zeros_like(past.text)
    rows = torch.arange(len(given), device=given.device)
    for p in range(longest):
        at = p - longest + given
        active, at = at >= 0, at.clamp(min=0)
        mind, network = duplex.trunk_step(_frame(vectors, at), past.control, state)
        wrote = duplex.heads(mind).caller_text.argmax(-1)
        new = duplex.remember(
            state, past.text[rows, at], wrote, past.call[rows, at], past.codes[rows, at]
        )
        state = keep_idle({**network, **new}, state, active)
        heard[rows[active], at[active]] = wrote[active]
    return state, heard


def _frame(vectors: Tensor, at: Tensor) -> Tensor:
    """Frame at [R] of vectors [R, 2 T, C]: [R, 2, C]."""
    places = at[:, None] * POSITIONS + torch.arange(POSITIONS, device=vectors.device)
    return vectors.gather(1, places[..., None].expand(-1, -1, vectors.shape[2]))


def _after(calls: CallVocabulary, given: Sequence[int]) -> CallDecoder:
    """A decoder that has read what was given, but for what is left of a call cut at its front."""
    decoder = calls.decoder()
    for token in given:
        if not decoder.mask()[token]:
            decoder.reset()
        if decoder.mask()[token]:
            decoder.push(token)
    return decoder


def _gumbel(shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
    uniform = torch.rand(shape, generator=generator).clamp(1e-7, 1 - 1e-7)
    return (-torch.log(-torch.log(uniform))).to(device)


def _pick(logits: Tensor, noise: Tensor, heat: float) -> Tensor:
    return (logits + heat * noise).argmax(-1)
