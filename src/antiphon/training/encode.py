"""The encode stage: the agent's audio to codes, the callers' to pitch; appended as it grows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from antiphon.audio import FRAME, HOP, SAMPLE_RATE
from antiphon.codec.model import Codec
from antiphon.codec.pitch import track
from antiphon.training.prepare import AGENT, CALLER, CODES, PITCH, read_items

Floats = npt.NDArray[np.float32]
_MARGIN = 0.25  # s tracked before and after a turn


def encode(folder: Path, codec: Codec, progress: Callable[[int, int], None] | None = None) -> None:
    """Write the codes of every prepared conversation that has none yet.

    A kill leaves whole conversations, and the next call goes on.
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
            f0 = pitch(samples, [(turn.start, turn.end) for turn in item.turns("agent")])
            codes = codec.encode(torch.from_numpy(samples)[None], torch.from_numpy(f0)[None])[0]
            out.write(codes.numpy().astype("<i2").tobytes())
            if progress:
                progress(index + 1, len(items))


def measure_callers(folder: Path, progress: Callable[[int, int], None] | None = None) -> None:
    """Write the callers' pitch, one value a frame, of every conversation that has none yet.

    log2(Hz / 100), the mean over a frame that is voiced for 30 ms at least, else 0.
    """
    items = read_items(folder)
    flat = np.memmap(folder / CALLER, dtype="<i2", mode="r")
    path = folder / PITCH
    path.touch()
    with path.open("r+b") as out:
        done = out.seek(0, 2) // 2
        start = next((i for i, item in enumerate(items) if item.offset + item.frames > done), None)
        if start is None:
            return
        out.truncate(items[start].offset * 2)
        out.seek(0, 2)
        for index in range(start, len(items)):
            item = items[index]
            pcm = flat[item.offset * FRAME : (item.offset + item.frames) * FRAME]
            turns = [(turn.start, turn.end) for turn in item.turns("caller")]
            f0 = pitch(pcm.astype(np.float32) / 32768.0, turns).reshape(item.frames, -1)
            voiced = f0 > 0
            octaves = np.log2(np.where(voiced, f0, 100.0) / 100.0).sum(1)
            mean = np.where(voiced.sum(1) >= 3, octaves / np.maximum(voiced.sum(1), 1), 0.0)
            out.write(mean.astype("<f2").tobytes())
            if progress:
                progress(index + 1, len(items))


def pitch(samples: Floats, turns: Sequence[tuple[float, float]]) -> Floats:
    """f0 [N // 160] Hz of one side's channel: only its turns (seconds) are tracked.

    It is silent between them, and tracking silence costs as much as tracking speech.
    """
    f0 = np.zeros(len(samples) // HOP, dtype=np.float32)
    for start, end in turns:
        first = max(0, int((start - _MARGIN) * SAMPLE_RATE) // HOP)
        last = min(len(f0), int((end + _MARGIN) * SAMPLE_RATE) // HOP)
        f0[first:last] = track(samples[first * HOP : last * HOP])
    return f0
