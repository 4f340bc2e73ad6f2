"""Every HTTP route, fuzzed by its own description: `schemathesis run` on a server on loopback.

Not in it: WebSockets, which OpenAPI does not describe (`realtime/test_fuzz.py` does them), and the
pages, which are static files and not in the description (`test_pages.py`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from antiphon.serving.store import StoreConfig
from antiphon.serving.watch import WatchConfig, watching
from tests.serving.served import served
from tests.serving.test_watch import order

EXAMPLES = 20  # a route, beside those that schemathesis makes of every schema's edges
PATIENCE = 10  # seconds for an answer
LONGEST = 300  # seconds for a run
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


def fuzz(server: str, folder: Path, *more: str, settings: str = "") -> None:
    """Run schemathesis, in a process of its own: its settings of floats are not ours."""
    config = folder / "schemathesis.toml"
    config.write_text(settings)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"]
    command += [f"{server}/openapi.json", "--phases", "examples,coverage,fuzzing"]
    command += ["--checks", ",".join(CHECKS), "--max-examples", str(EXAMPLES)]
    command += ["--generation-deterministic", "--request-timeout", str(PATIENCE)]
    command += ["--workers", "1", "--warnings", "off", "--no-color", *more]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.slow
def test_every_route_answers_as_it_is_described(
    tiny_bundle: Path,
    spoken: Callable[..., np.ndarray],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with watching(WatchConfig(store=StoreConfig(folder=tmp_path / "store"))) as watch:
        parts = {"observers": watch.observers, "routers": watch.routers}
        with served(tiny_bundle, text_letters=40, upload_seconds=2, **parts) as server:
            watch.attach(server.app)
            fuzz(server.http, tmp_path)
            # What can be read of a call, of one that there is.
            speaking = order(f"{server.ws}/v1/realtime?model=tiny", spoken(after=4.0))
            asyncio.run(asyncio.wait_for(speaking, 60))
            server.wait_empty()
            (call,) = httpx.get(f"{server.http}/v1/antiphon/calls", timeout=PATIENCE).json()["data"]
            reading = ["--include-method", "GET", "--include-path-regex", "call_id"]
            known = f'[parameters]\n"path.call_id" = "{call["id"]}"\n'
            fuzz(server.http, tmp_path, *reading, settings=known)
            server.wait_empty()
    failed = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert [each.getMessage() for each in failed] == []
