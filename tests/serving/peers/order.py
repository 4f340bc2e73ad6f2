"""The recorded order that every stock client speaks, at the pace of a microphone."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np

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
QUIET = 300  # of 32768: a piece of sound without a louder sample is silence

Told = dict[str, list[dict[str, Any]]]
Peer = Callable[[str, str, str], Told]


def pcm() -> bytes:
    """The order as 16-bit samples."""
    from antiphon.audio.io import read  # which is not there where a peer runs

    samples = read(RECORDING, rate=RATE)
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


async def microphone(
    until: asyncio.Event | None = None, order: bytes | None = None
) -> AsyncIterator[bytes]:
    """The order, then silence, in pieces and in time, until it is told to stop."""
    loop = asyncio.get_running_loop()
    size = round(CHUNK * RATE) * 2
    order = pcm() if order is None else order
    due = loop.time()
    for number in range(round(PATIENCE / CHUNK)):
        if until is not None and until.is_set():
            return
        piece = order[number * size : (number + 1) * size]
        yield piece.ljust(size, b"\0")
        due += CHUNK
        await asyncio.sleep(max(0.0, due - loop.time()))


def by_event(lines: str) -> Told:
    """What a program that talks in the test's stead wrote, a JSON object a line."""
    found: Told = {}
    for line in lines.splitlines():
        about = json.loads(line)
        found.setdefault(about.pop("event"), []).append(about)
    return found


def texts(told: Told, event: str) -> str:
    """The words of an event, which come whole or in parts that begin with their space."""
    return "".join(each["text"] for each in told.get(event, []))


def audible(told: Told) -> bytes:
    """The sound but for its silent pieces: in Live sound comes all the time."""
    pieces = [base64.b64decode(each["data"]) for each in told.get("audio", [])]
    loudest = [np.abs(np.frombuffer(piece, "<i2").astype(int)).max(initial=0) for piece in pieces]
    return b"".join(each for each, peak in zip(pieces, loudest, strict=True) if peak > QUIET)


def check(calls: list[Any], heard: str, said: str, sound: bytes | int) -> None:
    """A client has received all that there is of the order."""
    assert calls == [{"items": [DRINK]}], calls
    assert heard.endswith("large cappuccino with some soy milk and brown sugar please"), heard
    assert "large cappuccino with some soy milk and brown sugar" in said, said
    seconds = (sound if isinstance(sound, int) else len(sound)) / 2 / RATE
    assert 2.0 < seconds < 12.0
    if isinstance(sound, bytes):
        assert np.abs(np.frombuffer(sound, "<i2").astype(int)).max() > 3000
