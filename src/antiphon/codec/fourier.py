"""Short-time Fourier analysis and synthesis with an explicit past, written two ways.

`FastFourier` uses the FFT, for training. `MatrixFourier` multiplies by the same transform's matrix
and slices with fixed shapes, so that it exports to ONNX as nothing but Gemm, Slice and Add.
"""

# torch and the measures leave some types open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn

from antiphon.audio import HOP


class Fourier(Protocol):
    """Windowed frames to half spectra and back; [..., window] <-> 2 x [..., window // 2 + 1]."""

    def analyse(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Real and imaginary parts of the windowed frames' spectra."""
        ...

    def synthesise(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Windowed frames, scaled so that overlapped sums give the signal back."""
        ...


class FastFourier(nn.Module):
    """By FFT."""

    window: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("window", torch.hann_window(size), persistent=False)
        self.gain = 0.375 * size / HOP  # sum of overlapped squared Hann windows

    def analyse(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        spectrum: Tensor = torch.fft.rfft(frames * self.window)
        return spectrum.real, spectrum.imag

    def synthesise(self, real: Tensor, imaginary: Tensor) -> Tensor:
        frames: Tensor = torch.fft.irfft(torch.complex(real, imaginary), n=self.size)
        return frames * self.window / self.gain


class MatrixFourier(nn.Module):
    """By matrix products."""

    cosine: Tensor
    sine: Tensor
    inverse_cosine: Tensor
    inverse_sine: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        time, bins = torch.arange(size), torch.arange(size // 2 + 1)
        angle = 2 * math.pi * (bins[:, None] * time % size).double() / size
        window = torch.hann_window(size, dtype=torch.float64)
        twice = torch.full((len(bins), 1), 2.0, dtype=torch.float64)
        twice[0] = twice[-1] = 1.0  # these bins have no mirror image
        back = twice * window / size / (0.375 * size / HOP)
        for name, matrix in (
            ("cosine", (angle.cos() * window).T),
            ("sine", (-angle.sin() * window).T),
            ("inverse_cosine", angle.cos() * back),
            ("inverse_sine", -angle.sin() * back),
        ):
            self.register_buffer(name, matrix.float().contiguous(), persistent=False)

    def analyse(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        return frames @ self.cosine, frames @ self.sine

    def synthesise(self, real: Tensor, imaginary: Tensor) -> Tensor:
        return real @ self.inverse_cosine + imaginary @ self.inverse_sine


def frames_of(samples: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
    """Cut overlapping frames, one a hop, each ending with its hop.

    samples [B, M * HOP], past [B, D] -> (frames [B, M, D + HOP], the next past [B, D]).
    """
    heard = torch.cat([past, samples], 1)
    depth, overlap = past.shape[1] // HOP, past.shape[1]
    hops = heard.reshape(heard.shape[0], -1, HOP)
    count = samples.shape[1] // HOP
    frames = torch.cat([hops[:, i : i + count] for i in range(depth + 1)], -1)
    return frames, heard[:, heard.shape[1] - overlap :]


def overlap_add(frames: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
    """Add overlapping frames, one a hop.

    frames [B, M, D + HOP], past [B, D] of unfinished sums -> (samples [B, M * HOP], the next past).
    """
    batch, count, size = frames.shape
    depth = size // HOP - 1
    total = nn.functional.pad(past.reshape(batch, depth, HOP), (0, 0, 0, count))
    for i in range(depth + 1):
        part = frames[:, :, i * HOP : (i + 1) * HOP]
        total = total + nn.functional.pad(part, (0, 0, i, depth - i))
    return total[:, :count].reshape(batch, count * HOP), total[:, count:].reshape(batch, -1)
