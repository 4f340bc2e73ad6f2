"""The sounds of a kitchen or a café, made from scratch: the noise an order is spoken over.

Struck things are sums of decaying partials (modal synthesis: metal rings long and inharmonic,
crockery short and dense, wood and steps low); water, steam and grinders are shaped noise.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.augment.noise import coloured, hum, log_uniform, swell

Floats = npt.NDArray[np.float32]


def clatter(length: int, rng: np.random.Generator) -> Floats:
    """`length` samples of a kitchen at work: a quiet bed and many sounds on top of it."""
    out = coloured(length, rng.uniform(0.3, 1.8), rng) * np.float32(log_uniform(0.01, 0.3, rng))
    if rng.random() < 0.3:
        out += appliance(length, rng) * np.float32(rng.uniform(0.03, 0.4))
    if rng.random() < 0.3:
        out += water(length, rng) * np.float32(rng.uniform(0.03, 0.5))
    busy = log_uniform(0.5, 12.0, rng)  # sounds a second
    taste = rng.dirichlet(np.full(len(_STRUCK), 0.7))  # one kitchen is all plates, another cutlery
    for _ in range(int(rng.poisson(busy * length / SAMPLE_RATE))):
        sound = _STRUCK[int(rng.choice(len(_STRUCK), p=taste))](rng)
        at = int(rng.integers(-len(sound) // 2, length))
        begin, end = max(at, 0), min(at + len(sound), length)
        if end > begin:
            loud = np.float32(np.exp(float(rng.normal(-0.5, 0.7))))
            out[begin:end] += sound[begin - at : end - at] * loud
    return out


def ring(rng: np.random.Generator) -> Floats:
    """Cutlery, a glass or a pan: few inharmonic partials that ring, after a click."""
    count = int(rng.integers(2, 8))
    lowest = log_uniform(500.0, 4500.0, rng)
    hertz = lowest * np.concatenate([[1.0], rng.uniform(1.2, 5.0, count - 1)])
    return _strike(hertz, rng.uniform(0.02, 0.25, count), rng, click=rng.uniform(0.1, 1.0))


def plate(rng: np.random.Generator) -> Floats:
    """Crockery: dense short partials, often bouncing to rest."""
    count = int(rng.integers(5, 12))
    hertz = np.geomspace(900.0, 7000.0, count) * rng.uniform(0.7, 1.15, count)
    hit = _strike(hertz, rng.uniform(0.004, 0.04, count), rng, click=rng.uniform(0.5, 2.0))
    bounces = int(rng.integers(1, 6))
    interval, shrink = rng.uniform(0.04, 0.2), rng.uniform(0.5, 0.95)
    starts = np.cumsum([0.0, *(interval * shrink**k for k in range(bounces - 1))])
    out = np.zeros(int(starts[-1] * SAMPLE_RATE) + len(hit), np.float32)
    for number, start in enumerate(starts):
        at = int(start * SAMPLE_RATE)
        out[at : at + len(hit)] += hit * np.float32(rng.uniform(0.5, 0.9) ** number)
    return out


def thud(rng: np.random.Generator) -> Floats:
    """A step, a cupboard, a box set down: low partials and a dull knock."""
    count = int(rng.integers(2, 5))
    hertz = np.array([log_uniform(50.0, 500.0, rng) for _ in range(count)])
    return _strike(hertz, rng.uniform(0.01, 0.07, count), rng, click=rng.uniform(0.0, 0.4))


def rustle(rng: np.random.Generator) -> Floats:
    """Paper, a bag, a cloth, steam from a wand: a burst of noise with a soft or a hard start."""
    length = int(SAMPLE_RATE * log_uniform(0.05, 1.2, rng))
    burst = coloured(length, rng.uniform(-1.0, 1.0), rng)
    attack = rng.uniform(0.01, 0.5)
    place = np.linspace(0.0, 1.0, length, dtype=np.float32)
    shape = np.minimum(place / np.float32(attack), (1.0 - place) / np.float32(1.0 - attack))
    if rng.random() < 0.5:
        shape = shape * _crackle(length, rng)
    return burst * shape.astype(np.float32) * np.float32(0.4)


def beep(rng: np.random.Generator) -> Floats:
    """A timer or a till: one to four equal tones."""
    hertz, on = rng.uniform(700.0, 3500.0), rng.uniform(0.05, 0.3)
    seconds = np.arange(int(on * SAMPLE_RATE), dtype=np.float32) / np.float32(SAMPLE_RATE)
    tone = np.sin(2.0 * np.pi * hertz * seconds)
    tone += rng.uniform(0.0, 0.5) * np.sin(6.0 * np.pi * hertz * seconds)  # squarer than a sine
    gap = np.zeros(int(rng.uniform(0.3, 1.0) * len(tone)))
    return np.tile(np.concatenate([tone, gap]), int(rng.integers(1, 5))).astype(np.float32)


def water(length: int, rng: np.random.Generator) -> Floats:
    """A tap, a pour, something frying: broadband noise with fine-grained fluctuation."""
    stream = coloured(length, rng.uniform(-0.5, 1.2), rng)
    grain = _crackle(length, rng)
    stream *= np.float32(0.3) + np.float32(0.7) * grain
    stream *= swell(length, rng, floor=rng.uniform(0.0, 0.8))
    return stream


def appliance(length: int, rng: np.random.Generator) -> Floats:
    """A fridge, an extractor, a grinder: hum and rush, steady or switched on and off."""
    out = hum(length, rng)
    if rng.random() < 0.4:
        running = swell(length, rng) > rng.uniform(0.05, 0.4)
        # A motor takes about 50 ms to start and stop.
        ramp = np.interp(np.arange(length), np.arange(0, length, 800), running[::800])
        out = out * ramp.astype(np.float32)
    return out


def _strike(
    hertz: npt.NDArray[np.float64],
    decays: npt.NDArray[np.float64],
    rng: np.random.Generator,
    *,
    click: float,
) -> Floats:
    """Decaying partials at `hertz`, falling by e in `decays` seconds, and a click of noise."""
    length = int(min(4.0 * float(decays.max()), 0.8) * SAMPLE_RATE) + 64
    seconds = np.arange(length, dtype=np.float32) / np.float32(SAMPLE_RATE)
    out = np.zeros(length, np.float32)
    for frequency, decay, level in zip(
        hertz, decays, rng.uniform(0.2, 1.0, len(hertz)), strict=True
    ):
        if frequency >= SAMPLE_RATE / 2:
            continue
        sounding = slice(0, min(length, int(5.0 * decay * SAMPLE_RATE) + 1))
        t = seconds[sounding]
        angle = np.float32(2.0 * np.pi * frequency) * t + np.float32(rng.uniform(0.0, 6.3))
        out[sounding] += np.float32(level) * np.sin(angle) * np.exp(t * np.float32(-1.0 / decay))
    knock = int(rng.integers(16, 64))
    out[:knock] += rng.standard_normal(knock, dtype=np.float32) * np.linspace(
        click, 0.0, knock, dtype=np.float32
    )
    return out


def _crackle(length: int, rng: np.random.Generator) -> Floats:
    """An envelope that jumps every few milliseconds, as bubbles and folds do."""
    grain = int(rng.integers(40, 400))
    jumps = rng.exponential(0.6, length // grain + 2).clip(0.0, 3.0)
    return np.repeat(jumps.astype(np.float32), grain)[:length]


_STRUCK: tuple[Callable[[np.random.Generator], Floats], ...] = (
    ring,
    plate,
    thud,
    rustle,
    ring,
    plate,
    beep,
)
