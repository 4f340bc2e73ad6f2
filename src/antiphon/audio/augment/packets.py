"""Packet loss: bursts of lost 20 ms packets, left silent or concealed by repetition."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from antiphon.audio import SAMPLE_RATE

Floats = npt.NDArray[np.float32]

PACKET = SAMPLE_RATE // 50  # samples: 20 ms, what RTP usually carries


def lose_packets(samples: Floats, rng: np.random.Generator, strength: float = 1.0) -> Floats:
    """Samples [N] after a line that loses up to about 10 % of packets (at strength 1), [N]."""
    count = -(-len(samples) // PACKET)
    rate = rng.uniform(0.005, 0.005 + 0.095 * strength)
    lost = draw_losses(count, rate, rng.uniform(1.0, 4.0), rng)
    out = samples.copy()
    repeat, fade = rng.random() < 0.5, np.float32(rng.uniform(0.5, 1.0))
    for packet in np.flatnonzero(lost):
        begin = int(packet) * PACKET
        end = min(begin + PACKET, len(out))
        if repeat and begin >= PACKET:  # the packet before may itself be a faded repetition
            out[begin:end] = out[begin - PACKET : end - PACKET] * fade
        else:
            out[begin:end] = 0.0
    return out


def draw_losses(
    count: int, rate: float, burst: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Which of `count` packets are lost, bool [count], by the Gilbert model.

    rate: mean share lost, in (0, 1). burst: mean number lost in a row, >= 1.
    """
    leave_bad = 1.0 / burst
    leave_good = min(1.0, rate * leave_bad / (1.0 - rate))
    lost = np.zeros(count, np.bool_)
    bad, at = bool(rng.random() < rate), 0
    while at < count:
        run = int(rng.geometric(leave_bad if bad else leave_good))
        lost[at : at + run] = bad
        bad, at = not bad, at + run
    return lost
