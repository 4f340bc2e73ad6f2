"""Muon in 32 bits does what torch's does in 16."""

from __future__ import annotations

import pytest
import torch

from antiphon.training import muon


def _steps(kind: type[torch.optim.Muon], shape: tuple[int, int]) -> torch.Tensor:
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(shape))
    goal = torch.randn(shape)
    optimiser = kind([weight], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(5):
        optimiser.zero_grad()
        (weight - goal).square().sum().backward()
        optimiser.step()
    return weight.detach()


@pytest.mark.parametrize("shape", [(12, 20), (20, 12)])
def test_it_moves_as_torchs_does(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(muon, "fast_bfloat16", lambda: False)
    ours, theirs = _steps(muon.Muon, shape), _steps(torch.optim.Muon, shape)
    torch.manual_seed(0)
    moved = (theirs - torch.randn(shape)).abs().mean()
    assert (ours - theirs).abs().mean() < 0.05 * moved
    assert moved > 0.01


def test_where_bfloat16_is_fast_it_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(muon, "fast_bfloat16", lambda: True)
    assert torch.equal(_steps(muon.Muon, (8, 8)), _steps(torch.optim.Muon, (8, 8)))


def test_the_iteration_makes_singular_values_alike() -> None:
    torch.manual_seed(1)
    found = muon.orthogonal(torch.randn(10, 6), (3.4445, -4.7750, 2.0315), 8, 1e-7)
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.6
    assert values.max() < 1.3
