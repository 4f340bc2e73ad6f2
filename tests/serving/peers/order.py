"""The recorded order that every stock client speaks, at the pace of a microphone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.audio.io import read

RATE = 24_000  # Hz
CHUNK = 0.04  # seconds
RECORDING = Path(__file__).parents[3] / "examples" / "order.flac"
DRINK = {
    "size": "large",
    "drink": "cappuccino",
    "milk_amount": "some",
    "milk": "soy milk",
    "sugar": "brown sugar",
}
PATIENCE = 45  # seconds for a whole call


def pcm() -> bytes:
    """The order as 16-bit samples."""
    samples = read(RECORDING, rate=RATE)
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


async def microphone(until: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    """The order, then silence, in pieces and in time, until it is told to stop."""
    loop = asyncio.get_running_loop()
    size = round(CHUNK * RATE) * 2
    order = pcm()
    due = loop.time()
    for number in range(round(PATIENCE / CHUNK)):
        if until is not None and until.is_set():
            return
        piece = order[number * size : (number + 1) * size]
        yield piece.ljust(size, b"\0")
        due += CHUNK
        await asyncio.sleep(max(0.0, due - loop.time()))


def check(calls: list[Any], heard: str, said: str, sound: bytes | int) -> None:
    """A client has received all that there is of the order."""
    assert calls == [{"items": [DRINK]}], calls
    assert heard.endswith("large cappuccino with some soy milk and brown sugar please"), heard
    assert "large cappuccino with some soy milk and brown sugar" in said, said
    seconds = (sound if isinstance(sound, int) else len(sound)) / 2 / RATE
    assert 2.0 < seconds < 12.0
    if isinstance(sound, bytes):
        assert np.abs(np.frombuffer(sound, "<i2").astype(int)).max() > 3000
