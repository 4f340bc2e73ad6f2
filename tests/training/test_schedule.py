from __future__ import annotations

import pytest
import torch

from antiphon.errors import RecipeError
from antiphon.training.schedule import OptimiserConfig, optimisers, rate
from tests.model.tiny import duplex


def test_rate_warms_up_stays_and_falls() -> None:
    config = OptimiserConfig(warmup=10, decay=0.5, floor=0.02)
    assert rate(0, 100, config) == 0.1
    assert rate(30, 100, config) == 1.0
    assert 0.4 < rate(75, 100, config) < 0.6
    assert rate(99, 100, config) == 0.02


def test_matrices_of_layers_go_to_muon_and_each_parameter_to_one_optimiser() -> None:
    network = duplex(memory=False)
    found = optimisers(network.named_parameters(), OptimiserConfig())
    assert isinstance(found[0], torch.optim.Muon)
    groups = [p for o in found for g in o.param_groups for p in g["params"]]
    assert len(groups) == len(set(map(id, groups))) == len(list(network.parameters()))
    assert all(p.ndim == 2 for g in found[0].param_groups for p in g["params"])


def test_frozen_parameters_are_left_out() -> None:
    network = duplex(memory=False)
    network.encoder.requires_grad_(False)
    found = optimisers(network.named_parameters(), OptimiserConfig())
    count = sum(len(g["params"]) for o in found for g in o.param_groups)
    assert count == sum(p.requires_grad for p in network.parameters())


def test_a_part_can_learn_faster_than_the_rest() -> None:
    network = duplex(memory=False)
    config = OptimiserConfig(learning_rate=1e-3, faster={"called": 10.0})
    found = optimisers(network.named_parameters(), config)
    rates = {id(p): g["initial"] for o in found for g in o.param_groups for p in g["params"]}
    fast = {name for name, p in network.named_parameters() if rates[id(p)] == 1e-2}
    assert fast == {name for name, _ in network.named_parameters() if name.startswith("called.")}
    assert set(rates.values()) == {1e-2, 1e-3}


@pytest.mark.parametrize("part", ["cald", "encoder"])
def test_a_part_that_cannot_learn_faster_is_named(part: str) -> None:
    network = duplex(memory=False)
    network.encoder.requires_grad_(False)
    with pytest.raises(RecipeError, match=f"optimiser.faster: '{part}'"):
        optimisers(network.named_parameters(), OptimiserConfig(faster={part: 2.0}))
