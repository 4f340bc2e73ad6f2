"""Recordings: stereo FLAC at 16 kHz, the caller left, the agent right, written while they speak.

Frames are encoded in blocks of 72 ms by a thread of its own a few times a second, and the file's
header is brought up to date each second: whoever opens the file of a call that goes on, or of one
whose server was killed, finds all but the last second of it. Both channels are on the caller's
clock: an agent's frame lies where the caller was when it went out.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import soundfile as sf

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.errors import AudioError
from antiphon.runtime.events import Samples
from antiphon.serving.store import flac

_LOG = logging.getLogger(__name__)

Pcm = npt.NDArray[np.int16]
State = Literal["whole", "failed", "none"]

BLOCK = 1152  # samples a FLAC frame at the fastest setting: 72 ms
_PERIOD = 0.2  # seconds between two visits of the thread
_HEADER = 1.0  # seconds between two updates of a file's header
_SLACK = 4 * FRAME  # how far the agent's channel may trail before silence is put in
_SAFE = re.compile(r"[A-Za-z0-9_-]{1,100}")


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a recording. `samples` a channel; `sha256` of the file."""

    call_id: str
    state: State
    samples: int = 0
    sha256: str | None = None


def place(call_id: str, started: datetime) -> str:
    """Where a call's recording lies, relative to the store: recordings/2026/11/20/ID.flac."""
    name = call_id
    if not _SAFE.fullmatch(call_id):
        name = "x" + hashlib.sha256(call_id.encode("utf-8", "replace")).hexdigest()
    return f"recordings/{started:%Y/%m/%d}/{name}.flac"


def pcm(samples: Samples) -> Pcm:
    """float32 [N] in +-1 to int16 [N]; louder is clipped."""
    return np.clip(np.rint(samples * np.float32(32768.0)), -32768, 32767).astype(np.int16)


def digest(path: Path) -> str:
    """SHA-256 of a file, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Recording:
    """One file being written. Not for several threads."""

    def __init__(self, path: Path, sync_seconds: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path
        self._sync_seconds = sync_seconds
        self._header = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            self._file = sf.SoundFile(
                path, "w", SAMPLE_RATE, 2, "PCM_16", format="FLAC", compression_level=0.0
            )
        except BaseException:
            os.close(self._header)
            raise
        self._sides: tuple[list[Pcm], list[Pcm]] = ([], [])
        self._ends = [0, 0]  # samples received of either side, those written included
        self._written = 0
        self._headed = self._synced = time.monotonic()

    def caller(self, frame: int, samples: Pcm) -> None:
        """The caller's frame number `frame` (from 0); what was lost before it becomes silence."""
        self._extend(0, frame * FRAME)
        self._put(0, samples)

    def agent(self, frame: int, samples: Pcm) -> None:
        """What went out when the caller was at the beginning of frame `frame`."""
        due = frame * FRAME
        if self._ends[1] == 0 or self._ends[1] < due - _SLACK:
            self._extend(1, due)
        self._put(1, samples)

    def write(self) -> None:
        """Encode what both sides have, and what the agent's silence is by now."""
        self._extend(1, self._ends[0] - _SLACK)
        self._encode(min(self._ends))
        now = time.monotonic()
        if now - self._headed >= _HEADER:
            self._headed = now
            # One sample more than a block must be there before the encoder lets the block go.
            flac.set_length(self._header, max(0, self._written - 1) // BLOCK * BLOCK)
        if now - self._synced >= self._sync_seconds:
            self._synced = now
            os.fdatasync(self._header)

    def close(self) -> tuple[int, str]:
        """Complete the file; gives (samples a channel, SHA-256)."""
        end = max(self._ends)
        self._extend(0, end)
        self._extend(1, end)
        self._encode(end)
        self._file.close()
        os.fsync(self._header)
        os.close(self._header)
        return end, digest(self.path)

    def abandon(self) -> None:
        """Let go of the file as it is."""
        with suppress(OSError, sf.LibsndfileError):
            self._file.close()
        with suppress(OSError):
            os.close(self._header)

    def _put(self, side: int, samples: Pcm) -> None:
        self._sides[side].append(samples)
        self._ends[side] += len(samples)

    def _extend(self, side: int, to: int) -> None:
        if to > self._ends[side]:
            self._put(side, np.zeros(to - self._ends[side], np.int16))

    def _encode(self, until: int) -> None:
        count = until - self._written
        if count <= 0:
            return
        both = np.empty((count, 2), np.int16)
        for side, waiting in enumerate(self._sides):
            joined = np.concatenate(waiting)
            both[:, side] = joined[:count]
            waiting[:] = [joined[count:]] if len(joined) > count else []
        self._file.write(both)
        self._written = until


_Step = tuple[Literal["open", "caller", "agent", "close", "discard"], str, int, Pcm | Path | None]


class Recorder(threading.Thread):
    """The thread that writes the recordings of all calls; its methods only put on a queue.

    Whatever goes wrong with one recording ends that one: the call and the others go on.
    done: called from the thread with what became of each recording.
    """

    def __init__(
        self, done: Callable[[Recorded], None], *, sync_seconds: float = 5.0, backlog: int = 50_000
    ) -> None:
        super().__init__(name="antiphon-recordings", daemon=True)
        self._done = done
        self._sync_seconds = sync_seconds
        self._backlog = backlog
        self._queue: deque[_Step] = deque()
        self._open: dict[str, Recording] = {}
        self._wake = threading.Event()
        self._ends = False
        self.lost = 0
        """Frames that were dropped because the disk was too slow; silence stands for them."""
        self.failed = 0
        """Recordings that could not be written to their end."""

    @property
    def waiting(self) -> int:
        """Steps in the queue."""
        return len(self._queue)

    def open(self, call_id: str, path: Path) -> None:
        """Begin a recording."""
        self._queue.append(("open", call_id, 0, path))

    def caller(self, call_id: str, frame: int, samples: Samples) -> None:
        """float32 [N] of the caller's frame number `frame`."""
        self._add("caller", call_id, frame, samples)

    def agent(self, call_id: str, frame: int, samples: Samples) -> None:
        """float32 [N] that went out when the caller was at the beginning of frame `frame`."""
        self._add("agent", call_id, frame, samples)

    def close(self, call_id: str) -> None:
        """End a recording; `done` follows."""
        self._queue.append(("close", call_id, 0, None))
        self._wake.set()

    def discard(self, call_id: str) -> None:
        """Remove a recording that is being written; nothing follows."""
        self._queue.append(("discard", call_id, 0, None))
        self._wake.set()

    def stop(self) -> None:
        """Write what waits, close all recordings, end the thread."""
        self._ends = True
        self._wake.set()
        if self.is_alive():
            self.join()

    def run(self) -> None:
        """The thread's body."""
        while True:
            self._wake.wait(_PERIOD)
            self._wake.clear()
            ends = self._ends
            for _ in range(len(self._queue)):
                step = self._queue.popleft()
                try:
                    self._take(step)
                except Exception as error:
                    self._give_up(step[1], error)
            for call_id in list(self._open):
                try:
                    self._open[call_id].write()
                except Exception as error:
                    self._give_up(call_id, error)
            if ends and not self._queue:
                for call_id in list(self._open):
                    self._close(call_id)
                return

    def _add(self, side: Literal["caller", "agent"], call_id: str, frame: int, x: Samples) -> None:
        if len(self._queue) >= self._backlog:
            self.lost += 1
            return
        self._queue.append((side, call_id, frame, pcm(x)))

    def _take(self, step: _Step) -> None:
        kind, call_id, frame, content = step
        if kind == "open" and isinstance(content, Path):
            self._begin(call_id, content)
            return
        recording = self._open.get(call_id)
        if recording is None:
            return
        if kind == "close":
            self._close(call_id)
        elif kind == "discard":
            self._open.pop(call_id).abandon()
            recording.path.unlink(missing_ok=True)
        elif isinstance(content, np.ndarray):
            put = recording.caller if kind == "caller" else recording.agent
            put(frame, content)

    def _begin(self, call_id: str, path: Path) -> None:
        self._open[call_id] = Recording(path, self._sync_seconds)

    def _close(self, call_id: str) -> None:
        recording = self._open.get(call_id)
        if recording is None:
            return
        try:
            samples, sha256 = recording.close()
        except Exception as error:
            self._give_up(call_id, error)
            return
        del self._open[call_id]
        if samples == 0:
            recording.path.unlink(missing_ok=True)
            self._done(Recorded(call_id, "none"))
        else:
            self._done(Recorded(call_id, "whole", samples, sha256))

    def _give_up(self, call_id: str, error: Exception) -> None:
        """The disk is full or gone: keep what is written, let the call go on without."""
        self.failed += 1
        _LOG.error("the recording of %s ended early: %s", call_id, error)
        recording = self._open.pop(call_id, None)
        kept = None
        if recording is not None:
            recording.abandon()
            kept = salvage(recording.path)
        self._done(Recorded(call_id, "failed", *(kept or (0, None))))


def salvage(path: Path) -> tuple[int, str] | None:
    """Complete the file that a killed server left; (samples, SHA-256), or None for no audio."""
    try:
        samples = flac.seal(path)
    except FileNotFoundError:
        return None
    except (OSError, AudioError) as error:
        _LOG.error("the recording %s cannot be salvaged: %s", path, error)
        return None
    if samples == 0:
        path.unlink(missing_ok=True)
        return None
    return samples, digest(path)
