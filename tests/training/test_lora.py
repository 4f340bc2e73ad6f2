from __future__ import annotations

import torch

from antiphon.model.duplex import Own
from antiphon.training.lora import adapt, merge
from tests.model.tiny import duplex


def test_adapters_start_as_nothing_train_alone_and_merge_into_the_weights() -> None:
    network = duplex()
    names = set(network.state_dict())
    none = torch.zeros(1, 10, dtype=torch.int64)
    own = Own(none, none, none, torch.zeros(1, 10, 6, dtype=torch.int64), none[:, :2])
    mel = torch.randn(1, 80, 80)
    before = network(mel, own)[0].z
    adapt(network, rank=4, alpha=8)
    torch.testing.assert_close(network(mel, own)[0].z, before)
    trained = {n for n, p in network.named_parameters() if p.requires_grad}
    assert any("lora_" in name for name in trained)
    assert not any("base_layer" in name or name.startswith("depth") for name in trained)
    for name, parameter in network.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    adapted = network(mel, own)[0].z
    merge(network)
    assert set(network.state_dict()) == names
    torch.testing.assert_close(network(mel, own)[0].z, adapted, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(adapted, before, atol=1e-3)
