from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
from lightning.fabric import Fabric

from antiphon.training.loop import fit, plot
from tests.training.runner import LineTask, config

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}


def train(folder: Path, steps: int) -> LineTask:
    task = LineTask()
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    fit(fabric, task, config(steps), folder)
    return task


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "final.pt", weights_only=True)["network"]


def rows(folder: Path) -> list[dict[str, float | str]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_it_learns_logs_validates_and_draws(tmp_path: Path) -> None:
    train(tmp_path, 60)
    log = rows(tmp_path)
    errors = [row["error"] for row in log if row["kind"] == "train"]
    assert errors[-1] < errors[0] / 10
    assert log[-1]["kind"] == "valid"
    assert list((tmp_path / "tensorboard").iterdir())
    assert plot(tmp_path).stat().st_size > 5_000


def test_a_finished_stage_is_not_run_again(tmp_path: Path) -> None:
    train(tmp_path, 10)
    assert train(tmp_path, 10).seen == []


def test_a_killed_run_goes_on_from_its_checkpoint_and_ends_where_an_unbroken_one_does(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "tests.training.runner", str(tmp_path / "killed"), "4000"]
    process = subprocess.Popen(command, env=ENVIRONMENT, cwd=ROOT, stdout=subprocess.DEVNULL)
    last = tmp_path / "killed" / "last.pt"
    patience = time.monotonic() + 60
    while not last.exists() and time.monotonic() < patience:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stopped = int(torch.load(last, weights_only=True)["step"])
    assert 0 < stopped < 4000
    end = stopped + 20
    task = train(tmp_path / "killed", end)
    assert task.seen[0] == (stopped, 0)
    train(tmp_path / "whole", end)
    killed, whole = rows(tmp_path / "killed")[-1], rows(tmp_path / "whole")[-1]
    assert killed["step"] == whole["step"] == end
    # Before the kill the rate's schedule knew another end, so the paths may differ a little.
    assert abs(float(killed["error"]) - float(whole["error"])) < 0.1 * float(whole["error"])


def test_resuming_changes_nothing_where_the_schedule_is_the_same(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    train(whole, 20)
    halves = tmp_path / "halves"

    class Stops(LineTask):
        def batch(self, step: int, rank: int, progress: float) -> object:
            if step == 13 and not (halves / "stopped").exists():
                (halves / "stopped").touch()
                raise KeyboardInterrupt
            return super().batch(step, rank, progress)

    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    try:
        fit(fabric, Stops(), config(20), halves)
    except KeyboardInterrupt:
        fit(fabric, Stops(), config(20), halves)
    for name, value in weights(whole).items():
        torch.testing.assert_close(weights(halves)[name], value)


def test_batches_that_other_processes_prepare_are_the_same(tmp_path: Path) -> None:
    here, ahead = tmp_path / "here", tmp_path / "ahead"
    train(here, 12)
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    task = LineTask()
    fit(fabric, task, config(12).model_copy(update={"workers": 2}), ahead)
    assert task.seen == []
    for name, value in weights(here).items():
        torch.testing.assert_close(weights(ahead)[name], value)


def test_two_processes_train_one_network(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "tests.training.runner", str(tmp_path), "60"]
    subprocess.run(command, env=ENVIRONMENT, cwd=ROOT, check=True, timeout=120, capture_output=True)
    errors = [float(row["error"]) for row in rows(tmp_path) if row["kind"] == "train"]
    assert errors[-1] < errors[0] / 4
    assert int(torch.load(tmp_path / "last.pt", weights_only=True)["step"]) == 60
