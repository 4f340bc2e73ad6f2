"""The encode stage: the agent's audio to codes, the callers' to pitch; appended as it grows."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from antiphon.audio import FRAME, HOP, SAMPLE_RATE
from antiphon.codec.model import Codec
from antiphon.codec.pitch import track
from antiphon.training.prepare import AGENT, CALLER, CODES, PITCH, Item, read_items

Floats = npt.NDArray[np.float32]
_MARGIN = 0.25  # s tracked before and after what is said
_CHUNK = 4  # conversations that a process takes at once


def encode(
    folder: Path,
    codec: Codec,
    progress: Callable[[int, int], None] | None = None,
    workers: int = 1,
) -> None:
    """Write the codes of every prepared conversation that has none yet.

    A kill leaves whole conversations, and the next call goes on.
    """
    _append(folder, CODES, codec.config.codebooks * 2, _Codes(folder, codec), progress, workers)


def measure_callers(
    folder: Path, progress: Callable[[int, int], None] | None = None, workers: int = 1
) -> None:
    """Write the callers' pitch, one value a frame, of every conversation that has none yet.

    log2(Hz / 100), the mean over a frame that is voiced for 30 ms at least, else 0.
    """
    _append(folder, PITCH, 2, _CallerPitch(folder), progress, workers)


@dataclass(frozen=True)
class _Codes:
    """int16 [frames, codebooks] of the agent's side of a conversation, as bytes."""

    folder: Path
    codec: Codec

    def __call__(self, item: Item) -> bytes:
        samples = _side(self.folder / AGENT, item)
        f0 = pitch(samples, [(said.start, said.end) for said in item.spoken("agent")])
        codes = self.codec.encode(torch.from_numpy(samples)[None], torch.from_numpy(f0)[None])[0]
        return codes.numpy().astype("<i2").tobytes()


@dataclass(frozen=True)
class _CallerPitch:
    """float16 [frames] of the caller's side of a conversation, as bytes."""

    folder: Path

    def __call__(self, item: Item) -> bytes:
        spoken = [(said.start, said.end) for said in item.spoken("caller")]
        f0 = pitch(_side(self.folder / CALLER, item), spoken).reshape(item.frames, -1)
        voiced = f0 > 0
        octaves = np.log2(np.where(voiced, f0, 100.0) / 100.0).sum(1)
        mean = np.where(voiced.sum(1) >= 3, octaves / np.maximum(voiced.sum(1), 1), 0.0)
        return mean.astype("<f2").tobytes()


def _append(
    folder: Path,
    name: str,
    row: int,
    work: Callable[[Item], bytes],
    progress: Callable[[int, int], None] | None,
    workers: int,
) -> None:
    """Append `work` of every conversation that the file (rows of `row` bytes) does not hold yet."""
    items = read_items(folder)
    path = folder / name
    path.touch()
    with path.open("r+b") as out, ExitStack() as stack:
        done = out.seek(0, 2) // row
        start = next((i for i, item in enumerate(items) if item.offset + item.frames > done), None)
        if start is None:
            return
        out.truncate(items[start].offset * row)
        out.seek(0, 2)
        results = map(work, items[start:])
        if workers > 1:  # one thread a process: the codec's convolutions are too small for more
            spawn = multiprocessing.get_context("spawn")
            pool = stack.enter_context(spawn.Pool(workers, _begin, (work,)))
            results = pool.imap(_go_on, items[start:], chunksize=_CHUNK)
        for index, found in enumerate(results, start + 1):
            out.write(found)
            if progress:
                progress(index, len(items))


# What a worker process does; the codec travels to it once, not with every conversation.
_given: list[Callable[[Item], bytes]] = []


def _begin(work: Callable[[Item], bytes]) -> None:
    torch.set_num_threads(1)
    _given[:] = [work]


def _go_on(item: Item) -> bytes:
    return _given[0](item)


def _side(path: Path, item: Item) -> Floats:
    pcm = np.memmap(
        path, dtype="<i2", mode="r", offset=item.offset * FRAME * 2, shape=(item.frames * FRAME,)
    )
    return pcm.astype(np.float32) / 32768.0


def pitch(samples: Floats, spoken: Sequence[tuple[float, float]]) -> Floats:
    """f0 [N // 160] Hz of one side's channel: only what it says (from, to; seconds) is tracked.

    It is silent between them, and tracking silence costs as much as tracking speech.
    """
    f0 = np.zeros(len(samples) // HOP, dtype=np.float32)
    for start, end in spoken:
        first = max(0, int((start - _MARGIN) * SAMPLE_RATE) // HOP)
        last = min(len(f0), int((end + _MARGIN) * SAMPLE_RATE) // HOP)
        f0[first:last] = track(samples[first * HOP : last * HOP])
    return f0
