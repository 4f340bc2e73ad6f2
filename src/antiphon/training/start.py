"""Where fine-tuning starts: a bundle's own graph, read back into the network and the codec."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from antiphon.codec.config import CodecConfig
from antiphon.codec.model import Codec
from antiphon.corpus.calls import CallVocabulary
from antiphon.corpus.scenario import load_scenario
from antiphon.errors import BundleError
from antiphon.model import graph_weights
from antiphon.model.config import ModelConfig
from antiphon.model.duplex import RECENT, Duplex

GRAPH, TOKENIZER = "step.onnx", "tokenizer.model"  # names inside a bundle's folder
# Where a call token has a row, or a column, of its own.
_BY_CALL = {
    "call.weight": 0,
    **{f"called.pieces.{age}.weight": 0 for age in range(RECENT)},
    "standing.weight": 1,
    "call_head.weight": 0,
    "call_head.bias": 0,
    "memory.called.weight": 0,
    "memory.call_head.weight": 0,
    "memory.call_head.bias": 0,
}
_LATER = ("control.", "called.")  # inputs that older bundles do not have
_MEMORY = "memory."  # nor a part of the network that knows nothing, and changes nothing, at first


def sizes_of(bundle: Path) -> ModelConfig:
    """The sizes of a bundle's network.

    Raises:
        BundleError: the bundle does not hold them.
    """
    try:
        return ModelConfig.model_validate_json((bundle / "model.json").read_text())
    except (OSError, ValueError) as error:
        raise BundleError(f"{bundle}: cannot be trained on: {error}") from error


def codec_of(bundle: Path) -> Codec:
    """A bundle's codec, encoder and decoder."""
    codec = Codec(CodecConfig.load(bundle / "codec.json"))
    weights = graph_weights.load(bundle, bundle / GRAPH)
    own = {
        name.removeprefix("step."): value
        for name, value in weights.items()
        if not name.startswith("step.duplex.")
    }
    codec.load_state_dict(own)
    return codec.eval()


def start_from(duplex: Duplex, bundle: Path, calls: CallVocabulary) -> list[str]:
    """Load a bundle's network into `duplex`; returns the call tokens that start fresh.

    Call tokens that the bundle's scenario and the new one name alike keep what they have learnt.

    Raises:
        BundleError: the bundle's network has other parts than this antiphon's.
    """
    duplex.load_state_dict(_weights(duplex, bundle, calls))
    known = _labels(bundle)
    return [label for label in calls.labels if label not in known]


def keep_some(
    duplex: Duplex, bundle: Path, calls: CallVocabulary, share: float, ears: float | None = None
) -> None:
    """Move `duplex` back by `share` of the way to the bundle that its training began from, its ears
    (the encoder) by `ears` where that is given.

    The mean of weights before and after a fine-tuning keeps more of what was known, and often
    hears better than either (Wortsman et al. 2022, arXiv 2109.01903). What the bundle does not
    have, call tokens that only the new scenario names, stays as it was trained.

    Raises:
        BundleError: the bundle's network has other parts than this antiphon's.
    """
    own = duplex.state_dict()
    before = _weights(duplex, bundle, calls)

    def kept(name: str) -> float:
        return ears if ears is not None and name.startswith("encoder.") else share

    duplex.load_state_dict({name: own[name].lerp(before[name], kept(name)) for name in own})


def _labels(bundle: Path) -> Sequence[str]:
    """The call tokens of a bundle."""
    return load_scenario(bundle / "scenario.yaml").call_vocabulary.labels


def _weights(duplex: Duplex, bundle: Path, calls: CallVocabulary) -> dict[str, torch.Tensor]:
    """A bundle's network as weights of `duplex`; what the bundle lacks is as `duplex` has it."""
    found = {
        name.removeprefix("step.duplex."): value
        for name, value in graph_weights.load(bundle, bundle / GRAPH).items()
        if name.startswith("step.duplex.")
    }
    before = _labels(bundle)
    own = duplex.state_dict()
    # Inputs that came later do nothing at first: a bundle from before styles was told none, and
    # one from before the memory of calls made do with the tokens that stand.
    weights = {n: torch.zeros_like(v) for n, v in own.items() if n.startswith(_LATER)}
    weights |= {n: v for n, v in own.items() if n.startswith(_MEMORY)} | found
    differing = sorted(set(own) ^ set(weights))
    if differing:
        raise BundleError(
            f"{bundle}: its network was made by another version of antiphon ({differing[0]} is "
            "in one and not in the other); train from the recipe instead of from this bundle"
        )
    # A position that is to write more characters begins by writing its own again: CTC joins them.
    for name in ("encoder.ctc.weight", "encoder.ctc.bias"):
        old = weights[name]
        weights[name] = old.repeat(len(own[name]) // len(old), *[1] * (old.ndim - 1))
    pairs = [(i, before.index(label)) for i, label in enumerate(calls.labels) if label in before]
    for name, dimension in _BY_CALL.items():
        if name not in found:
            continue
        fresh = own[name].clone()
        for new, old in pairs:
            fresh.select(dimension, new).copy_(weights[name].select(dimension, old))
        weights[name] = fresh
    return weights
