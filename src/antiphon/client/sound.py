"""Samples as they travel in events: base64 of 16-bit little-endian PCM."""

from __future__ import annotations

import base64
import binascii

import numpy as np
import numpy.typing as npt

from antiphon.client.events import Samples
from antiphon.errors import AudioError

RATE = 24_000  # Hz, the one rate that the protocol has for PCM
_LOUDEST = 100.0  # beyond that they are no samples in +-1


def checked(samples: npt.ArrayLike) -> Samples:
    """Samples as float32 [N]. Raises AudioError for what is not one channel in +-1."""
    given = np.asarray(samples)
    if given.ndim != 1 or (len(given) and not np.issubdtype(given.dtype, np.floating)):
        raise AudioError(
            f"a call takes float samples [N] in +-1, got {given.dtype} of shape {given.shape}"
        )
    sound = given.astype(np.float32, copy=False)
    # NaN fails the comparison, as infinity does.
    if len(sound) and not float(np.abs(sound).max()) <= _LOUDEST:
        raise AudioError("the samples hold NaN, infinity or integers; they must be floats in +-1")
    return sound


def pcm(samples: Samples) -> bytes:
    """float32 [N] as 16-bit little-endian samples; what is louder than +-1 is clipped."""
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype("<i2").tobytes()


def from_pcm(raw: bytes) -> Samples:
    """16-bit little-endian samples as float32 [N]. Raises ValueError for half a sample."""
    if len(raw) % 2:
        raise ValueError("half a sample of audio")
    return np.frombuffer(raw, dtype="<i2").astype(np.float32) / np.float32(32768.0)


def encode(samples: Samples) -> str:
    """float32 [N] as text."""
    return base64.b64encode(pcm(samples)).decode("ascii")


def decode(text: str) -> Samples:
    """Text as float32 [N]. Raises ValueError for what is no sound."""
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("audio that is not base64") from None
    return from_pcm(raw)
