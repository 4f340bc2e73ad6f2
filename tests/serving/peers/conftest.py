"""Stock clients of other environments: `make peers` installs them, and here they are run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.serving.peers.order import PATIENCE, Peer, Told, by_event, pcm

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".peers" / "bin" / "python"
STAMP = ROOT / ".peers" / ".installed"
PINS = Path(__file__).parent / "python" / "requirements.txt"
LOADING = 60  # seconds for a client's own imports on a busy machine


@pytest.fixture
def peer(tmp_path: Path) -> Peer:
    """peer(client, protocol, url): a program of `python/` speaks the order; what it was told."""
    if not STAMP.is_file() or STAMP.read_bytes() != PINS.read_bytes():
        missing = "stock clients are not installed as python/requirements.txt pins them: make peers"
        if os.environ.get("CI") == "true":
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    recording = tmp_path / "order.pcm"
    recording.write_bytes(pcm())

    def run(client: str, protocol: str, url: str) -> Told:
        done = subprocess.run(
            [PYTHON, "-m", f"tests.serving.peers.python.{client}", protocol, url, recording],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE + LOADING,
        )
        assert done.returncode == 0, done.stderr
        return by_event(done.stdout)

    return run
