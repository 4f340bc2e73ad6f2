"""Loudness and mixing at a signal-to-noise ratio.

The ratio compares the greatest energy of any block of 2,048 samples of each signal, which is how
the public speech-to-intent benchmark (Picovoice) mixes its kitchen noise: pauses in the speech and
gaps in the noise then do not count.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from antiphon.errors import AudioError

Floats = npt.NDArray[np.float32]

BLOCK = 2_048  # samples: 128 ms at 16 kHz


def loudest_block(samples: npt.ArrayLike) -> float:
    """The greatest energy (sum of squares) of any whole block of 2,048 samples of [N].

    What is left after the last whole block does not count; shorter signals are one block.
    """
    x = np.asarray(samples, dtype=np.float32)
    if x.ndim != 1:
        raise AudioError(f"loudness needs one channel [N], got shape {x.shape}")
    if len(x) < BLOCK:
        return float(np.dot(x, x))
    blocks = x[: len(x) // BLOCK * BLOCK].reshape(-1, BLOCK)
    return float(np.einsum("tb,tb->t", blocks, blocks).max())


def mix_at_snr(speech: npt.ArrayLike, noise: npt.ArrayLike, snr_db: float) -> Floats:
    """Speech [N] plus noise at `snr_db` by loudest blocks; float32 [N], which may exceed +-1.

    Noise of another length is repeated or cut to N first. Raises AudioError when either is silent:
    no gain gives silence a ratio.
    """
    clean = np.asarray(speech, dtype=np.float32)
    other = np.asarray(noise, dtype=np.float32)
    if clean.ndim != 1 or other.ndim != 1:
        raise AudioError(f"mixing needs one channel each, got {clean.shape} and {other.shape}")
    if len(clean) == 0 or len(other) == 0:
        raise AudioError("mixing needs speech and noise; one of them is empty")
    other = np.resize(other, len(clean))
    signal, disturbance = loudest_block(clean), loudest_block(other)
    if signal <= 0.0 or disturbance <= 0.0:
        silent = "speech" if signal <= 0.0 else "noise"
        raise AudioError(f"cannot mix at a signal-to-noise ratio: the {silent} is silent")
    gain = np.sqrt(signal / (disturbance * 10.0 ** (snr_db / 10.0)))
    return (clean + np.float32(gain) * other).astype(np.float32)
