"""Low-rank adapters (LoRA, arXiv 2106.09685) for fine-tuning, by peft."""

from __future__ import annotations

from typing import Any, cast

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn

from antiphon.model.duplex import Duplex

# The trunk's and the ears' matrices; heads and embeddings are small, new words need them whole.
TARGETS = (
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
    "feed_in",
    "feed_out",
)
WHOLE = (
    "text",
    "recent",
    "heard",
    "call",
    "called",
    "standing",
    "text_head",
    "caller_text_head",
    "call_head",
    "hear",
)


def adapt(duplex: Duplex, rank: int, alpha: int) -> Duplex:
    """Put adapters on the network in place: they, and the parts in WHOLE, alone are trained."""
    config = LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=list(TARGETS), exclude_modules=r"memory\..*"
    )
    inject_adapter_in_model(config, cast("Any", duplex))
    for name, parameter in duplex.named_parameters():
        first = name.split(".")[0]
        parameter.requires_grad_("lora_" in name or first in WHOLE)
    return duplex


def merge(duplex: Duplex) -> Duplex:
    """Fold the adapters into the weights, in place; the network is plain again."""
    with torch.no_grad():
        modules: list[tuple[str, nn.Module]] = list(cast("Any", duplex.named_modules()))
        for name, module in modules:
            if isinstance(module, LoraLayer):
                cast("Any", module).merge()
                parent, _, leaf = name.rpartition(".")
                owner: nn.Module = duplex.get_submodule(parent)
                setattr(owner, leaf, cast("Any", module).get_base_layer())
    return duplex
