"""Causal ConvNeXt blocks over [B, T, C], with their past as an explicit value.

After Liu et al., "A ConvNet for the 2020s" (2022), and Siuzdak, "Vocos" (2023), made causal.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class CausalBlock(nn.Module):
    """Depth-wise causal convolution, layer norm, two linear layers, and a scaled residual."""

    def __init__(self, channels: int, kernel: int, expansion: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.depthwise = nn.Conv1d(channels, channels, kernel, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, expansion * channels)
        self.narrow = nn.Linear(expansion * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), 0.3))

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, T, C], past [B, kernel - 1, C] -> (y [B, T, C], the next past)."""
        padded = torch.cat([past.to(x.dtype), x], 1)
        mixed = self.depthwise(padded.transpose(1, 2)).transpose(1, 2)
        inner = functional.gelu(self.widen(self.norm(mixed)), approximate="tanh")
        return x + self.scale * self.narrow(inner), padded[:, padded.shape[1] - self.kernel + 1 :]


class CausalStack(nn.Module):
    """Blocks one after another; the state is one past a block, named `<name>_<index>`."""

    def __init__(self, name: str, channels: int, blocks: int, kernel: int, expansion: int) -> None:
        super().__init__()
        self.name, self.channels, self.kernel = name, channels, kernel
        self.blocks = nn.ModuleList(CausalBlock(channels, kernel, expansion) for _ in range(blocks))

    def initial_state(self, batch: int) -> dict[str, Tensor]:
        """Silence before the beginning: zeros [batch, kernel - 1, channels] a block."""
        like = self.blocks[0].get_parameter("scale")
        return {
            f"{self.name}_{index}": like.new_zeros(batch, self.kernel - 1, self.channels)
            for index in range(len(self.blocks))
        }

    def forward(self, x: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """x [B, T, C] and the blocks' pasts -> (y [B, T, C], their next pasts)."""
        following: dict[str, Tensor] = {}
        for index, block in enumerate(self.blocks):
            key = f"{self.name}_{index}"
            x, past = block(x, state[key])
            following[key] = past.to(state[key].dtype)
        return x, following
