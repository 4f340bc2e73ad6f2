"""A session on this machine's microphone and speakers (PortAudio through sounddevice).

The sound card's callback only moves samples between queues; the network runs in the caller's
thread, so a slow frame is heard as a gap and never blocks the card.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.errors import DeviceError
from antiphon.runtime.events import AudioEvent, Event, Samples
from antiphon.runtime.session import Session

Device = int | str | None


def converse(
    session: Session,
    tell: Callable[[Event], None],
    *,
    device: Device = None,
    seconds: float | None = None,
) -> None:
    """Run a call on the sound card until `seconds` have passed, or for ever.

    `tell` gets every event but the audio. Raises DeviceError when there is no usable device.
    """
    card = _sounddevice()
    heard: queue.SimpleQueue[Samples] = queue.SimpleQueue()
    player = _Player()

    def move(captured: Any, played: Any, *_: object) -> None:
        heard.put(np.array(captured[:, 0], dtype=np.float32))
        played[:, 0] = player.take(len(played))

    try:
        stream = card.Stream(
            samplerate=SAMPLE_RATE,
            blocksize=FRAME,
            channels=1,
            dtype="float32",
            device=device,
            callback=move,
        )
    except (card.PortAudioError, ValueError) as error:
        raise DeviceError(_no_device(error)) from error
    with session, stream:
        while seconds is None or session.time < seconds:
            try:
                samples = heard.get(timeout=5)
            except queue.Empty:
                raise DeviceError("the microphone has given no sound for 5 seconds") from None
            for event in session.push(samples):
                if isinstance(event, AudioEvent):
                    player.put(event.samples)
                else:
                    tell(event)


class _Player:
    """Samples on their way to the speakers; silence when there are none."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Samples] = queue.SimpleQueue()
        self._rest = np.zeros(0, dtype=np.float32)

    def put(self, samples: Samples) -> None:
        self._waiting.put(samples)

    def take(self, count: int) -> Samples:
        while len(self._rest) < count and not self._waiting.empty():
            self._rest = np.concatenate((self._rest, self._waiting.get()))
        out = np.zeros(count, dtype=np.float32)
        ready = self._rest[:count]
        out[: len(ready)] = ready
        self._rest = self._rest[count:]
        return out


def _sounddevice() -> ModuleType:
    try:
        import sounddevice  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise DeviceError(
            "sounddevice is not installed; run: pip install 'antiphon[live]'"
        ) from error
    except OSError as error:
        raise DeviceError(
            "the PortAudio library is missing; install it (Debian: apt install libportaudio2)"
        ) from error
    return sounddevice


def _no_device(error: Exception) -> str:
    return (
        f"there is no sound device that takes 16 kHz in and out ({error}); connect a microphone "
        "and speakers, or answer a file with: antiphon talk order.wav"
    )
