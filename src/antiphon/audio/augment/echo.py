"""Echo: the agent's voice leaking from the caller's loudspeaker into the caller's channel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.augment.filtering import draw_response, linear
from antiphon.audio.augment.level import loudest_block
from antiphon.audio.augment.room import room_bank
from antiphon.errors import AudioError

Floats = npt.NDArray[np.float32]


def add_echo(
    caller: Floats,
    agent: Floats,
    rng: np.random.Generator,
    *,
    loss_db: tuple[float, float] = (12.0, 45.0),
    delay: tuple[float, float] = (0.02, 0.3),
) -> Floats:
    """The caller's channel [N] with an echo of the agent's channel [N], float32 [N].

    loss_db: range of the echo return loss: how far the echo lies under the agent's own level.
    delay: range of the round trip in seconds. The echo passes a loudspeaker (uneven response, at
    times overdriven) and a room; the caller's own samples are not changed.
    """
    if caller.shape != agent.shape or caller.ndim != 1:
        raise AudioError(
            f"an echo needs two channels of one length, got {caller.shape} and {agent.shape}"
        )
    played = agent
    if rng.random() < 0.3:  # a small loudspeaker near its limit
        limit = np.float32(max(float(np.max(np.abs(agent), initial=0.0)), 1e-6) * 0.4)
        played = (limit * np.tanh(agent / limit)).astype(np.float32)
    rooms = room_bank()
    heard = linear(played, rooms[int(rng.integers(len(rooms)))], draw_response(rng))
    late = int(rng.uniform(*delay) * SAMPLE_RATE)
    loss = rng.uniform(*loss_db)
    before, after = loudest_block(agent), loudest_block(heard)
    if late >= len(caller) or before <= 0.0 or after <= 0.0:
        return caller.copy()
    gain = np.float32(np.sqrt(before / after) * 10.0 ** (-loss / 20.0))
    out = caller.astype(np.float32)
    out[late:] += heard[: len(heard) - late] * gain
    return out
