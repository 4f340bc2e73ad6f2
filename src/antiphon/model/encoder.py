"""The ears: log-mel to two acoustic vectors a frame, causal, with a CTC head over characters.

A Conformer-like stack (arXiv 2005.08100) at 25 Hz: windowed attention, a depthwise causal
convolution and a feed-forward. The two positions of one 80 ms frame see each other.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from antiphon.model.config import POSITIONS, EncoderConfig
from antiphon.model.layers import CausalConv, WindowAttention, rotary_tables, window_mask
from antiphon.model.state import State, prefixed, scope

MELS_PER_FRAME = 8


class EncoderLayer(nn.Module):
    """Attention, convolution, feed-forward; each normalised before and added after."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width = config.width
        self.attention_norm = nn.LayerNorm(width)
        self.attention = WindowAttention(
            width, config.heads, config.heads, width // config.heads, False, config.window
        )
        self.conv_norm = nn.LayerNorm(width)
        self.conv_in = nn.Linear(width, 2 * width)
        self.conv = CausalConv(width, width, config.kernel, groups=width)
        self.conv_mid = nn.LayerNorm(width)
        self.conv_out = nn.Linear(width, width)
        self.feed_norm = nn.LayerNorm(width)
        self.feed_in = nn.Linear(width, config.feedforward)
        self.feed_out = nn.Linear(config.feedforward, width)
        self.dropout = nn.Dropout(config.dropout)

    def initial_state(self, batch: int) -> State:
        """Empty attention caches and convolution taps."""
        return {**self.attention.initial_state(batch), "conv": self.conv.initial_state(batch)}

    def forward(
        self, x: Tensor, mask: Tensor, tables: Tensor, past: State | None
    ) -> tuple[Tensor, State]:
        """x: [B, T, width]."""
        y, kept = self.attention(self.attention_norm(x), mask, tables, past)
        x = x + self.dropout(y)
        y = F.glu(self.conv_in(self.conv_norm(x)), dim=-1)
        y, taps = self.conv(y, None if past is None else past["conv"])
        x = x + self.dropout(self.conv_out(F.silu(self.conv_mid(y))))
        y = self.feed_out(self.dropout(F.silu(self.feed_in(self.feed_norm(x)))))
        return x + self.dropout(y), {**kept, "conv": taps}


class Encoder(nn.Module):
    """Log-mel [B, 8 T, mels] to acoustic vectors [B, 2 T, width]."""

    mean: Tensor
    scale: Tensor

    def __init__(self, config: EncoderConfig, characters: int) -> None:
        super().__init__()
        self.config = config
        width = config.width
        # Mean and scale of log-mel over the training corpus; set by the trainer.
        self.register_buffer("mean", torch.zeros(config.mels))
        self.register_buffer("scale", torch.ones(config.mels))
        self.halve = CausalConv(config.mels, width, 5, stride=2)
        self.halve_norm = nn.LayerNorm(width)
        self.quarter = CausalConv(width, width, 5, stride=2)
        self.quarter_norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.ctc = nn.Linear(width, config.ctc_rate * characters)

    def initial_state(self, batch: int) -> State:
        """Silence before the first sample."""
        state: State = {
            "halve": self.halve.initial_state(batch),
            "quarter": self.quarter.initial_state(batch),
            "filled": torch.zeros(batch, dtype=torch.int64),
        }
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, EncoderLayer)
            state |= prefixed(f"layers.{i}", layer.initial_state(batch))
        return state

    def forward(self, mel: Tensor, past: State | None = None) -> tuple[Tensor, State]:
        """mel: [B, 8 T, mels]; returns vectors [B, 2 T, width] and the new past."""
        # Digital silence lies far below any line noise: clamped, it is only "very quiet".
        x = ((mel - self.mean) / self.scale).clamp(min=-4.0)
        x, halve = self.halve(x, None if past is None else past["halve"])
        x, quarter = self.quarter(
            F.silu(self.halve_norm(x)), None if past is None else past["quarter"]
        )
        x = self.quarter_norm(x)
        new, window = x.shape[1], self.config.window
        filled = None if past is None else past["filled"]
        cached = 0 if past is None else window
        mask = window_mask(new, cached, window, POSITIONS, filled, x.device)
        head_dim = self.config.width // self.config.heads
        tables = rotary_tables(cached + new, head_dim, 10_000.0, x.device)
        state: State = {"halve": halve, "quarter": quarter}
        none = torch.zeros(x.shape[0], dtype=torch.int64, device=x.device)
        before = none if filled is None else filled
        state["filled"] = (before + new).clamp(max=window)
        for i, layer in enumerate(self.layers):
            x, kept = layer(x, mask, tables, None if past is None else scope(past, f"layers.{i}"))
            state |= prefixed(f"layers.{i}", kept)
        return self.norm(x), state

    def characters(self, x: Tensor) -> Tensor:
        """CTC log-probabilities [B, 2 T ctc_rate, characters] of the encoder's vectors."""
        written = self.ctc(x).float().unflatten(-1, (self.config.ctc_rate, -1)).flatten(1, 2)
        return written.log_softmax(dim=-1)
