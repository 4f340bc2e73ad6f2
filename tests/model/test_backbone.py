from __future__ import annotations

import pytest
import torch

from antiphon.model.backbone import Backbone
from antiphon.model.config import BackboneConfig

CONFIG = BackboneConfig(
    hidden_size=32, num_hidden_layers=2, head_dim=8, intermediate_size=48, window=6
)


def test_steps_equal_whole() -> None:
    torch.manual_seed(0)
    backbone = Backbone(CONFIG).eval()
    x = torch.randn(2, 20, 32)
    whole, _ = backbone(x)
    past, pieces = backbone.initial_state(2), []
    for t in range(20):
        y, past = backbone(x[:, t : t + 1], past)
        pieces.append(y)
    torch.testing.assert_close(torch.cat(pieces, 1), whole, atol=1e-5, rtol=0)


def test_the_state_that_a_whole_pass_returns_goes_on_as_steps_do() -> None:
    torch.manual_seed(0)
    backbone = Backbone(CONFIG).eval()
    x = torch.randn(1, 9, 32)
    whole, _ = backbone(x)
    _, past = backbone(x[:, :4])
    rest, _ = backbone(x[:, 4:], past)
    torch.testing.assert_close(rest, whole[:, 4:], atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_layers_of_a_hugging_face_model_load_and_give_its_numbers(family: str) -> None:
    import transformers

    sizes = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "vocab_size": 16,
        "rms_norm_eps": 1e-6,
    }
    torch.manual_seed(0)
    if family == "llama":
        theirs = transformers.LlamaModel(transformers.LlamaConfig(**sizes)).eval()
    else:
        theirs = transformers.Qwen3Model(transformers.Qwen3Config(**sizes)).eval()
    config = CONFIG.model_copy(update={"window": 64, "qk_norm": family == "qwen3"})
    ours = Backbone(config).eval()
    ours.load_causal_lm({f"model.{k}": v for k, v in theirs.state_dict().items()})
    x = torch.randn(1, 10, 32)
    expected = theirs(inputs_embeds=x).last_hidden_state
    torch.testing.assert_close(ours(x)[0], expected, atol=1e-4, rtol=1e-4)


def test_another_shape_is_refused() -> None:
    with pytest.raises(RuntimeError):
        Backbone(CONFIG).load_causal_lm({"model.norm.weight": torch.ones(7)})
