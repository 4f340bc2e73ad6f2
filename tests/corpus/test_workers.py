"""Many things made by several processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from antiphon.corpus.workers import made

PROGRAM = """
import sys
from tests.corpus.test_workers import Slow
from antiphon.corpus.workers import made

if __name__ == "__main__":
    for pid in made(Slow(), 100, 2):
        print(pid, flush=True)
"""


class Slow:
    """Makes the number of the process that makes it, in a tenth of a second."""

    def make(self, index: int) -> int:
        del index
        time.sleep(0.1)
        return os.getpid()

    def close(self) -> None:
        """Nothing is kept."""


def test_all_are_made_in_order_here_or_elsewhere() -> None:
    assert set(made(Slow(), 3, 1)) == {os.getpid()}
    elsewhere = list(made(Slow(), 8, 2))
    assert len(elsewhere) == 8
    assert os.getpid() not in elsewhere


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
def test_workers_of_a_killed_process_end(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    with subprocess.Popen(
        [sys.executable, str(program)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    ) as first:
        assert first.stdout is not None
        workers = {int(first.stdout.readline()) for _ in range(5)}
        first.send_signal(signal.SIGKILL)
    ends = time.monotonic() + 10
    while any(map(_runs, workers)) and time.monotonic() < ends:
        time.sleep(0.05)
    assert not any(map(_runs, workers))


def _runs(pid: int) -> bool:
    """Whether the process is there and more than an entry of a table."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
