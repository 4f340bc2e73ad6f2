"""What "sounds alike" means in training: spectra at four resolutions, none of them phase-true.

The pulses of decoded speech do not fall where the original's fell, so only magnitudes compare.
"""

# torch and the measures leave some types open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from antiphon.audio import SAMPLE_RATE

_RESOLUTIONS = ((256, 32), (512, 64), (1024, 96), (2048, 128))  # FFT size, mel bands


class SpectralLoss(nn.Module):
    """Log-mel, square-root magnitude and log magnitude distances (L1), averaged."""

    def __init__(self) -> None:
        super().__init__()
        for size, bands in _RESOLUTIONS:
            self.register_buffer(f"window_{size}", torch.hann_window(size), persistent=False)
            self.register_buffer(f"bands_{size}", mel_bands(size, bands), persistent=False)

    def forward(self, decoded: Tensor, original: Tensor) -> dict[str, Tensor]:
        """decoded, original [B, N], aligned -> the terms, weighted; their sum is the loss."""
        mel = root = log = decoded.new_zeros(())
        for size, _ in _RESOLUTIONS:
            ours, theirs = self._magnitude(decoded, size), self._magnitude(original, size)
            bands = self.get_buffer(f"bands_{size}")
            mel = mel + _distance(torch.log(ours @ bands + 3e-4), torch.log(theirs @ bands + 3e-4))
            root = root + _distance(ours.sqrt(), theirs.sqrt())
            log = log + _distance(torch.log(ours + 1e-3), torch.log(theirs + 1e-3))
        share = 1 / len(_RESOLUTIONS)
        return {"mel": mel * share, "root": root * share * 4, "log": log * share * 0.3}

    def _magnitude(self, samples: Tensor, size: int) -> Tensor:
        window = self.get_buffer(f"window_{size}")
        spectrum = torch.fft.rfft(samples.unfold(1, size, size // 4) * window)
        power = spectrum.real.square() + spectrum.imag.square()
        return torch.sqrt(power + 1e-7) / math.sqrt(size)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs().mean()


def mel_bands(size: int, bands: int) -> Tensor:
    """Triangles [size // 2 + 1, bands] of unit sum; bands too narrow for a bin are left out."""
    top = 2595 * math.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, bands + 2, dtype=torch.float64) / 2595) - 1)
    hertz = torch.linspace(0, SAMPLE_RATE / 2, size // 2 + 1, dtype=torch.float64)
    rise = (hertz[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - hertz[:, None]) / (edges[2:] - edges[1:-1])
    weights = torch.minimum(rise, fall).clamp(min=0)
    total = weights.sum(0)
    return (weights[:, total > 0] / total[total > 0]).float()
