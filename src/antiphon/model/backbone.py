"""The trunk: a decoder-only transformer at 12.5 Hz over a sliding window.

Modules and parameters carry Llama's and Qwen3's names, so a Hugging Face causal LM's layers
load as they are (`load_causal_lm`).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from antiphon.model.config import BackboneConfig
from antiphon.model.layers import RMSNorm, SwiGLU, WindowAttention, rotary_tables, window_mask
from antiphon.model.state import State, prefixed, scope


class BackboneLayer(nn.Module):
    """Attention, then gated feed-forward, each behind an RMSNorm."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = WindowAttention(
            config.hidden_size,
            config.num_attention_heads,
            config.num_key_value_heads,
            config.head_dim,
            config.qk_norm,
            config.window,
        )
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = SwiGLU(config.hidden_size, config.intermediate_size)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, mask: Tensor, tables: Tensor, past: State | None
    ) -> tuple[Tensor, State]:
        """x: [B, T, hidden_size]."""
        y, kept = self.self_attn(self.input_layernorm(x), mask, tables, past)
        x = x + self.dropout(y)
        return x + self.dropout(self.mlp(self.post_attention_layernorm(x))), kept


class Backbone(nn.Module):
    """[B, T, hidden_size] to [B, T, hidden_size]; frame t sees frames t - window .. t."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(BackboneLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def initial_state(self, batch: int) -> State:
        """Empty caches."""
        state: State = {"filled": torch.zeros(batch, dtype=torch.int64)}
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, BackboneLayer)
            state |= prefixed(f"layers.{i}", layer.self_attn.initial_state(batch))
        return state

    def forward(self, x: Tensor, past: State | None = None) -> tuple[Tensor, State]:
        """x: [B, T, hidden_size]; returns the same shape and the new past."""
        new, window = x.shape[1], self.config.window
        filled = None if past is None else past["filled"]
        cached = 0 if past is None else window
        mask = window_mask(new, cached, window, 1, filled, x.device)
        tables = rotary_tables(cached + new, self.config.head_dim, self.config.rope_theta, x.device)
        none = torch.zeros(x.shape[0], dtype=torch.int64, device=x.device)
        before = none if filled is None else filled
        state: State = {"filled": (before + new).clamp(max=window)}
        for i, layer in enumerate(self.layers):
            x, kept = layer(x, mask, tables, None if past is None else scope(past, f"layers.{i}"))
            state |= prefixed(f"layers.{i}", kept)
        return self.norm(x), state

    def load_causal_lm(self, weights: Mapping[str, Tensor]) -> None:
        """Take the layers of a Llama- or Qwen3-shaped causal LM (`model.` prefix or none).

        Raises:
            RuntimeError: the shapes do not fit this backbone's config.
        """
        own = {
            key.removeprefix("model."): value
            for key, value in weights.items()
            if key.removeprefix("model.").startswith(("layers.", "norm."))
        }
        self.load_state_dict(own, strict=True)
