"""How a client's program begins, and how it tells the test what its user would see."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from tests.serving.peers.order import PATIENCE, RATE

QUIET = 2.5  # seconds of sound without a word after which nobody has more to say


class Teller:
    """Writes what comes to standard output, a JSON object a line, and notes how it goes on."""

    def __init__(self) -> None:
        self._kinds = set[str]()
        self._quiet = 0.0  # seconds of sound since the last word or call

    def tell(self, event: str, **about: Any) -> None:
        """`heard` and `said` have a `text`, `call` has `name` and `arguments`."""
        self._kinds.add(event)
        self._quiet = 0.0
        self._write(event, about)

    def sound(self, pcm: bytes) -> None:
        """16-bit samples at 24 kHz, as they came."""
        self._quiet += len(pcm) / 2 / RATE
        self._write("audio", {"data": base64.b64encode(pcm).decode()})

    def complete(self) -> bool:
        """Whether both sides' words and a call came and no more seems to.

        Live tells of no end. Its sound comes all the time, so that measures a silence, however
        late it comes.
        """
        return {"heard", "said", "call"} <= self._kinds and self._quiet > QUIET

    @staticmethod
    def _write(event: str, about: Mapping[str, Any]) -> None:
        print(json.dumps({"event": event, **about}), flush=True)


def main(orders: Mapping[str, Callable[[str, bytes], Awaitable[None]]]) -> None:
    """PROTOCOL URL RECORDING: order over that protocol what the recording (16-bit PCM) says."""
    protocol, url, recording = sys.argv[1:]
    order = orders[protocol](url, Path(recording).read_bytes())
    asyncio.run(asyncio.wait_for(order, PATIENCE))
