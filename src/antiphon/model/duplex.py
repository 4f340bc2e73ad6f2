"""The duplex network: what the caller's line carries and what the agent did so far, to the
next frame of every stream.

At step t the network has heard the caller's frame t and knows the agent's frame t; it
decides the agent's frame t + 1. The agent's text runs ahead of its audio, the caller's text
a few frames behind; both are data, not structure (antiphon.training.streams). What it wrote
and called comes back as input: attention could find it, but a short memory at hand is what
keeps a small network from writing a word twice or saying another drink than it called.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from antiphon.corpus.delivery import CONTROLS
from antiphon.model.backbone import Backbone
from antiphon.model.config import END, PAD, POSITIONS, TONES, TURN_STATES, ModelConfig
from antiphon.model.depth import DepthHead
from antiphon.model.encoder import Encoder
from antiphon.model.memory import WordMemory
from antiphon.model.state import State, prefixed, scope

RECENT = 3  # pieces of a stream that the network is reminded of
OLDEST = 24  # frames; ages are clamped here


class Own(NamedTuple):
    """What the agent did: text, heard, call [B, T]; codes [B, T, codebooks]; and how it was told
    to speak: control [B, 2] (corpus.delivery.Delivery.control).

    `heard` is what it wrote down of the caller. Codes are stored plus one; 0 is "before the
    call began".
    """

    text: Tensor
    heard: Tensor
    call: Tensor
    codes: Tensor
    control: Tensor


class Mind(NamedTuple):
    """What every decision of a frame is made from.

    z: [..., C], the trunk's state. words: [..., W], the memory of words; W is 0 where there is
    none, or where it is not to be asked.
    """

    z: Tensor
    words: Tensor


class Heads(NamedTuple):
    """Everything that is predicted for a frame, each [..., n] logits or [...] values."""

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


def standing_call(call: Tensor, vocabulary: int) -> Tensor:
    """The tokens of the newest call up to and with each frame, as counts.

    call: [B, T]; returns [B, T, vocabulary]: how often each token stands in the call that was
    begun last (its END included, once it is there).
    """
    time = torch.arange(call.shape[1], device=call.device).expand_as(call)
    ended = torch.where(call == END, time, -1).cummax(dim=1).values
    before = torch.cat([torch.full_like(ended[:, :1], -1), ended[:, :-1]], dim=1)
    newest = torch.where(call != PAD, time, -1).cummax(dim=1).values
    # The newest token's call began after the last END before that token.
    begun = torch.where(newest >= 0, before.gather(1, newest.clamp(min=0)), -1)
    each = F.one_hot(call, vocabulary) * (call != PAD)[..., None]
    counts = F.pad(each.cumsum(dim=1), (0, 0, 1, 0))
    earlier = counts.gather(1, (begun + 1)[..., None].expand(-1, -1, vocabulary))
    return (counts[:, 1:] - earlier).to(torch.float32)


def _no_pieces(batch: int) -> State:
    """Nothing was written yet. Ages are kept as OLDEST - age: zero is the initial state."""
    none = torch.zeros(batch, RECENT, dtype=torch.int64)
    return {"pieces": none, "freshness": none.clone()}


def _recalled(state: State) -> tuple[Tensor, Tensor]:
    """Ids and ages [B, 1, RECENT] of a stream's last pieces."""
    return state["pieces"][:, None], (OLDEST - state["freshness"])[:, None]


def _pushed(state: State, piece: Tensor) -> State:
    """The last pieces after one more frame, which holds `piece` [B] or PAD."""
    wrote = (piece != PAD)[:, None]
    older = (state["freshness"] - 1).clamp(min=0)
    newest = torch.full_like(piece[:, None], OLDEST)
    pieces = torch.cat([piece[:, None], state["pieces"][:, :-1]], 1)
    return {
        "pieces": torch.where(wrote, pieces, state["pieces"]),
        "freshness": torch.where(wrote, torch.cat([newest, older[:, :-1]], 1), older),
    }


class _Now(NamedTuple):
    """The trunk's input but the caller's sound: text, call [B, T], codes [B, T, Q] ..."""

    text: Tensor
    call: Tensor
    codes: Tensor
    standing: Tensor  # [B, T, call_vocabulary]
    recent: tuple[Tensor, Tensor]  # ids and ages [B, T, RECENT]
    heard: tuple[Tensor, Tensor]
    called: tuple[Tensor, Tensor]
    control: Tensor  # [B, 2]


class Recent(nn.Module):
    """The last RECENT pieces of a stream and their ages, as one vector a frame."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.pieces = nn.ModuleList(nn.Embedding(vocabulary, width) for _ in range(RECENT))
        self.ages = nn.ModuleList(nn.Embedding(OLDEST + 1, width) for _ in range(RECENT))

    def forward(self, ids: Tensor, ages: Tensor) -> Tensor:
        """ids, ages: [..., RECENT]; returns [..., width]."""
        x = self.pieces[0](ids[..., 0]) + self.ages[0](ages[..., 0])
        for i in range(1, RECENT):
            x = x + self.pieces[i](ids[..., i]) + self.ages[i](ages[..., i])
        return x


class Duplex(nn.Module):
    """Encoder, backbone and heads; the codec's decoder and sampling stand in `FrameStep`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width = config.backbone.hidden_size
        self.encoder = Encoder(config.encoder, config.characters)
        self.hear = nn.Linear(POSITIONS * config.encoder.width, width)
        self.text = nn.Embedding(config.text_vocabulary, width)
        self.recent = Recent(config.text_vocabulary, width)
        self.heard = Recent(config.text_vocabulary, width)
        # A call copies what was heard: its last tokens tell where in the words it is.
        self.called = Recent(config.call_vocabulary, width)
        self.call = nn.Embedding(config.call_vocabulary, width)
        self.standing = nn.Linear(config.call_vocabulary, width, bias=False)
        self.codes = nn.ModuleList(
            nn.Embedding(config.codebook_size + 1, width) for _ in range(config.codebooks)
        )
        self.control = nn.ModuleList(nn.Embedding(count, width) for count in CONTROLS)
        self.backbone = Backbone(config.backbone)
        self.memory = (
            WordMemory(config.memory, config.text_vocabulary, config.call_vocabulary)
            if config.memory
            else None
        )
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
        if self.memory is not None:  # it knows nothing yet, and changes nothing
            nn.init.zeros_(self.memory.call_head.weight)

    def initial_state(self, batch: int) -> State:
        """A new call in every slot."""
        long, words = torch.int64, self.memory
        return {
            **prefixed("encoder", self.encoder.initial_state(batch)),
            **prefixed("backbone", self.backbone.initial_state(batch)),
            "text": torch.zeros(batch, dtype=long),
            "call": torch.zeros(batch, dtype=long),
            "codes": torch.zeros(batch, self.config.codebooks, dtype=long),
            "standing": torch.zeros(batch, self.config.call_vocabulary),
            **prefixed("recent", _no_pieces(batch)),
            **prefixed("heard", _no_pieces(batch)),
            **prefixed("called", _no_pieces(batch)),
            **({} if words is None else prefixed("memory", words.initial_state(batch))),
        }

    def _embed(self, vectors: Tensor, now: _Now) -> Tensor:
        """One input vector a frame, [B, T, hidden_size], of the encoder's [B, 2 T, C]."""
        batch, positions, width = vectors.shape
        x = self.hear(vectors.reshape(batch, positions // POSITIONS, POSITIONS * width))
        x = x + self.text(now.text) + self.call(now.call) + self.standing(now.standing)
        x = x + self.recent(*now.recent) + self.heard(*now.heard) + self.called(*now.called)
        for book, table in enumerate(self.codes):
            x = x + table(now.codes[..., book])
        for told, table in enumerate(self.control):
            x = x + table(now.control[:, told])[:, None]
        return x

    def forward(self, mel: Tensor, own: Own) -> tuple[Mind, Tensor]:
        """A whole recording: mel [B, 8 T, mels] to its mind [B, T, ...], encoder [B, 2 T, C]."""
        vectors, _ = self.encoder(mel)
        return self.mind(vectors, own), vectors

    def mind(self, vectors: Tensor, own: Own) -> Mind:
        """The mind [B, T, ...] of what the encoder made of a recording [B, 2 T, C]."""
        return Mind(self.trunk(vectors, own), self.words(own))

    def words(self, own: Own) -> Tensor:
        """The memory of words [B, T, W]."""
        if self.memory is None:
            return own.codes.new_zeros(*own.text.shape, 0, dtype=torch.float32)
        return self.memory(own.text, own.heard, own.call)

    def trunk(self, vectors: Tensor, own: Own) -> Tensor:
        """Trunk states [B, T, C] of what the encoder made of a recording [B, 2 T, C]."""
        now = _Now(
            own.text,
            own.call,
            own.codes,
            standing_call(own.call, self.config.call_vocabulary),
            recent_pieces(own.text),
            recent_pieces(own.heard),
            recent_pieces(own.call),
            own.control,
        )
        z, _ = self.backbone(self._embed(vectors, now))
        return z

    def step(self, mel: Tensor, control: Tensor, state: State) -> tuple[Mind, State]:
        """One frame: mel [B, 8, mels], control [B, 2] to the mind [B, ...]; `remember`
        completes it.
        """
        vectors, encoder = self.encoder(mel, scope(state, "encoder"))
        mind, trunk = self.trunk_step(vectors, control, state)
        return mind, {**prefixed("encoder", encoder), **trunk}

    def trunk_step(self, vectors: Tensor, control: Tensor, state: State) -> tuple[Mind, State]:
        """`step` from the encoder's vectors [B, 2, C] on; the encoder's state is not needed."""
        heard, ages = _recalled(scope(state, "heard"))
        now = _Now(
            state["text"][:, None],
            state["call"][:, None],
            state["codes"][:, None],
            state["standing"][:, None],
            _recalled(scope(state, "recent")),
            (heard, ages),
            _recalled(scope(state, "called")),
            control,
        )
        z, backbone = self.backbone(self._embed(vectors, now), scope(state, "backbone"))
        z, new = z[:, 0], prefixed("backbone", backbone)
        if self.memory is None:
            return Mind(z, z[..., :0]), new
        written = torch.where(ages[:, 0, 0] == 0, heard[:, 0, 0], PAD)
        words, memory = self.memory.step(
            state["text"], written, state["call"], scope(state, "memory")
        )
        return Mind(z, words), {**new, **prefixed("memory", memory)}

    def remember(
        self, state: State, text: Tensor, heard: Tensor, call: Tensor, codes: Tensor
    ) -> State:
        """What was just done becomes the past of the next step: [B], [B], [B], [B, Q]."""
        begins = state["standing"][:, END : END + 1] > 0
        token = F.one_hot(call, self.config.call_vocabulary).to(torch.float32)
        stands = state["standing"].masked_fill(begins, 0.0) + token
        return {
            "text": text,
            "call": call,
            "codes": codes + 1,
            "standing": torch.where((call != PAD)[:, None], stands, state["standing"]),
            **prefixed("recent", _pushed(scope(state, "recent"), text)),
            **prefixed("heard", _pushed(scope(state, "heard"), heard)),
            **prefixed("called", _pushed(scope(state, "called"), call)),
        }

    def call_scores(self, mind: Mind) -> Tensor:
        """Logits of the call [..., call_vocabulary]."""
        call = self.call_head(mind.z)
        if self.memory is None or not mind.words.shape[-1]:
            return call
        return self.memory.weigh(call, mind.words)

    def heads(self, mind: Mind) -> Heads:
        """All predictions but the codes."""
        z = mind.z
        light = self.light(z)
        turn, tone = light[..., 4 : 4 + len(TURN_STATES)], light[..., 4 + len(TURN_STATES) :]
        voice, pitch, energy, confidence = light[..., :4].unbind(-1)
        return Heads(
            text=self.text_head(z),
            caller_text=self.caller_text_head(z),
            call=self.call_scores(mind),
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
