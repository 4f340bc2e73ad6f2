"""Log-mel features: what the network sees of the caller.

In: samples at 16 kHz. Out: one log-mel frame for every 10 ms, computed from the present and
the past only, so a step of 80 ms and one pass over a whole recording give the same frames.
It knows nothing of batches of unequal length, masks or networks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, PositiveInt, model_validator

from antiphon.errors import AudioError

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float32]

FLOOR = 1e-5  # added to the mel power before the logarithm: about -50 dB of a quiet room
_FRAMES_AT_ONCE = 4096  # bounds the memory that an hour of audio needs


class LogMel(BaseModel):
    """Causal log-mel features; a value, so two equal ones give equal numbers.

    Frame t is computed from the samples [(t + 1) * hop - win, (t + 1) * hop): it never sees a
    sample that has not arrived. `tail` past samples carry a stream from one chunk to the next.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_mels: PositiveInt = 80
    n_fft: PositiveInt = 512
    win: PositiveInt = 400
    hop: PositiveInt = 160
    rate: PositiveInt = 16_000
    fmin: float = 40.0
    fmax: float = 7_800.0

    @model_validator(mode="after")
    def _consistent(self) -> LogMel:
        if not self.hop <= self.win <= self.n_fft:
            raise ValueError("log-mel needs hop <= win <= n_fft")
        if not 0 <= self.fmin < self.fmax <= self.rate / 2:
            raise ValueError("log-mel needs 0 <= fmin < fmax <= rate / 2")
        return self

    @property
    def tail(self) -> int:
        """How many past samples the first frame of a chunk needs (240 by default)."""
        return self.win - self.hop

    def __call__(
        self, samples: npt.ArrayLike, *, past: npt.ArrayLike | None = None, warp: float = 1.0
    ) -> Floats:
        """Features of `samples`.

        samples: [..., N], +-1 full scale; a last part shorter than one hop is left out.
        past: [..., tail] samples before them; zeros when None.
        warp: vocal-tract warp of the mel axis, see `filterbank`.
        Returns float32 [..., N // hop, n_mels], natural logarithm.
        """
        x = np.asarray(samples, dtype=np.float32)
        if x.ndim == 0:
            raise AudioError("log-mel needs an array of samples, not one number")
        before = (
            np.zeros((*x.shape[:-1], self.tail), np.float32)
            if past is None
            else np.asarray(past, dtype=np.float32)
        )
        if before.shape != (*x.shape[:-1], self.tail):
            raise AudioError(
                f"log-mel needs {self.tail} past samples for each row, got shape {before.shape}"
            )
        bank = self.filterbank(warp)
        count = x.shape[-1] // self.hop
        out = np.empty((*x.shape[:-1], count, self.n_mels), np.float32)
        if count == 0:
            return out
        padded = np.concatenate([before, x], axis=-1)
        views = np.lib.stride_tricks.sliding_window_view(padded, self.win, axis=-1)
        views = views[..., :: self.hop, :]
        window = hann(self.win)
        for start in range(0, count, _FRAMES_AT_ONCE):
            part = slice(start, min(count, start + _FRAMES_AT_ONCE))
            spectrum = np.fft.rfft(views[..., part, :] * window, self.n_fft)
            power = np.square(spectrum.real) + np.square(spectrum.imag)
            out[..., part, :] = np.log(power @ bank + np.float32(FLOOR))
        return out

    def step(self, samples: npt.ArrayLike, past: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Features of the next chunk of a stream, and the samples that the chunk after needs.

        samples: [..., N], N a multiple of hop. past: [..., tail], zeros at the start.
        Returns (float32 [..., N // hop, n_mels], float32 [..., tail]).
        """
        x = np.asarray(samples, dtype=np.float32)
        if x.shape[-1] % self.hop:
            raise AudioError(
                f"a log-mel step needs a multiple of {self.hop} samples, got {x.shape[-1]}"
            )
        before = np.asarray(past, dtype=np.float32)
        features = self(x, past=before)
        joined = np.concatenate([before, x], axis=-1)
        return features, joined[..., joined.shape[-1] - self.tail :]

    def filterbank(self, warp: float = 1.0) -> Floats:
        """The mel filters [n_fft // 2 + 1, n_mels] of these settings; do not write to it."""
        return _filterbank(
            float(warp), self.n_mels, self.n_fft, self.rate, float(self.fmin), float(self.fmax)
        )


def filterbank(warp: float = 1.0) -> Floats:
    """The default mel filters, float32 [257, 80], with their centres warped.

    warp: vocal-tract length factor; frequencies up to a knee (5.5 kHz, lower for warp > 1) are
    multiplied by it and those above are squeezed so that 8 kHz stays (piecewise linear VTLN,
    Wegmann et al. 1996). Useful range .78 to 1.28; 1 leaves the mel scale (2595 log10(1 + f/700)).
    """
    return LogMel().filterbank(warp)


def filterbanks(warps: Sequence[float]) -> Floats:
    """Several warped filterbanks in one array, float32 [len(warps), 257, 80]."""
    return np.stack([filterbank(warp) for warp in warps])


def warp_grid(count: int = 25, low: float = 0.78, high: float = 1.28) -> tuple[float, ...]:
    """`count` warps evenly spaced in logarithm from low to high, for training to draw from."""
    return tuple(float(w) for w in np.geomspace(low, high, count))


@lru_cache(maxsize=256)
def _filterbank(
    warp: float, n_mels: int, n_fft: int, rate: int, fmin: float, fmax: float
) -> Floats:
    if not 0.5 <= warp <= 2.0:
        raise AudioError(f"the vocal-tract warp must lie in [0.5, 2], got {warp:g}")
    nyquist = rate / 2
    mels = np.linspace(_mel(fmin), _mel(fmax), n_mels + 2)
    centres = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    knee = 0.6875 * nyquist / max(warp, 1.0)  # 5.5 kHz at 16 kHz
    above = warp * knee + (centres - knee) * (nyquist - warp * knee) / (nyquist - knee)
    edges = np.where(centres <= knee, centres * warp, above)
    bins = np.arange(n_fft // 2 + 1) * rate / n_fft
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - left) / (middle - left)
    falling = (right - bins[:, None]) / (right - middle)
    bank = np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)
    # The lowest filters are narrower than a bin: a filter that fell between bins takes the nearest.
    for empty in np.flatnonzero(bank.sum(axis=0) < 1e-3):
        bank[round(float(middle[empty]) * n_fft / rate), empty] = 1.0
    bank.setflags(write=False)
    return bank


def _mel(hertz: float) -> float:
    return float(2595.0 * np.log10(1.0 + hertz / 700.0))


@lru_cache(maxsize=8)
def hann(win: int = 400) -> Floats:
    """The periodic Hann window, float32 [win]; do not write to it."""
    window = (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(win) / win)).astype(np.float32)
    window.setflags(write=False)
    return window


def windowed_dft(win: int = 400, n_fft: int = 512) -> Floats:
    """The Hann window and the DFT as one matrix, float32 [win, 2 * (n_fft // 2 + 1)].

    `frame @ windowed_dft()` holds the real parts, then the imaginary parts, of the spectrum: for
    graphs whose runtime has no fast Fourier transform, or a slow one.
    """
    angle = 2.0 * np.pi * np.outer(np.arange(win), np.arange(n_fft // 2 + 1)) / n_fft
    basis = np.concatenate([np.cos(angle), -np.sin(angle)], axis=1)
    return (hann(win)[:, None] * basis).astype(np.float32)


def torch_log_mel(
    samples: torch.Tensor,
    bank: torch.Tensor | None = None,
    *,
    past: torch.Tensor | None = None,
    basis: torch.Tensor | None = None,
) -> torch.Tensor:
    """The default `LogMel` in torch: the same numbers to 1e-4, on any device, with a gradient.

    samples: [B, N]. bank: [257, 80], or [B, 257, 80] for a warp of its own in each row; the
    unwarped one when None. past: [B, 240], zeros when None. basis: `windowed_dft()` as a tensor
    replaces the FFT by one matrix product, which exports everywhere.
    Returns [B, N // 160, 80] in the type of `samples` (at least float32).
    """
    import torch  # only training reaches this; running a bundle never does

    settings = LogMel()
    x = samples if samples.dtype in (torch.float32, torch.float64) else samples.float()
    if past is None:
        past = x.new_zeros(x.shape[0], settings.tail)
    if bank is None:
        bank = torch.from_numpy(settings.filterbank().copy())  # pyright: ignore[reportUnknownMemberType]
    bank = bank.to(device=x.device, dtype=x.dtype)
    framed = torch.cat([past.to(x.dtype), x], dim=1).unfold(1, settings.win, settings.hop)
    if basis is None:
        window = torch.hann_window(settings.win, device=x.device, dtype=x.dtype)
        fft = cast("Callable[[torch.Tensor, int], torch.Tensor]", torch.fft.rfft)  # pyright: ignore[reportUnknownMemberType]
        spectrum = fft(framed * window, settings.n_fft)
        power = torch.view_as_real(spectrum).square().sum(-1)  # [B, T, 257]
    else:
        parts = framed @ basis.to(device=x.device, dtype=x.dtype)  # [B, T, 514]
        real, imaginary = parts.chunk(2, dim=-1)
        power = real.square() + imaginary.square()
    return torch.log(power @ bank + FLOOR)
