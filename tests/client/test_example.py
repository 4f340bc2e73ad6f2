from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from antiphon.audio.io import read
from tests.client.fake import Fake

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(url: str, here: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, EXAMPLES / "client.py", url, EXAMPLES / "order.flac"]
    return subprocess.run(words, cwd=here, capture_output=True, text=True, timeout=60)


def test_the_example_runs(tmp_path: Path) -> None:
    with Fake() as server:
        made = run(server.url, tmp_path)
    assert (made.returncode, made.stderr) == (0, "")
    assert "a large latte" in made.stdout
    assert "place_order" in made.stdout
    assert len(read(tmp_path / "reply.wav")) > 4_000


def test_the_example_fails_in_one_sentence(tmp_path: Path) -> None:
    made = run("ws://127.0.0.1:9", tmp_path)
    assert made.returncode == 1
    assert made.stderr.count("\n") == 1
    assert "nobody answers" in made.stderr
