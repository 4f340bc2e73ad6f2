"""Stand-ins for what evaluation listens with: a judge, a voice, a codec of random weights."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from antiphon.corpus.voices.speech import Speech

SAID = "a large latte coming up"  # what the scripted agent answers


class Ear:
    """A judge that hears what it was told to, one after another, the last again and again."""

    def __init__(self, *heard: str) -> None:
        self.heard = list(heard)

    def transcribe(self, samples: np.ndarray, /) -> str:
        return self.heard.pop(0) if len(self.heard) > 1 else self.heard[0]


class Voice:
    """Says anything as a second of a tone."""

    name, speaker = "tone", "agent"

    def speak(self, text: str, rng: random.Random, tone: str = "neutral") -> Speech:
        return Speech(buzz(1.0), ((text, 0.0, 1.0),), 0.0, 1.0)


class OneVoice:
    """All voices, where only the agent's is asked for."""

    agent = Voice()

    def __enter__(self) -> OneVoice:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def buzz(seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * 16_000)) / 16_000
    return (0.2 * np.sin(2 * np.pi * 200 * time)).astype(np.float32)


def codec(folder: Path) -> Path:
    """A tiny codec saved in `folder`."""
    import torch

    from antiphon.codec.config import CodecConfig
    from antiphon.codec.model import Codec

    small = CodecConfig(
        codebook_size=32,
        latent=8,
        encoder_fine=16,
        encoder_fine_blocks=1,
        encoder_coarse=16,
        encoder_coarse_blocks=1,
        decoder_coarse=16,
        decoder_coarse_blocks=1,
        decoder_middle=16,
        decoder_middle_blocks=1,
        decoder_fine=16,
        decoder_fine_blocks=1,
    )
    torch.manual_seed(0)
    Codec(small).save(folder)
    return folder
