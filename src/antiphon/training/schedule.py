"""Learning rate over a stage, and the two optimisers that share its parameters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from antiphon.errors import RecipeError
from antiphon.training.muon import Muon


class OptimiserConfig(BaseModel):
    """Warm-up, stable, decay; Muon for the transformer's matrices, AdamW for the rest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    learning_rate: float = 2e-3
    warmup: int = 60
    decay: float = Field(default=0.5, ge=0, le=1)  # share of the steps that decay linearly
    floor: float = 0.02
    weight_decay: float = 0.02
    clip: float = 1.0
    muon: bool = True  # false: AdamW for all
    faster: dict[str, Annotated[float, Field(gt=0)]] = {}
    """A part of the network -> the factor on its rate: what a bundle does not have yet has further
    to go than the rest. Not for what Muon trains."""


def rate(step: int, steps: int, config: OptimiserConfig) -> float:
    """The factor on the learning rate at `step` of `steps`: warm-up-stable-decay."""
    warm = min(1.0, (step + 1) / max(config.warmup, 1))
    if config.decay <= 0:
        return warm
    left = (steps - step) / (steps * config.decay)
    return warm * min(1.0, max(config.floor, left))


def optimisers(
    named: Iterable[tuple[str, nn.Parameter]], config: OptimiserConfig
) -> list[torch.optim.Optimizer]:
    """Muon (2-D weights inside `layers.`) and AdamW (everything else that needs a gradient).

    Raises RecipeError where `faster` names a part that AdamW has nothing of.
    """
    matrices: list[nn.Parameter] = []
    rest: dict[float, list[nn.Parameter]] = defaultdict(list)
    unmet = set(config.faster)
    for name, parameter in named:
        if not parameter.requires_grad:
            continue
        if config.muon and "layers." in name and parameter.ndim == 2:
            matrices.append(parameter)
        else:
            part = next((part for part in config.faster if part in name.split(".")), "")
            unmet.discard(part)
            rest[config.faster.get(part, 1.0)].append(parameter)
    if unmet:
        raise RecipeError(
            f"optimiser.faster: {min(unmet)!r} is no part of the network that is trained and that "
            "AdamW trains"
        )
    found: list[torch.optim.Optimizer] = []
    if matrices:
        found.append(
            Muon(
                matrices,
                lr=config.learning_rate,
                weight_decay=config.weight_decay,
                ns_steps=4,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    if rest:
        found.append(
            torch.optim.AdamW(
                [{"params": each, "lr": by * config.learning_rate} for by, each in rest.items()],
                betas=(0.9, 0.95),
                weight_decay=config.weight_decay,
            )
        )
    for optimiser in found:
        for group in optimiser.param_groups:
            group["initial"] = group["lr"]
    return found
