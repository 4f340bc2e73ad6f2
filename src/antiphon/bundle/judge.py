"""A trained judge as one small ONNX graph: two seconds of log-mel in, characters out, state kept.

Reading a judge then needs no torch (antiphon.evaluation.judge).
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from antiphon.bundle.export import plain_products, shrink
from antiphon.corpus.disk import put
from antiphon.model.encoder import Encoder
from antiphon.training.judge import Judge
from antiphon.training.judge_card import CARD, CHUNK, GRAPH


class _Chunk(nn.Module):
    def __init__(self, encoder: Encoder, names: list[str]) -> None:
        super().__init__()
        self.encoder, self.names = encoder, names

    def forward(self, mel: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        past = dict(zip(self.names, state, strict=True))
        vectors, new = self.encoder(mel, past)
        best = self.encoder.characters(vectors).argmax(-1)
        return (best, *(new[name] for name in self.names))


def export_judge(judge: Judge, folder: Path) -> Path:
    """Write `judge.onnx` (16-bit weights) and the card into a folder; returns the graph's path."""
    encoder = judge.encoder.eval()
    state = encoder.initial_state(1)
    names = sorted(state)
    buffer: Any = io.BytesIO()  # the exporter writes to it, whatever its annotation says
    torch.onnx.export(
        _Chunk(encoder, names).eval(),
        (torch.zeros(1, CHUNK, encoder.config.mels), *(state[name] for name in names)),
        buffer,
        input_names=["mel", *(f"state.{name}" for name in names)],
        output_names=["characters", *(f"next.{name}" for name in names)],
        opset_version=17,
        dynamo=False,
    )
    model = plain_products(onnx.load_model_from_string(buffer.getvalue()))
    keep = {tensor.name for tensor in model.graph.initializer}
    path = folder / GRAPH
    put(path, shrink(model, (), keep).SerializeToString())
    put(folder / CARD, judge.card.model_dump_json(indent=2).encode())
    return path
