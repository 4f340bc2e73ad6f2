"""The encode stage: the agent's audio of a prepared corpus to codes, appended as it grows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from antiphon.audio import FRAME
from antiphon.codec.model import Codec
from antiphon.codec.pitch import track
from antiphon.training.prepare import AGENT, CODES, read_items


def encode(
    folder: Path, codec: Codec, progress: Callable[[int, int], None] | None = None
) -> None:
    """Write the codes of every prepared conversation that has none yet.

    Silence is the same codes everywhere, so only stretches with sound are tracked and encoded
    with their surroundings; a kill leaves whole conversations, and the next call goes on.
    """
    items = read_items(folder)
    flat = np.memmap(folder / AGENT, dtype="<i2", mode="r")
    path = folder / CODES
    path.touch()
    row = codec.config.codebooks * 2
    with path.open("r+b") as out:
        done = out.seek(0, 2) // row
        start = next((i for i, item in enumerate(items) if item.offset + item.frames > done), None)
        if start is None:
            return
        out.truncate(items[start].offset * row)
        out.seek(0, 2)
        for index in range(start, len(items)):
            item = items[index]
            pcm = flat[item.offset * FRAME : (item.offset + item.frames) * FRAME]
            samples = pcm.astype(np.float32) / 32768.0
            with torch.no_grad():
                codes = codec.encode(
                    torch.from_numpy(samples)[None], torch.from_numpy(track(samples))[None]
                )[0]
            out.write(codes.numpy().astype("<i2").tobytes())
            if progress:
                progress(index + 1, len(items))
