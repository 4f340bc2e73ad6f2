"""The duplex network: what the caller's line carries and what the agent did so far, to the
next frame of every stream.

At step t the network has heard the caller's frame t and knows the agent's frame t; it
decides the agent's frame t + 1. The agent's text runs ahead of its audio, the caller's text
a few frames behind; both are data, not structure (antiphon.training.streams).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from antiphon.model.backbone import Backbone
from antiphon.model.config import PAD, TONES, TURN_STATES, ModelConfig
from antiphon.model.depth import DepthHead
from antiphon.model.encoder import POSITIONS, Encoder
from antiphon.model.state import State, prefixed, scope

RECENT = 3  # text pieces that the network is reminded of
OLDEST = 24  # frames; ages are clamped here


class Own(NamedTuple):
    """What the agent did: text [B, T], call [B, T], codes [B, T, codebooks].

    Codes are stored plus one; 0 is "before the call began".
    """

    text: Tensor
    call: Tensor
    codes: Tensor


class Heads(NamedTuple):
    """Everything the trunk predicts for a frame, each [..., n] logits or [...] values."""

    text: Tensor
    caller_text: Tensor
    call: Tensor
    voice: Tensor  # logit: the caller is speaking
    turn: Tensor  # logits over TURN_STATES
    tone: Tensor  # logits over TONES
    pitch: Tensor  # caller's log2(Hz / 100), meaningful while voiced
    energy: Tensor  # caller's level, dB / 20
    confidence: Tensor  # logit: what the text and call heads say is right


def recent_pieces(text: Tensor) -> tuple[Tensor, Tensor]:
    """The last RECENT pieces up to and with each frame, newest first, and their ages.

    text: [B, T]; returns ids and ages (frames, clamped to OLDEST), both [B, T, RECENT]; a
    piece that never was is PAD at age OLDEST.
    """
    time = torch.arange(text.shape[1], device=text.device).expand_as(text)
    newest = torch.where(text != PAD, time, -1).cummax(dim=1).values
    before = torch.cat([torch.full_like(newest[:, :1], -1), newest[:, :-1]], dim=1)
    places = [newest]
    for _ in range(RECENT - 1):
        last = places[-1]
        places.append(torch.where(last >= 0, before.gather(1, last.clamp(min=0)), -1))
    where = torch.stack(places, dim=-1)
    ids = text.gather(1, where.clamp(min=0).flatten(1)).view_as(where)
    ages = (time[..., None] - where).clamp(max=OLDEST)
    exists = where >= 0
    return torch.where(exists, ids, PAD), torch.where(exists, ages, OLDEST)


class Duplex(nn.Module):
    """Encoder, backbone and heads; the codec's decoder and sampling stand in `FrameStep`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width = config.backbone.hidden_size
        self.encoder = Encoder(config.encoder, config.characters)
        self.hear = nn.Linear(POSITIONS * config.encoder.width, width)
        self.text = nn.Embedding(config.text_vocabulary, width)
        self.recent = nn.ModuleList(
            nn.Embedding(config.text_vocabulary, width) for _ in range(RECENT)
        )
        self.ages = nn.ModuleList(nn.Embedding(OLDEST + 1, width) for _ in range(RECENT))
        self.call = nn.Embedding(config.call_vocabulary, width)
        self.codes = nn.ModuleList(
            nn.Embedding(config.codebook_size + 1, width) for _ in range(config.codebooks)
        )
        self.backbone = Backbone(config.backbone)
        self.text_head = nn.Linear(width, config.text_vocabulary)
        self.caller_text_head = nn.Linear(width, config.text_vocabulary)
        self.call_head = nn.Linear(width, config.call_vocabulary)
        self.light = nn.Linear(width, 4 + len(TURN_STATES) + len(TONES))
        self.depth = DepthHead(
            width,
            config.text_vocabulary,
            config.codebooks,
            config.codebook_size,
            config.depth_expansion,
        )
        self.apply(_initialise)

    def initial_state(self, batch: int) -> State:
        """A new call in every slot."""
        long = torch.int64
        return {
            **prefixed("encoder", self.encoder.initial_state(batch)),
            **prefixed("backbone", self.backbone.initial_state(batch)),
            "text": torch.zeros(batch, dtype=long),
            "call": torch.zeros(batch, dtype=long),
            "codes": torch.zeros(batch, self.config.codebooks, dtype=long),
            "recent": torch.zeros(batch, RECENT, dtype=long),
            # Stored as OLDEST - age, so that zero is the initial state.
            "freshness": torch.zeros(batch, RECENT, dtype=long),
        }

    def embed(self, vectors: Tensor, own: Own, recent: Tensor, ages: Tensor) -> Tensor:
        """One input vector a frame: [B, T, hidden_size].

        vectors: the encoder's [B, 2 T, C]; recent, ages: [B, T, RECENT].
        """
        batch, positions, width = vectors.shape
        x = self.hear(vectors.reshape(batch, positions // POSITIONS, POSITIONS * width))
        x = x + self.text(own.text) + self.call(own.call)
        for i in range(RECENT):
            x = x + self.recent[i](recent[..., i]) + self.ages[i](ages[..., i])
        for book, table in enumerate(self.codes):
            x = x + table(own.codes[..., book])
        return x

    def forward(self, mel: Tensor, own: Own) -> tuple[Tensor, Tensor]:
        """A whole recording: mel [B, 8 T, mels] to trunk states [B, T, C], encoder [B, 2 T, C]."""
        vectors, _ = self.encoder(mel)
        recent, ages = recent_pieces(own.text)
        z, _ = self.backbone(self.embed(vectors, own, recent, ages))
        return z, vectors

    def step(self, mel: Tensor, state: State) -> tuple[Tensor, State]:
        """One frame: mel [B, 8, mels] to the trunk's state [B, C]; `remember` completes it."""
        vectors, encoder = self.encoder(mel, scope(state, "encoder"))
        own = Own(state["text"][:, None], state["call"][:, None], state["codes"][:, None])
        ages = OLDEST - state["freshness"]
        x = self.embed(vectors, own, state["recent"][:, None], ages[:, None])
        z, backbone = self.backbone(x, scope(state, "backbone"))
        return z[:, 0], {**prefixed("encoder", encoder), **prefixed("backbone", backbone)}

    def remember(self, state: State, text: Tensor, call: Tensor, codes: Tensor) -> State:
        """What the agent just did becomes the past of the next step: [B], [B], [B, Q]."""
        spoke = (text != PAD)[:, None]
        older = (state["freshness"] - 1).clamp(min=0)
        newest = torch.full_like(text[:, None], OLDEST)
        return {
            "text": text,
            "call": call,
            "codes": codes + 1,
            "recent": torch.where(
                spoke, torch.cat([text[:, None], state["recent"][:, :-1]], 1), state["recent"]
            ),
            "freshness": torch.where(spoke, torch.cat([newest, older[:, :-1]], 1), older),
        }

    def heads(self, z: Tensor) -> Heads:
        """All predictions but the codes, of z [..., C]."""
        light = self.light(z)
        turn, tone = light[..., 4 : 4 + len(TURN_STATES)], light[..., 4 + len(TURN_STATES) :]
        voice, pitch, energy, confidence = light[..., :4].unbind(-1)
        return Heads(
            text=self.text_head(z),
            caller_text=self.caller_text_head(z),
            call=self.call_head(z),
            voice=voice,
            turn=turn,
            tone=tone,
            pitch=pitch,
            energy=energy,
            confidence=confidence,
        )


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.2)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.7 * module.in_features**-0.5)
        bias = module.get_parameter("bias") if "bias" in dict(module.named_parameters()) else None
        if bias is not None:
            nn.init.zeros_(bias)
