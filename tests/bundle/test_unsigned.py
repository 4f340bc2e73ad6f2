"""Weights of integer products without a sign: the same numbers, and exact on every processor."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

from antiphon.bundle.export import unsigned

ROWS, INNER, COLUMNS = 2, 64, 8


def _product(weights: np.ndarray) -> onnx.ModelProto:
    node = helper.make_node("MatMulInteger", ["a", "w", "za", "zw"], ["y"])
    graph = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("a", onnx.TensorProto.UINT8, [ROWS, INNER])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.INT32, None)],
        [
            numpy_helper.from_array(weights, "w"),
            numpy_helper.from_array(np.array(3, np.uint8), "za"),
            numpy_helper.from_array(np.zeros(COLUMNS, np.int8), "zw"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def test_products_are_exact_where_signed_ones_would_overflow() -> None:
    weights = np.full((INNER, COLUMNS), 127, np.int8)
    weights[:, ::2] = -127
    model = unsigned(_product(weights))
    kinds = {t.name: numpy_helper.to_array(t).dtype for t in model.graph.initializer}
    assert kinds["w"] == kinds["zw"] == np.uint8
    a = np.full((ROWS, INNER), 255, np.uint8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    got: Any = session.run(None, {"a": a})[0]
    assert np.array_equal(got, (a.astype(np.int64) - 3) @ weights.astype(np.int64))
    assert unsigned(model) == model  # nothing is raised twice
