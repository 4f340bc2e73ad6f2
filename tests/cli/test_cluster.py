"""What `antiphon cluster` says when there is no cluster."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")

WITHIN = 60.0  # seconds: all but a few are a busy machine's; Ray alone would ask for minutes


@pytest.fixture
def gone() -> str:
    """An address at which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{found.getsockname()[1]}"


def antiphon(*words: str, **more: str) -> str:
    """What it writes of its failure; a process of its own, as Ray reads its settings but once."""
    env = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "antiphon", "cluster", *words],
        env={**env, "COLUMNS": "400", **more},
        capture_output=True,
        text=True,
        timeout=4 * WITHIN,
    )
    assert time.monotonic() - began < WITHIN
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


@pytest.mark.parametrize("words", [["show"], ["add", "cafe"]])
def test_a_remembered_cluster_that_is_gone(words: list[str], gone: str, tmp_path: Path) -> None:
    remembered = tmp_path / "ray" / "ray_current_cluster"
    remembered.parent.mkdir()
    remembered.write_text(gone)
    said = antiphon(*words, RAY_TMPDIR=str(tmp_path))
    port = gone.rpartition(":")[2]  # the host is the name by which Ray knows this machine
    assert f":{port} (Connection refused)" in said
    assert "that this machine remembers does not answer" in said
    assert "ray start --head" in said
    assert "--cluster HOST:PORT" in said


def test_a_named_cluster_that_is_gone(gone: str, tmp_path: Path) -> None:
    # A name, so that nothing of it is translated by Ray.
    named = "ray://" + gone
    assert f"the Ray cluster does not answer at {gone}" in antiphon("show", "--cluster", named)
    said = antiphon("show", RAY_ADDRESS=named)
    assert f"the Ray cluster that RAY_ADDRESS names does not answer at {gone}" in said


def test_no_cluster_is_remembered(tmp_path: Path) -> None:
    said = antiphon("show", RAY_TMPDIR=str(tmp_path))
    assert "no Ray cluster is known on this machine: start one" in said
