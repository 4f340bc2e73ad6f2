"""Layers that see only the past: convolution, windowed attention, gated feed-forward.

Each is one function of (input, past) -> (output, past). A past of `None` is the empty past:
one call over a whole recording and many calls over its pieces give the same numbers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from antiphon.model.state import State


class CausalConv(nn.Module):
    """A convolution over time whose last tap is the present.

    Args:
        stride: output positions are one in `stride` inputs; a call's input length must be a
            multiple of it.
        groups: `channels` for a depthwise convolution.
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.past = kernel - stride
        self.channels_in = channels_in
        self.conv = nn.Conv1d(channels_in, channels_out, kernel, stride, groups=groups)

    def initial_state(self, batch: int) -> Tensor:
        """Zeros [B, kernel - stride, C]."""
        return torch.zeros(batch, self.past, self.channels_in)

    def forward(self, x: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x: [B, T, C]; returns [B, T / stride, C_out] and the new past."""
        x = F.pad(x, (0, 0, self.past, 0)) if past is None else torch.cat([past, x], dim=1)
        y = self.conv(x.transpose(1, 2)).transpose(1, 2)
        return y, x[:, x.shape[1] - self.past :]


def rotary_tables(length: int, head_dim: int, theta: float, device: torch.device) -> Tensor:
    """cos and sin of rotary positions 0..length-1: [2, length, head_dim], halves repeated."""
    rates = theta ** (-torch.arange(0, head_dim, 2, device=device).float() / head_dim)
    angles = torch.arange(length, device=device).float()[:, None] * rates
    angles = torch.cat([angles, angles], dim=-1)
    return torch.stack([angles.cos(), angles.sin()])


def rotate(x: Tensor, tables: Tensor) -> Tensor:
    """Rotary embedding (RoFormer, arXiv 2104.09864) of x [B, H, T, D], half-split layout."""
    half = x.shape[-1] // 2
    turned = torch.cat([-x[..., half:], x[..., :half]], dim=-1)
    return x * tables[0] + turned * tables[1]


def window_mask(
    new: int, past: int, window: int, chunk: int, filled: Tensor | None, device: torch.device
) -> Tensor:
    """Which keys each new position may see: bool [1 or B, 1, new, past + new].

    A position sees its whole chunk (positions of one frame arrive together), and `window`
    positions before the chunk's first. filled: [B], how many of the `past` rows are real.
    """
    query = torch.arange(new, device=device)[:, None]
    key = torch.arange(-past, new, device=device)[None]
    first = torch.div(query, chunk, rounding_mode="floor") * chunk
    mask = ((key < first + chunk) & (key >= first - window))[None, None]
    if filled is not None:
        mask = mask & (key[None, None] >= -filled[:, None, None, None])
    return mask


class WindowAttention(nn.Module):
    """Multi-head attention over a sliding window, grouped keys and values.

    The cache holds keys *before* rotation, oldest first. Rotary scores depend on distance
    only, so the cached keys are rotated by their place in the window: positions stay small
    for ever and a call may last for days.
    """

    def __init__(
        self, width: int, heads: int, kv_heads: int, head_dim: int, qk_norm: bool, window: int
    ) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim, self.window = heads, kv_heads, head_dim, window
        self.q_proj = nn.Linear(width, heads * head_dim, bias=False)
        self.k_proj = nn.Linear(width, kv_heads * head_dim, bias=False)
        self.v_proj = nn.Linear(width, kv_heads * head_dim, bias=False)
        self.o_proj = nn.Linear(heads * head_dim, width, bias=False)
        self.q_norm = RMSNorm(head_dim) if qk_norm else nn.Identity()
        self.k_norm = RMSNorm(head_dim) if qk_norm else nn.Identity()

    def initial_state(self, batch: int) -> State:
        """Empty caches [B, window, kv_heads * head_dim]."""
        shape = (batch, self.window, self.kv_heads * self.head_dim)
        return {"keys": torch.zeros(shape), "values": torch.zeros(shape)}

    def _split(self, x: Tensor, heads: int) -> Tensor:
        return x.view(x.shape[0], x.shape[1], heads, self.head_dim).transpose(1, 2)

    def forward(
        self, x: Tensor, mask: Tensor, tables: Tensor, past: State | None = None
    ) -> tuple[Tensor, State]:
        """x: [B, T, C]; mask, tables: of `window_mask` and `rotary_tables` over past + T."""
        keys, values = self.k_proj(x), self.v_proj(x)
        if past is not None:
            keys = torch.cat([past["keys"], keys], dim=1)
            values = torch.cat([past["values"], values], dim=1)
        new, total = x.shape[1], keys.shape[1]
        q = self.q_norm(self._split(self.q_proj(x), self.heads))
        k = self.k_norm(self._split(keys, self.kv_heads))
        v = self._split(values, self.kv_heads)
        q = rotate(q, tables[:, total - new :]).to(v.dtype)
        k = rotate(k, tables).to(v.dtype)
        if self.kv_heads != self.heads:
            k = k.repeat_interleave(self.heads // self.kv_heads, dim=1)
            v = v.repeat_interleave(self.heads // self.kv_heads, dim=1)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        y = self.o_proj(y.transpose(1, 2).reshape(x.shape[0], new, self.heads * self.head_dim))
        return y, {"keys": self._newest(keys), "values": self._newest(values)}

    def _newest(self, rows: Tensor) -> Tensor:
        """The last `window` rows of [B, T, C], zeros before the first."""
        total = rows.shape[1]
        if total < self.window:
            return F.pad(rows, (0, 0, self.window - total, 0))
        return rows[:, total - self.window :]


class RMSNorm(nn.Module):
    """Root-mean-square layer norm (arXiv 1910.07467) over the last dimension."""

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., width]."""
        scaled = x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.eps)
        return (scaled * self.weight).to(x.dtype)


class SwiGLU(nn.Module):
    """Gated feed-forward (arXiv 2002.05202), parameter names as in Llama."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., width]."""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
