"""The caller's line: every family in the order in which a real voice meets them.

Room and microphone, level, noise, overload, noise gate, telephone, lost packets. The strength
ramps from 0 (nothing is changed) to 1 (the full recipe): training that starts at full strength
stalls, and training that never reaches it does not hear real people.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from antiphon.audio.augment import kitchen, line, noise
from antiphon.audio.augment.filtering import draw_distance, draw_response, linear
from antiphon.audio.augment.level import BLOCK, loudest_block
from antiphon.audio.augment.noise import log_uniform
from antiphon.audio.augment.packets import lose_packets
from antiphon.audio.augment.room import room_bank
from antiphon.audio.augment.sudden import sudden
from antiphon.errors import AudioError

Floats = npt.NDArray[np.float32]

_QUIET = 1e-4 * BLOCK  # energy of a block at -40 dB: the voice that noise alone is measured by


@dataclass(frozen=True, eq=False)
class CallerLine:
    """Turns a clean caller's channel into one from a telephone, a kitchen or a hall.

    strength: 0 to 1, scales how often and how far each family acts.
    noises: utterances of other people, [N] each in any scale, from which babble is made.
    recordings: noise recordings, [N] each in any scale; random stretches are played.
    Everything is 16 kHz. The result has the length of the input and no delay.
    """

    strength: float = 1.0
    noises: Sequence[npt.NDArray[Any]] = field(default=(), repr=False)
    recordings: Sequence[npt.NDArray[Any]] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not 0.0 <= self.strength <= 1.0:
            raise AudioError(f"the augmentation strength must lie in [0, 1], got {self.strength:g}")

    def at(self, strength: float) -> CallerLine:
        """The same line at another strength."""
        return replace(self, strength=strength)

    def __call__(self, samples: Floats, rng: np.random.Generator) -> Floats:
        """samples: float32 [N], +-1. Returns new float32 [N] within +-1."""
        x = np.asarray(samples, dtype=np.float32)
        if x.ndim != 1:
            raise AudioError(f"the caller's line takes one channel [N], got shape {x.shape}")
        power = self.strength
        if power == 0.0 or len(x) == 0:
            return x.copy()
        rooms = room_bank()
        room = rooms[int(rng.integers(len(rooms)))] if rng.random() < 0.5 * power else None
        x = linear(x, room, draw_response(rng, power))
        x = line.set_peak(x, rng.uniform(-24.0, -1.0), power)
        if rng.random() < 0.8 * power:
            for _ in range(1 if rng.random() < 0.7 else 2):
                x = self._with_noise(x, rng)
        if rng.random() < 0.3 * power:
            x = self._with_sudden(x, rng)
        if rng.random() < 0.06 * power:
            x = line.overload(x, rng, power)
        if rng.random() < 0.13 * power:
            x = line.gate(x, rng)
        x = _within_full_scale(x)
        if rng.random() < 0.12 * power:
            x = line.telephone(x, rng) if rng.random() < 0.6 else line.mulaw(x)
        if rng.random() < 0.1 * power:
            x = lose_packets(x, rng, power)
        return np.clip(x, -1.0, 1.0).astype(np.float32)

    def _with_noise(self, x: Floats, rng: np.random.Generator) -> Floats:
        """x [N] with one noise at a random ratio of loudest blocks."""
        low = 25.0 * (1.0 - self.strength)
        snr = rng.uniform(low, 25.0) if rng.random() < 0.65 else rng.uniform(max(low, 10.0), 45.0)
        disturbance = self._draw_noise(len(x), snr, rng)
        if rng.random() < 0.5:  # from across the room: reverberant and dull
            rooms = room_bank()
            room = rooms[int(rng.integers(len(rooms)))]
            disturbance = linear(disturbance, room, draw_distance(rng))
        if rng.random() < 0.2:  # comes and goes during the call
            disturbance = disturbance * noise.swell(len(x), rng)
        energy = loudest_block(disturbance)
        if energy < 1e-9:
            return x
        voice = loudest_block(x) if x.any() else _QUIET * log_uniform(0.1, 10.0, rng)
        gain = math.sqrt(voice / energy * 10.0 ** (-snr / 10.0))
        return (x + disturbance * np.float32(gain)).astype(np.float32)

    def _with_sudden(self, x: Floats, rng: np.random.Generator) -> Floats:
        """x [N] with some sounds as loud as the voice, or up to 14 dB softer."""
        sounds = sudden(len(x), rng)
        voice = loudest_block(x) if x.any() else _QUIET * log_uniform(0.1, 10.0, rng)
        gain = math.sqrt(voice / max(loudest_block(sounds), 1e-9))
        return (x + sounds * np.float32(gain * 10.0 ** (rng.uniform(-14.0, 2.0) / 20.0))).astype(
            np.float32
        )

    def _draw_noise(self, length: int, snr: float, rng: np.random.Generator) -> Floats:
        kinds = ["clatter", "coloured", "hum"]
        weights = [0.4, 0.15, 0.08]
        if len(self.noises):
            kinds.append("babble")
            weights.append(0.45)
        if len(self.recordings):
            kinds.append("recording")
            weights.append(0.4)
        share = np.array(weights) / sum(weights)
        kind = kinds[int(rng.choice(len(kinds), p=share))]
        if kind == "babble":
            # One voice as loud as the caller's is another caller, not noise: nothing could tell.
            counts = [1, 2, 3, 5, 8] if snr > 8.0 else [3, 5, 8]
            return noise.babble(length, self.noises, int(rng.choice(counts)), rng)
        if kind == "recording":
            which = self.recordings[int(rng.integers(len(self.recordings)))]
            return noise.crop(length, which, rng)
        if kind == "clatter":
            return kitchen.clatter(length, rng)
        if kind == "hum":
            return kitchen.appliance(length, rng)
        return noise.coloured(length, rng.uniform(0.0, 2.2), rng)


def caller_line(level: float) -> CallerLine:
    """The caller's line at strength `level` (0 to 1) with generated noise only."""
    return CallerLine(level)


def _within_full_scale(x: Floats) -> Floats:
    """Turned down, not clipped, when noise has pushed it over full scale."""
    peak = float(np.max(np.abs(x), initial=0.0))
    return x * np.float32(0.99 / peak) if peak > 0.99 else x
