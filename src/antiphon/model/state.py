"""State: the past of a batch of sessions, as a flat dictionary of tensors.

Every tensor has the slots as its first dimension, and every initial state is zero. So a
slot is cleared by zeroing its rows, frozen by keeping its rows, and moved by copying them.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

State = dict[str, Tensor]


def scope(state: Mapping[str, Tensor], name: str) -> State:
    """The part of `state` under `name.`, without that prefix."""
    prefix = name + "."
    return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}


def prefixed(name: str, state: Mapping[str, Tensor]) -> State:
    """`state` with every key put under `name.`."""
    return {f"{name}.{key}": value for key, value in state.items()}


def _rows(mask: Tensor, like: Tensor) -> Tensor:
    return mask.view(-1, *([1] * (like.dim() - 1)))


def reset_slots(state: Mapping[str, Tensor], reset: Tensor) -> State:
    """Slots where `reset` [B] is true start anew."""
    return {
        key: torch.where(_rows(reset, value), torch.zeros_like(value), value)
        for key, value in state.items()
    }


def keep_idle(new: Mapping[str, Tensor], old: Mapping[str, Tensor], active: Tensor) -> State:
    """Slots where `active` [B] is false keep their old rows bit for bit."""
    return {key: torch.where(_rows(active, value), value, old[key]) for key, value in new.items()}
