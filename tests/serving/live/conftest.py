"""A server with the scripted agent and Live's door."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from antiphon.serving.live.socket import router
from tests.serving.served import served


@pytest.fixture
def address(tiny_bundle: Path) -> Iterator[str]:
    """ws://host:port of a server with one line."""
    with served(tiny_bundle, slots=1, group=1, retry_seconds=3, routers=[router]) as server:
        yield server.ws
