"""The source of the source-filter head: a pulse train that follows the pitch.

A sum of equal cosines at all multiples of f0 up to 7.8 kHz has the closed form of a Dirichlet
kernel, so the train has no aliasing and its level does not depend on f0.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from antiphon.audio import HOP, SAMPLE_RATE
from antiphon.codec.config import PITCH_PER_FRAME

_TOP_HZ = 7_800.0


def pulse_train(f0: Tensor, phase: Tensor, last_f0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pulses at f0; where unvoiced they go on at a pitch nearby, and the filter is to mute them.

    A pitch tracker is late by a hop or two where voice sets in and early where it ends; with
    pulses always there, the filter decides when they sound.

    f0 [B, T * 8] Hz at the end of each hop, 0 = unvoiced; phase [B, 1] in cycles and last_f0
    [B, 1] from the hop before, negative while unvoiced, 0 before any voice -> (samples
    [B, T * 1280] of mean square 1, phase, last_f0).
    """
    batch, hops = f0.shape
    held = _fill(f0, last_f0)
    voiced = f0 > 0
    before = torch.cat([last_f0, torch.where(voiced, held, -held)[:, : hops - 1]], 1)
    # Glide from the pitch before to this one, but not into the voice's first hop.
    start = torch.where(voiced & (before > 0), before, held)[..., None]
    slope = (held[..., None] - start) / HOP
    index = torch.arange(1, HOP + 1, dtype=f0.dtype, device=f0.device)
    hertz = start + slope * index
    cycles = (start * index + slope * (index * (index + 1) / 2)) / SAMPLE_RATE
    # Sum whole hops apart from the samples within one, so that a long signal loses no precision.
    turns = cycles[..., -1] - torch.floor(cycles[..., -1])
    reached = phase.double() + torch.cumsum(turns.double(), 1)
    reached = (reached - torch.floor(reached)).to(f0.dtype)
    begun = torch.cat([phase, reached[:, : hops - 1]], 1)
    cycle = begun[..., None] + cycles
    cycle = cycle - torch.round(cycle)
    count = torch.floor(_TOP_HZ / hertz.clamp(min=50.0))  # harmonics
    sine = torch.sin(math.pi * cycle)
    near = sine.abs() < 1e-4
    safe = torch.where(near, torch.ones_like(sine), sine)
    kernel = torch.sin((2 * count + 1) * math.pi * cycle) / safe
    kernel = torch.where(near, 2 * count + 1, kernel)
    pulses = torch.where(hertz > 0, (kernel - 1) / torch.sqrt(2 * count), torch.zeros_like(kernel))
    last = torch.where(voiced, held, -held)[:, hops - 1 :]
    return pulses.reshape(batch, hops * HOP), reached[:, hops - 1 :], last


def _fill(f0: Tensor, last_f0: Tensor) -> Tensor:
    """Give unvoiced hops the next pitch of their frame, or else the pitch that was last heard."""
    batch, hops = f0.shape
    framed = f0.reshape(batch, -1, PITCH_PER_FRAME)
    for shift in (1, 2, 4):
        later = functional.pad(framed[..., shift:], (0, shift))
        framed = torch.where(framed > 0, framed, later)
    filled = torch.cat([last_f0.abs(), framed.reshape(batch, hops)], 1)
    shift = 1
    while shift <= hops:  # each round reaches twice as far back
        earlier = functional.pad(filled[:, : hops + 1 - shift], (shift, 0))
        filled = torch.where(filled > 0, filled, earlier)
        shift *= 2
    return filled[:, 1:]
