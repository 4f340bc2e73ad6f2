"""A tiny codec and a little voiced sound, so that every test takes milliseconds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from antiphon.codec.config import CodecConfig
from antiphon.codec.model import Codec
from antiphon.codec.pitch import track

Vowel = Callable[..., np.ndarray]

TINY = CodecConfig(
    codebook_size=32,
    latent=8,
    encoder_fine=16,
    encoder_fine_blocks=2,
    encoder_coarse=24,
    encoder_coarse_blocks=1,
    decoder_coarse=24,
    decoder_coarse_blocks=2,
    decoder_middle=16,
    decoder_middle_blocks=2,
    decoder_fine=16,
    decoder_fine_blocks=1,
)


def _vowel(hertz: float, seconds: float, seed: int = 0) -> np.ndarray:
    """A buzz at a gliding pitch with two resonances, fading in and out, and a little noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * 16_000)) / 16_000
    pitch = hertz * (1 + 0.05 * np.sin(2 * np.pi * 0.7 * time))
    phase = 2 * np.pi * np.cumsum(pitch) / 16_000
    harmonics = [
        np.cos(k * phase) / (1 + ((k * hertz - 600) / 300) ** 2)
        for k in range(1, int(7000 / hertz))
    ]
    fade = np.minimum(1, np.minimum(time, time[::-1]) * 20)
    sound = np.sum(harmonics, 0) * fade * 0.1 + rng.normal(0, 1e-3, len(time))
    return sound.astype(np.float32)


@pytest.fixture(scope="session")
def vowel() -> Vowel:
    """The function that makes a vowel: (hertz, seconds, seed=0) -> float32 [N]."""
    return _vowel


@pytest.fixture
def tiny() -> Codec:
    """Random weights, but codebooks fitted to something, as training would."""
    torch.manual_seed(0)
    codec = Codec(TINY)
    samples = np.concatenate([_vowel(110, 2.0), _vowel(210, 2.0, seed=1)])
    f0 = torch.from_numpy(track(samples))
    codec.decoder.pitch.fit(f0[: len(f0) // 8 * 8].reshape(-1, 8))
    codec.decoder.timbre.codebooks.normal_(0, 0.5)
    return codec.eval()
