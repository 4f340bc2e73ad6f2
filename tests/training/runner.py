"""A small training as a program of its own, so that tests can kill it or run two of it.

python -m tests.training.runner FOLDER STEPS
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from antiphon.training.loop import LoopConfig, Metrics, fit
from antiphon.training.schedule import OptimiserConfig


class Line(nn.Module):
    """Learns y = 2 x + 1."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList([nn.Linear(4, 4, bias=False)])
        self.out = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.layers[0](x))


class LineTask:
    """Batches that depend on (step, rank) alone."""

    def __init__(self) -> None:
        self.network: nn.Module = Line()
        self.seen: list[tuple[int, int]] = []

    def batch(self, step: int, rank: int, progress: float) -> Any:
        self.seen.append((step, rank))
        x = torch.from_numpy(np.random.default_rng([step, rank]).normal(size=(8, 4))).float()
        return x, 2 * x + 1

    def loss(self, network: nn.Module, batch: Any) -> tuple[Tensor, Metrics]:
        x, y = batch
        loss = (network(x) - y).square().mean()
        return loss, {"error": float(loss.detach())}

    def validate(self, network: nn.Module) -> Metrics:
        x = torch.ones(1, 4)
        return {"error": float((network(x) - 3).abs().mean())}


def config(steps: int) -> LoopConfig:
    return LoopConfig(
        steps=steps,
        log_every=5,
        save_every=5,
        validate_every=steps,
        optimiser=OptimiserConfig(learning_rate=0.05, warmup=2, weight_decay=0.0),
    )


def main() -> None:
    folder, steps = Path(sys.argv[1]), int(sys.argv[2])
    several = torch.distributed.is_torchelastic_launched()
    fabric = Fabric(
        accelerator="cpu", devices=2 if several else 1, strategy="ddp" if several else "auto"
    )
    fabric.launch()
    fit(fabric, LineTask(), config(steps), folder)


if __name__ == "__main__":
    main()
