"""Values to codes and back: the pitch contour by k-means, the timbre by residual codebooks.

Neither sees gradients: the pitch codebooks are fitted once, the timbre codebooks follow running
means (van den Oord et al. 2017, appendix A) and a straight-through estimate feeds the encoder.
"""

# torch and the measures leave some types open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from antiphon.codec.config import PITCH_PER_FRAME

REFERENCE_HZ = 150.0  # pitch is coded as log(f0 / REFERENCE_HZ)
_PITCH_WEIGHT = 400.0  # an error of 5 % in pitch costs as much as a wrong voicing bit
_PIECE = 65_536  # rows compared at a time: bounds memory
_DEAD = 0.02  # a code used this much less than its fair share is given a new place


class PitchQuantiser(nn.Module):
    """80 ms of pitch <-> 2 codes: the contour with its voicing, then what the first left over.

    The books hold Hz and ratios, not logarithms: a decoded pitch is then one product, the same to
    the last bit in every runtime, and the phase that is summed from it does not drift.
    """

    contour: Tensor  # [K, 8] Hz
    voicing: Tensor  # [K, 8] share of voiced, 0 to 1
    residual: Tensor  # [K, 8] ratio to the contour

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("contour", torch.full((size, PITCH_PER_FRAME), REFERENCE_HZ))
        self.register_buffer("voicing", torch.zeros(size, PITCH_PER_FRAME))
        self.register_buffer("residual", torch.ones(size, PITCH_PER_FRAME))

    @torch.no_grad()
    def fit(self, f0: Tensor, iterations: int = 15) -> None:
        """Fit both codebooks by masked k-means to f0 [M, 8], Hz, 0 = unvoiced."""
        log, voiced = _log_pitch(f0)
        filled = torch.where(voiced > 0, log, log.sum() / voiced.sum().clamp(min=1))
        start = _draw(len(f0), self.size)
        contour, voicing = filled[start], voiced[start]
        for _ in range(iterations):
            index = _first(log, voiced, contour, voicing)
            count, heard = _count(index, self.size), _sum(index, voiced, self.size)
            mean = _sum(index, log, self.size) / heard.clamp(min=1)
            contour = torch.where(heard > 0, mean, contour)
            voicing = heard / count.clamp(min=1)[:, None]
            dead = count < 1
            pick = _draw(len(f0), int(dead.sum()))
            contour[dead], voicing[dead] = filled[pick], voiced[pick]
        index = _first(log, voiced, contour, voicing)
        mask = voiced * (voicing[index] > 0.5)
        rest = (log - contour[index]) * mask
        residual = rest[_draw(len(f0), self.size)]
        for _ in range(iterations):
            index = _second(rest, mask, residual)
            heard = _sum(index, mask, self.size).clamp(min=1)
            residual = _sum(index, rest, self.size) / heard
            dead = _count(index, self.size) < 1
            residual[dead] = rest[_draw(len(f0), int(dead.sum()))]
        self.contour.copy_(REFERENCE_HZ * torch.exp(contour))
        self.voicing.copy_(voicing)
        self.residual.copy_(torch.exp(residual))

    def encode(self, f0: Tensor) -> Tensor:
        """f0 [B, T * 8] Hz, 0 = unvoiced -> codes int64 [B, T, 2]."""
        log, voiced = _log_pitch(f0.reshape(-1, PITCH_PER_FRAME))
        contour = torch.log(self.contour / REFERENCE_HZ)
        first = _first(log, voiced, contour, self.voicing)
        mask = voiced * (self.voicing[first] > 0.5)
        second = _second((log - contour[first]) * mask, mask, torch.log(self.residual))
        return torch.stack([first, second], 1).reshape(f0.shape[0], -1, 2)

    def decode(self, codes: Tensor) -> Tensor:
        """codes int64 [B, T, 2] -> f0 [B, T * 8] Hz, 0 = unvoiced."""
        first, second = codes[..., 0], codes[..., 1]
        f0 = self.contour[first] * self.residual[second]
        return torch.where(self.voicing[first] > 0.5, f0, torch.zeros_like(f0)).flatten(1)


class ResidualQuantiser(nn.Module):
    """Latents [B, T, D] <-> codes [B, T, Q]; each codebook takes what the ones before it left."""

    codebooks: Tensor
    counts: Tensor
    ready: Tensor

    def __init__(self, books: int, size: int, width: int, decay: float = 0.98) -> None:
        super().__init__()
        self.books, self.size, self.width, self.decay = books, size, width, decay
        self.register_buffer("codebooks", torch.zeros(books, size, width))
        self.register_buffer("counts", torch.ones(books, size))
        self.register_buffer("ready", torch.zeros(()))

    @torch.no_grad()
    def fit(self, latents: Tensor, iterations: int = 8) -> None:
        """Start the codebooks by k-means on latents [M, D], one after another."""
        rest = latents.float().clone()
        for book in range(self.books):
            centres = rest[_draw(len(rest), self.size)].clone()
            for _ in range(iterations):
                index = _nearest(rest, centres)
                count = _count(index, self.size)
                centres = _sum(index, rest, self.size) / count.clamp(min=1)[:, None]
                dead = count < 1
                centres[dead] = rest[_draw(len(rest), int(dead.sum()))]
            rest = rest - centres[_nearest(rest, centres)]
            self.codebooks[book] = centres
        self.counts.fill_(1.0)
        self.ready.fill_(1.0)

    def encode(self, latents: Tensor) -> Tensor:
        """latents [B, T, D] -> codes int64 [B, T, Q]."""
        rest = latents.float().flatten(0, 1)
        codes: list[Tensor] = []
        for book in range(self.books):
            index = _nearest(rest, self.codebooks[book])
            codes.append(index)
            rest = rest - self.codebooks[book][index]
        return torch.stack(codes, 1).reshape(*latents.shape[:2], self.books)

    def decode(self, codes: Tensor) -> Tensor:
        """codes int64 [B, T, Q] -> latents [B, T, D]."""
        total = self.codebooks[0][codes[..., 0]]
        for book in range(1, self.books):
            total = total + self.codebooks[book][codes[..., book]]
        return total

    def learn(self, latents: Tensor, dropout: float) -> tuple[Tensor, Tensor, Tensor]:
        """One training step: quantise, move the codebooks, and let gradients through.

        A share `dropout` of the batch keeps only some first codebooks, so that few codes work.
        Returns (latents [B, T, D] quantised, commitment loss, codes [B, T, Q]).
        """
        batch, frames, _ = latents.shape
        flat = latents.float().flatten(0, 1)
        rest, total = flat.detach(), torch.zeros_like(flat)
        kept = torch.full((batch,), self.books, device=flat.device)
        shortened = torch.rand(batch, device=flat.device) < dropout
        short = torch.randint(1, self.books + 1, (batch,), device=flat.device)
        kept = torch.where(shortened, short, kept).repeat_interleave(frames)
        codes: list[Tensor] = []
        with torch.no_grad():
            for book in range(self.books):
                index = _nearest(rest, self.codebooks[book])
                chosen = self.codebooks[book][index]
                self._follow(book, index, rest)
                total = torch.where((kept > book)[:, None], total + chosen, total)
                rest = rest - chosen
                codes.append(index)
        loss = functional.mse_loss(flat, total)
        out = (flat + (total - flat).detach()).reshape(latents.shape)
        return out, loss, torch.stack(codes, 1).reshape(batch, frames, self.books)

    def _follow(self, book: int, index: Tensor, rest: Tensor) -> None:
        """Move a codebook's entries to the running mean of what chose them."""
        counts, entries = self.counts[book], self.codebooks[book]
        seen = _count(index, self.size) * (1 - self.decay)
        before = counts * self.decay
        after = (before + seen).clamp(min=1e-9)
        moved = entries * before[:, None] + _sum(index, rest, self.size) * (1 - self.decay)
        entries.copy_(moved / after[:, None])
        counts.copy_(after)
        fair = _DEAD * len(index) / self.size
        dead = counts < fair
        entries[dead] = rest[torch.randint(len(rest), (int(dead.sum()),), device=rest.device)]
        counts[dead] = 8 * fair


def _log_pitch(f0: Tensor) -> tuple[Tensor, Tensor]:
    voiced = (f0 > 0).float()
    return torch.log(f0.clamp(min=40.0) / REFERENCE_HZ) * voiced, voiced


def _first(log: Tensor, voiced: Tensor, contour: Tensor, voicing: Tensor) -> Tensor:
    """The entry whose pitch is nearest where x is voiced and whose voicing is nearest."""
    out: list[Tensor] = []
    for part, heard in zip(log.split(_PIECE), voiced.split(_PIECE), strict=True):
        pitch = heard @ (contour * contour).T - 2 * part @ contour.T
        voice = (voicing * voicing).sum(1) - 2 * heard @ voicing.T
        out.append((_PITCH_WEIGHT * pitch + voice).argmin(1))
    return torch.cat(out)


def _second(rest: Tensor, mask: Tensor, residual: Tensor) -> Tensor:
    """The entry nearest to what the first left over, where both are voiced."""
    out: list[Tensor] = []
    for part, kept in zip(rest.split(_PIECE), mask.split(_PIECE), strict=True):
        out.append((kept @ (residual * residual).T - 2 * part @ residual.T).argmin(1))
    return torch.cat(out)


def _nearest(x: Tensor, centres: Tensor) -> Tensor:
    # |x - c|^2 without |x|^2, which is the same for every c.
    return torch.addmm((centres * centres).sum(1), x, centres.T, alpha=-2).argmin(1)


def _draw(among: int, number: int) -> Tensor:
    """`number` indices below `among`, without repeats while they last."""
    if number <= among:
        return torch.randperm(among)[:number]
    return torch.cat([torch.randperm(among), torch.randint(among, (number - among,))])


def _count(index: Tensor, size: int) -> Tensor:
    return torch.bincount(index, minlength=size).float()


def _sum(index: Tensor, values: Tensor, size: int) -> Tensor:
    return values.new_zeros(size, values.shape[1]).index_add_(0, index, values)
