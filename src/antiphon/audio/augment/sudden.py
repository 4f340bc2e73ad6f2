"""Sudden sounds beside a telephone: throats, knocks, tunes, crockery. They ask for no answer.

What evaluation plays at an agent is made by other code (antiphon.evaluation.noises).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.augment import kitchen
from antiphon.audio.augment.noise import coloured, log_uniform

Floats = npt.NDArray[np.float32]


def sudden(length: int, rng: np.random.Generator) -> Floats:
    """`length` samples of silence with a sound of about one level in every eight seconds or so."""
    out = np.zeros(length, np.float32)
    for _ in range(1 + int(rng.poisson(length / SAMPLE_RATE / 8))):
        sound = _SOUNDS[int(rng.integers(len(_SOUNDS)))](rng)
        at = int(rng.integers(0, max(1, length - SAMPLE_RATE // 4)))
        part = sound[: length - at]
        peak = float(np.abs(part).max(initial=0.0))
        if peak > 0:
            out[at : at + len(part)] += part * np.float32(rng.uniform(0.3, 1.0) / peak)
    return out


def throat(rng: np.random.Generator) -> Floats:
    """A cough, a sneeze, a sniff, a cleared throat: breath, once or a few times."""
    puffs: list[Floats] = []
    tint = rng.uniform(-0.5, 1.5)
    for _ in range(int(rng.integers(1, 5))):
        size = int(log_uniform(0.06, 0.5, rng) * SAMPLE_RATE)
        breath = coloured(size, tint, rng)
        if rng.random() < 0.5:  # the folds sound too
            pitch = log_uniform(80.0, 400.0, rng)
            ticks = np.arange(size) * pitch / SAMPLE_RATE
            breath = breath * np.float32(0.5) + ((ticks % 1.0) < 0.15).astype(np.float32)
        place = np.linspace(0.0, 1.0, size, dtype=np.float32)
        attack = rng.uniform(0.02, 0.6)
        shape = np.minimum(place / attack, ((1.0 - place) / (1.0 - attack)) ** 2)
        gap = np.zeros(int(rng.uniform(0.02, 0.4) * SAMPLE_RATE), np.float32)
        puffs += [(breath * shape).astype(np.float32), gap]
    return np.concatenate(puffs)


def knocks(rng: np.random.Generator) -> Floats:
    """Somebody at a door, a chair, steps, a thing that falls."""
    count = int(rng.integers(1, 7))
    period = rng.uniform(0.1, 0.6)
    hits = [kitchen.thud(rng) for _ in range(count)]
    starts = [int(i * period * rng.uniform(0.85, 1.15) * SAMPLE_RATE) for i in range(count)]
    out = np.zeros(max(s + len(h) for s, h in zip(starts, hits, strict=True)), np.float32)
    for start, hit in zip(starts, hits, strict=True):
        out[start : start + len(hit)] += hit
    return out


def tune(rng: np.random.Generator) -> Floats:
    """A ringing telephone, a radio next door, a doorbell: notes of a few harmonics in a row."""
    notes: list[Floats] = []
    base, harmonics = log_uniform(150.0, 1_200.0, rng), int(rng.integers(1, 6))
    length, fall = log_uniform(0.07, 0.7, rng), rng.uniform(0.0, 8.0)
    for _ in range(int(rng.integers(2, 14))):
        pitch = base * 2.0 ** (int(rng.integers(-7, 8)) / 12.0)
        seconds = np.arange(int(length * SAMPLE_RATE)) / SAMPLE_RATE
        wave = np.zeros(len(seconds))
        for k in range(1, harmonics + 1):
            if k * pitch < SAMPLE_RATE / 2:
                wave += np.sin(2 * np.pi * k * pitch * seconds) / k
        notes.append((wave * np.exp(-fall * seconds)).astype(np.float32))
    return np.concatenate(notes)


_SOUNDS: tuple[Callable[[np.random.Generator], Floats], ...] = (
    throat,
    throat,
    knocks,
    tune,
    kitchen.plate,
    kitchen.rustle,
    kitchen.beep,
)
