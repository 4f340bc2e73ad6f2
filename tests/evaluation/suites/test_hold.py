from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from antiphon.evaluation.suites.hold import hold_all, is_held
from antiphon.evaluation.suites.plan import Job
from antiphon.evaluation.trial import load
from tests.evaluation.suites.acted import Opener, stimulus

JOBS = [Job(stimulus(f"task/order/{at:03d}"), 0) for at in range(3)]


def opened(folder: Path) -> int:
    return len(list(folder.glob("opened-*")))


def test_every_trial_is_kept_and_told_once(tmp_path: Path) -> None:
    steps: list[int] = []
    held = hold_all(JOBS, Opener(tmp_path), tmp_path, progress=lambda: steps.append(1))
    assert held.sounds == tuple(job.sound for job in JOBS)
    assert held.new == len(steps) == 3
    assert load(tmp_path / held.sounds[0]).system == "hum"
    assert opened(tmp_path) == 1


def test_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    hold_all(JOBS[:2], Opener(tmp_path), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.flac")}
    (tmp_path / JOBS[1].sound).with_suffix(".json").write_text('{"stimulus": {')  # killed in it
    held = hold_all(JOBS, Opener(tmp_path), tmp_path)
    assert (len(held.sounds), held.new) == (3, 2)
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.flac")}
    assert after[tmp_path / JOBS[0].sound] == before[tmp_path / JOBS[0].sound]
    assert after[tmp_path / JOBS[1].sound] != before[tmp_path / JOBS[1].sound]


def test_a_trial_of_another_stimulus_is_held_again(tmp_path: Path) -> None:
    hold_all(JOBS[:1], Opener(tmp_path), tmp_path)
    assert is_held(JOBS[0], tmp_path)
    other = Job(JOBS[0].stimulus.model_copy(update={"facts": {"tone": "annoyed"}}), 0)
    assert not is_held(other, tmp_path)


def test_nothing_is_opened_when_all_is_there(tmp_path: Path) -> None:
    hold_all(JOBS, Opener(tmp_path / "."), tmp_path)
    for path in tmp_path.glob("opened-*"):
        path.unlink()
    held = hold_all(JOBS, Opener(tmp_path), tmp_path)
    assert (held.new, opened(tmp_path)) == (0, 0)


def test_a_trial_that_raises_is_recorded_and_ends_nothing(tmp_path: Path) -> None:
    bad = [Job(stimulus("task/order/100"), 13), Job(stimulus("task/order/101"), 14)]
    held = hold_all([*bad, *JOBS], Opener(tmp_path), tmp_path)
    assert len(held.sounds) == 3
    assert [(f.seed, f.why) for f in held.failures] == [
        (13, "the line is busy"),
        (14, "ZeroDivisionError: a bug of somebody's"),
    ]


def test_processes_share_the_work_and_the_result_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = hold_all(JOBS, Opener(tmp_path), tmp_path / "one")
    two = hold_all(
        [*JOBS, Job(stimulus("task/order/100"), 13)], Opener(tmp_path), tmp_path / "two", workers=2
    )
    assert one.sounds == two.sounds
    assert [f.why for f in two.failures] == ["the line is busy"]
    for sound in one.sounds:
        assert (tmp_path / "one" / sound).read_bytes() == (tmp_path / "two" / sound).read_bytes()


@pytest.mark.slow
def test_workers_end_with_a_run_that_is_killed(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from tests.evaluation.suites.acted import Opener, stimulus\n"
        "from antiphon.evaluation.suites.hold import hold_all\n"
        "from antiphon.evaluation.suites.plan import Job\n"
        "if __name__ == '__main__':\n"
        f"    folder = Path({str(tmp_path)!r})\n"
        "    jobs = [Job(stimulus(f'task/order/{at:05d}'), 0) for at in range(20_000)]\n"
        "    hold_all(jobs, Opener(folder), folder, workers=2)\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    root = str(Path(__file__).parents[3])
    run = subprocess.Popen([sys.executable, script], env={**os.environ, "PYTHONPATH": root})
    until = time.monotonic() + 60
    while opened(tmp_path) < 2 and time.monotonic() < until:
        time.sleep(0.1)
    workers = [int(path.name.split("-")[1]) for path in tmp_path.glob("opened-*")]
    assert len(workers) == 2
    run.kill()
    run.wait()
    until = time.monotonic() + 30
    while any(_runs(pid) for pid in workers) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(_runs(pid) for pid in workers)
    held = len(list(tmp_path.rglob("*.flac")))
    time.sleep(1.0)
    assert len(list(tmp_path.rglob("*.flac"))) == held


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Its parent is gone: nobody has asked yet how it ended.
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
