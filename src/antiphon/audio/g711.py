"""G.711, the telephone's 8-bit companding: mu-law (PCMU) and A-law (PCMA).

In and out: int16 or float samples and uint8 codes, one a sample; the rate (8 kHz on a telephone)
is not its business. Bit exact to the reference of ITU-T G.191; -1 is the smallest negative
magnitude there (one's complement), not a step of its own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from antiphon.errors import AudioError

Codes = npt.NDArray[np.uint8]
Pcm = npt.NDArray[np.int16]
Floats = npt.NDArray[np.float32]

_BIAS = 33  # added to the 14-bit magnitude, so that every mu-law segment starts at a power of two


def encode_mulaw(samples: npt.NDArray[Any]) -> Codes:
    """mu-law codes, uint8 [...], of int16 or float (+-1) samples [...]."""
    return _mulaw_codes()[_index(samples)]


def decode_mulaw(codes: npt.NDArray[np.uint8] | bytes) -> Pcm:
    """Samples, int16 [...], of mu-law codes (uint8 [...] or the bytes of a packet)."""
    return _mulaw_samples()[_as_codes(codes)]


def encode_alaw(samples: npt.NDArray[Any]) -> Codes:
    """A-law codes, uint8 [...], of int16 or float (+-1) samples [...]."""
    return _alaw_codes()[_index(samples)]


def decode_alaw(codes: npt.NDArray[np.uint8] | bytes) -> Pcm:
    """Samples, int16 [...], of A-law codes (uint8 [...] or the bytes of a packet)."""
    return _alaw_samples()[_as_codes(codes)]


def to_float(samples: Pcm) -> Floats:
    """int16 samples as float32, +-1 full scale."""
    return samples.astype(np.float32) / np.float32(32768.0)


def _index(samples: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """The row of each sample in a table of all 65,536 int16 values."""
    x = np.asarray(samples)
    if x.dtype == np.int16:
        return x.view(np.uint16)
    if not np.issubdtype(x.dtype, np.floating):
        raise AudioError(f"G.711 encodes int16 or float samples, not {x.dtype}")
    if not np.isfinite(x).all():
        raise AudioError("G.711 cannot encode NaN or infinity")
    return np.clip(np.rint(x * 32768.0), -32768, 32767).astype(np.int16).view(np.uint16)


def _as_codes(codes: npt.NDArray[np.uint8] | bytes) -> Codes:
    if isinstance(codes, bytes):
        return np.frombuffer(codes, dtype=np.uint8)
    if codes.dtype != np.uint8:
        raise AudioError(f"G.711 codes are uint8, not {codes.dtype}")
    return codes


def _every_sample() -> npt.NDArray[np.int32]:
    return np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)


@lru_cache(maxsize=1)
def _mulaw_codes() -> Codes:
    x = _every_sample()
    magnitude = np.minimum((np.where(x < 0, ~x, x) >> 2) + _BIAS, 0x1FFF)  # 13 bits
    segment = np.floor(np.log2(magnitude)).astype(np.int32) - 5  # 0 to 7
    step = (magnitude >> (segment + 1)) & 0xF
    sign = np.where(x < 0, 0x00, 0x80)
    return (sign | ((7 - segment) << 4) | (15 - step)).astype(np.uint8)


@lru_cache(maxsize=1)
def _mulaw_samples() -> Pcm:
    code = ~np.arange(256, dtype=np.uint8)
    segment = (code >> 4).astype(np.int32) & 7
    magnitude = ((((code & 0xF).astype(np.int32) << 1) + _BIAS) << segment) - _BIAS
    return (np.where(code & 0x80, -magnitude, magnitude) * 4).astype(np.int16)


@lru_cache(maxsize=1)
def _alaw_codes() -> Codes:
    x = _every_sample()
    magnitude = np.where(x < 0, ~x, x) >> 4  # 11 bits
    # The lowest two segments have the same step; from the third on each step doubles.
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 3, 0)
    step = np.where(segment == 0, magnitude, (magnitude >> np.maximum(segment - 1, 0)) - 16)
    sign = np.where(x < 0, 0x00, 0x80)
    return ((sign | (segment << 4) | step) ^ 0x55).astype(np.uint8)


@lru_cache(maxsize=1)
def _alaw_samples() -> Pcm:
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    segment = (code >> 4).astype(np.int32) & 7
    step = (code & 0xF).astype(np.int32)
    low = (step << 4) + 8
    high = (low + 0x100) << np.maximum(segment - 1, 0)
    magnitude = np.where(segment == 0, low, high)
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)
