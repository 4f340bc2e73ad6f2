"""The weights inside a bundle's graph: which tensor is which parameter, and how to read it back.

A bundle holds its network once, as a graph; training starts from the same bytes. Export
notes for every parameter the graph's tensor that carries it (folded, transposed, in 8 or 16
bits); what the graph does not need (the CTC head, the codec's encoder) lies beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from safetensors.torch import (
    load_file,  # pyright: ignore[reportUnknownVariableType]
    save_file,  # pyright: ignore[reportUnknownVariableType]
)
from torch import Tensor

from antiphon.errors import BundleError

NAMES = "weights.json"  # parameter -> [tensor of the graph, transposed]
REST = "training.safetensors"  # parameters that running does not need

Places = dict[str, tuple[str, bool]]


def match(model: onnx.ModelProto, weights: Mapping[str, Tensor]) -> Places:
    """Where the graph's float tensors carry parameters: equal bytes, as they are or transposed."""
    found: dict[tuple[tuple[int, ...], bytes], str] = {}
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            found.setdefault((values.shape, values.tobytes()), tensor.name)
    places: Places = {}
    for name, weight in weights.items():
        values = weight.detach().cpu().numpy()
        if values.dtype != np.float32:
            continue
        straight = found.get((values.shape, np.ascontiguousarray(values).tobytes()))
        turned = found.get((values.T.shape, np.ascontiguousarray(values.T).tobytes()))
        if straight is not None:
            places[name] = (straight, False)
        elif turned is not None:
            places[name] = (turned, True)
    return places


def save(folder: Path, places: Places, weights: Mapping[str, Tensor]) -> None:
    """Write the names, and in 16 bits whatever the graph does not carry."""
    (folder / NAMES).write_text(json.dumps(places))
    rest = {
        name: (value.half() if value.is_floating_point() and value.numel() > 1 else value)
        .contiguous()
        .clone()
        for name, value in weights.items()
        if name not in places
    }
    save_file(rest, str(folder / REST))


def load(folder: Path, graph: Path) -> dict[str, Tensor]:
    """Every parameter of a bundle, as float32 (integers as they are).

    Raises:
        BundleError: the bundle was written without its names, or they do not fit its graph.
    """
    try:
        places: dict[str, tuple[str, bool]] = json.loads((folder / NAMES).read_text())
        rest = load_file(str(folder / REST))
    except OSError as error:
        raise BundleError(f"{folder}: this bundle cannot be trained on ({error})") from error
    tensors = {t.name: t for t in onnx.load(str(graph)).graph.initializer}
    weights = {
        name: value.float() if value.is_floating_point() else value for name, value in rest.items()
    }
    for name, (tensor, transposed) in places.items():
        values = _read(tensors, tensor)
        if values is None:
            raise BundleError(f"{graph}: has no tensor {tensor} for the parameter {name}")
        weights[name] = torch.from_numpy(np.ascontiguousarray(values.T if transposed else values))
    return weights


def _read(tensors: Mapping[str, onnx.TensorProto], name: str) -> npt.NDArray[np.float32] | None:
    if name in tensors:
        return numpy_helper.to_array(tensors[name]).astype(np.float32)
    if f"{name}.half" in tensors:
        return numpy_helper.to_array(tensors[f"{name}.half"]).astype(np.float32)
    if f"{name}_quantized" in tensors:
        values = numpy_helper.to_array(tensors[f"{name}_quantized"]).astype(np.float32)
        scale = _read(tensors, f"{name}_scale")
        zero = _read(tensors, f"{name}_zero_point")
        if scale is not None:
            return ((values - (0.0 if zero is None else zero)) * scale).astype(np.float32)
    return None
