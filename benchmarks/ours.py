"""The whole agent as every session runs it: `antiphon.runtime.Engine` over a bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from antiphon.audio.io import frames as as_frames
from antiphon.audio.io import read
from antiphon.bundle import find, load
from antiphon.runtime.engine import Engine, Noise
from timing import Cost, time_frames


def whole(bundle_name: str, batch: int, frames: int, warm_up: int, recording: Path) -> Cost:
    """The engine with every slot in a call that hears `recording` again and again.

    A frame is all that a session adds to the graph's own time too: the noise drawn, the inputs
    filled, the outputs read. The slots hear the recording at different places.
    """
    engine = Engine(load(find(bundle_name)), batch)
    heard = as_frames(read(recording))
    may_call = np.ones(engine.call_vocabulary, np.bool_)
    noises = {engine.open(): Noise(engine.bundle, seed) for seed in range(batch)}
    now = 0

    def frame() -> object:
        nonlocal now
        now += 1
        return engine.step(
            {
                slot: noise.frame(heard[(now + 7 * slot) % len(heard)], may_call)
                for slot, noise in noises.items()
            }
        )

    return time_frames(frame, name="whole agent", batch=batch, frames=frames, warm_up=warm_up)
