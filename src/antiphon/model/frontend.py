"""Waveform to log-mel inside the network's graph, one frame after another.

The same numbers as `antiphon.audio.mel.LogMel`, written as two convolutions so that it
exports to any runtime without complex types.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from antiphon.audio.mel import FLOOR, LogMel, windowed_dft


class MelFrontend(nn.Module):
    """Causal log-mel: 10 ms hop, frame t sees samples up to (t + 1) * 160."""

    dft: Tensor
    bank: Tensor

    def __init__(self) -> None:
        super().__init__()
        mel = LogMel()
        self.hop, self.past = mel.hop, mel.tail
        # One filter for each real and each imaginary part: [514, 1, win].
        self.register_buffer("dft", torch.tensor(windowed_dft(mel.win, mel.n_fft).T[:, None]))
        self.register_buffer("bank", torch.tensor(mel.filterbank()))

    def initial_state(self, batch: int) -> Tensor:
        """Silence: [B, win - hop]."""
        return torch.zeros(batch, self.past)

    def forward(self, samples: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """samples: [B, N], N a multiple of 160; returns log-mel [B, N / 160, 80] and the past."""
        x = F.pad(samples, (self.past, 0)) if past is None else torch.cat([past, samples], dim=1)
        real, imaginary = F.conv1d(x[:, None], self.dft, stride=self.hop).chunk(2, dim=1)
        power = (real * real + imaginary * imaginary).transpose(1, 2)
        return torch.log(power @ self.bank + FLOOR), x[:, x.shape[1] - self.past :]
