"""The depth head: one frame's codes, each given the ones before it.

A small gated step a codebook instead of a depth transformer: no attention, no acoustic
delay, and better per minute of training at this size (docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from antiphon.model.layers import RMSNorm


class DepthHead(nn.Module):
    """Backbone state and this frame's text piece to `codebooks` codes."""

    def __init__(
        self, width: int, text_vocabulary: int, codebooks: int, codebook_size: int, expansion: int
    ) -> None:
        super().__init__()
        self.codebooks = codebooks
        self.text = nn.Embedding(text_vocabulary, width)
        self.context = nn.Linear(width, width, bias=False)
        self.codes = nn.ModuleList(nn.Embedding(codebook_size, width) for _ in range(codebooks - 1))
        self.norm_in = nn.ModuleList(RMSNorm(width) for _ in range(codebooks))
        self.up = nn.ModuleList(
            nn.Linear(width, expansion * width, bias=False) for _ in range(codebooks)
        )
        self.down = nn.ModuleList(
            nn.Linear(expansion * width, width, bias=False) for _ in range(codebooks)
        )
        self.norm_out = nn.ModuleList(RMSNorm(width) for _ in range(codebooks))
        self.out = nn.ModuleList(
            nn.Linear(width, codebook_size, bias=False) for _ in range(codebooks)
        )

    def _logits(self, u: Tensor, book: int) -> Tensor:
        h = F.gelu(self.up[book](self.norm_in[book](u)), approximate="tanh")
        return self.out[book](self.norm_out[book](u + self.down[book](h)))

    def forward(self, z: Tensor, text: Tensor, codes: Tensor) -> Tensor:
        """Teacher-forced logits [N, Q, K] of z [N, C], text [N] and codes [N, Q]."""
        u = self.context(z) + self.text(text)
        logits: list[Tensor] = []
        for book in range(self.codebooks):
            logits.append(self._logits(u, book))
            if book < self.codebooks - 1:
                u = u + self.codes[book](codes[:, book])
        return torch.stack(logits, dim=1)

    def sample(self, z: Tensor, text: Tensor, pick: Callable[[Tensor, int], Tensor]) -> Tensor:
        """Codes [N, codebooks]; `pick(logits [N, K], book) -> ids [N]` chooses each."""
        u = self.context(z) + self.text(text)
        codes: list[Tensor] = []
        for book in range(self.codebooks):
            codes.append(pick(self._logits(u, book), book))
            if book < self.codebooks - 1:
                u = u + self.codes[book](codes[-1])
        return torch.stack(codes, dim=1)
