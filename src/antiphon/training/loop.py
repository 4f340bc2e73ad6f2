"""The training loop of every stage: Fabric, atomic checkpoints, curves, a printed line.

A stage can be killed at any moment and run again: it goes on from its last checkpoint, and
since every batch is a function of (seed, step, rank) it sees the data it would have seen.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning.fabric import Fabric
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.tensorboard.writer import SummaryWriter

from antiphon.training.schedule import OptimiserConfig, optimisers, rate

Metrics = dict[str, float]


class LoopConfig(BaseModel):
    """How long a stage runs and how often it tells."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(gt=0)
    seed: int = 0
    optimiser: OptimiserConfig = OptimiserConfig()
    log_every: int = 20
    save_every: int = 100
    validate_every: int = 500
    workers: int = Field(default=0, ge=0)
    """Processes that prepare batches ahead of a GPU; 0: the training process does, in turn."""


class Task(Protocol):
    """What a stage trains."""

    network: nn.Module

    def batch(self, step: int, rank: int, progress: float) -> Any:
        """The batch of a step; a function of its arguments alone."""
        ...

    def loss(self, network: nn.Module, batch: Any) -> tuple[Tensor, Metrics]:
        """The loss of a batch and figures to log. Must call `network` itself (for DDP)."""
        ...

    def validate(self, network: nn.Module) -> Metrics:
        """The task itself on data never trained on."""
        ...


def save_atomically(value: Any, path: Path) -> None:
    """torch.save to a name beside `path`, then replace: a kill leaves the old file whole."""
    part = path.with_name(path.name + ".part")
    torch.save(value, part)
    os.replace(part, path)


def fit(fabric: Fabric, task: Task, config: LoopConfig, folder: Path) -> Path:
    """Train to the last step; returns the path of the final weights (`final.pt`)."""
    final, last = folder / "final.pt", folder / "last.pt"
    if final.exists():
        return final
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    plain = task.network
    found = optimisers(plain.named_parameters(), config.optimiser)
    network, *wrapped = fabric.setup(plain, *found)
    step = _resume(last, plain, wrapped)
    logger = _Log(fabric, folder, config, step)
    network.train()
    for made in _batches(task, config, fabric.global_rank, step):
        factor = rate(step, config.steps, config.optimiser)
        for optimiser in wrapped:
            for group in optimiser.param_groups:
                group["lr"] = group["initial"] * factor
        batch: Any = fabric.to_device(made)  # pyright: ignore[reportUnknownVariableType]
        loss, metrics = task.loss(network, batch)
        for optimiser in wrapped:
            optimiser.zero_grad(set_to_none=True)
        fabric.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(plain.parameters(), config.optimiser.clip)
        # A step whose gradient is no number (a broken recording, say) teaches nothing.
        if torch.isfinite(norm):
            for optimiser in wrapped:
                optimiser.step()
        step += 1
        logger.add({**metrics, "loss": float(loss.detach()), "gradient": float(norm)}, step)
        if step % config.validate_every == 0 or step == config.steps:
            if fabric.is_global_zero:
                plain.eval()
                with torch.no_grad():
                    logger.validated(task.validate(plain), step)
                plain.train()
            fabric.barrier()
        if fabric.is_global_zero and (step % config.save_every == 0 or step == config.steps):
            states = [optimiser.state_dict() for optimiser in wrapped]
            save_atomically(
                {"step": step, "network": plain.state_dict(), "optimisers": states}, last
            )
    if fabric.is_global_zero:
        save_atomically({"network": plain.state_dict()}, final)
        logger.close()
    fabric.barrier()
    return final


class _Steps(Dataset[Any]):
    """The batches of one rank, by step."""

    def __init__(self, task: Task, config: LoopConfig, rank: int) -> None:
        self.task, self.config, self.rank = task, config, rank

    def __getitem__(self, step: int) -> Any:
        return self.task.batch(step, self.rank, step / self.config.steps)


def _batches(task: Task, config: LoopConfig, rank: int, start: int) -> Iterator[Any]:
    """The batches from step `start` on, in order, whoever makes them."""
    steps = _Steps(task, config, rank)
    if config.workers == 0:
        return map(steps.__getitem__, range(start, config.steps))
    # Forked: the corpus is memory-mapped and the examples are many; nobody copies them.
    loader: DataLoader[Any] = DataLoader(
        steps,
        batch_size=None,
        sampler=range(start, config.steps),
        num_workers=config.workers,
        prefetch_factor=4,
        multiprocessing_context="fork",
        collate_fn=_as_it_is,
    )
    return iter(loader)


def _as_it_is(batch: Any) -> Any:
    return batch


def _resume(last: Path, network: nn.Module, wrapped: list[Any]) -> int:
    if not last.exists():
        return 0
    saved = torch.load(last, map_location="cpu", weights_only=True)
    network.load_state_dict(saved["network"])
    for optimiser, state in zip(wrapped, saved["optimisers"], strict=True):
        optimiser.load_state_dict(state)
    return int(saved["step"])


class _Log:
    """Means over `log_every` steps to TensorBoard, a JSON-lines file and one printed line."""

    def __init__(self, fabric: Fabric, folder: Path, config: LoopConfig, step: int) -> None:
        self.on = fabric.is_global_zero
        self.folder, self.config = folder, config
        self.sums: dict[str, list[float]] = {}
        self.console = Console()
        self.since, self.at = time.monotonic(), step
        self.writer = SummaryWriter(str(folder / "tensorboard")) if self.on else None

    def add(self, metrics: Metrics, step: int) -> None:
        if not self.on:
            return
        for key, value in metrics.items():
            self.sums.setdefault(key, []).append(value)
        if step % self.config.log_every == 0:
            means = {key: sum(values) / len(values) for key, values in self.sums.items()}
            self.sums = {}
            now = time.monotonic()
            speed = (step - self.at) / max(now - self.since, 1e-9)
            self.since, self.at = now, step
            self._write(means | {"steps_per_second": speed}, step, "train")

    def validated(self, metrics: Metrics, step: int) -> None:
        self._write(metrics, step, "valid")
        self.since = time.monotonic()

    def _write(self, means: Metrics, step: int, kind: str) -> None:
        assert self.writer is not None
        for key, value in means.items():
            self.writer.add_scalar(f"{kind}/{key}", value, step)
        self.writer.flush()
        row = {"step": step, "kind": kind, "time": time.time(), **means}
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        text = " ".join(f"{key} {value:.4g}" for key, value in means.items())
        left = ""
        if kind == "train" and means["steps_per_second"] > 0:
            minutes = (self.config.steps - step) / means["steps_per_second"] / 60
            left = f", {minutes:.0f} min left"
        self.console.print(
            f"{self.folder.name} {kind} {step}/{self.config.steps}{left}: {text}",
            highlight=False,
            soft_wrap=True,
        )

    def close(self) -> None:
        assert self.writer is not None
        self.writer.close()
        plot(self.folder)


def plot(folder: Path, smooth: Callable[[list[float]], list[float]] | None = None) -> Path:
    """Draw every curve of a stage's log.jsonl into losses.png."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    keys = sorted(
        {(r["kind"], k) for r in rows for k in r}
        - {(k, n) for k in ("train", "valid") for n in ("step", "kind", "time")}
    )
    columns = 4
    figure, axes = plt.subplots(
        -(-len(keys) // columns),
        columns,
        figsize=(4 * columns, 2.4 * -(-len(keys) // columns)),
        squeeze=False,
    )
    for axis in axes.flat:
        axis.set_visible(False)
    for axis, (kind, key) in zip(axes.flat, keys, strict=False):
        points = [(r["step"], r[key]) for r in rows if r["kind"] == kind and key in r]
        values = [value for _, value in points]
        axis.plot([x for x, _ in points], smooth(values) if smooth else values, lw=1.2)
        axis.set_title(f"{kind}: {key}", fontsize=9)
        axis.grid(alpha=0.3)
        axis.set_visible(True)
    figure.tight_layout()
    path = folder / "losses.png"
    figure.savefig(path, dpi=90)
    plt.close(figure)
    return path
