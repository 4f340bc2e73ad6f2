"""Whether this machine's 8-bit products are exact, for weights with a sign and without.

    python benchmarks/integers.py --bundle cafe

Every matrix of a bundle's graph that multiplies in 8 bits, times activations drawn from a normal
distribution and quantised as the graph does it: onnxruntime's product beside the exact one. x86
processors without VNNI add pairs of unsigned times signed products in 16 bits, which overflow. The
error is of whole products, relative to their mean size; the time is of all matrices together.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

from antiphon.bundle.manifest import find

ROWS = 1  # a frame of one call
TIMES = 50
Integers = npt.NDArray[Any]


def matrices(graph: onnx.ModelProto) -> list[npt.NDArray[np.int16]]:
    """The weights [R, C] of every integer product, as the signed numbers they stand for."""
    tensors = {tensor.name: tensor for tensor in graph.graph.initializer}
    found: list[npt.NDArray[np.int16]] = []
    for node in graph.graph.node:
        if node.op_type == "MatMulInteger" and node.input[1] in tensors:
            weights = numpy_helper.to_array(tensors[node.input[1]]).astype(np.int16)
            zero = numpy_helper.to_array(tensors[node.input[3]]).astype(np.int16)
            found.append(weights - zero)
    return found


def product(weights: Integers, signed: bool) -> ort.InferenceSession:
    """A graph of one product: uint8 [ROWS, R] and its zero point to int32 [ROWS, C]."""
    raised = weights.astype(np.int8) if signed else (weights + 128).astype(np.uint8)
    zero = np.array(0, np.int8) if signed else np.array(128, np.uint8)
    node = helper.make_node("MatMulInteger", ["a", "w", "za", "zw"], ["y"])
    graph = helper.make_graph(
        [node],
        "product",
        [
            helper.make_tensor_value_info("a", onnx.TensorProto.UINT8, [ROWS, len(weights)]),
            helper.make_tensor_value_info("za", onnx.TensorProto.UINT8, []),
        ],
        [helper.make_tensor_value_info("y", onnx.TensorProto.INT32, None)],
        [numpy_helper.from_array(raised, "w"), numpy_helper.from_array(zero, "zw")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def quantised(x: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.uint8], int]:
    """As DynamicQuantizeLinear does it: 8 bits and the zero point."""
    low, high = min(0.0, float(x.min())), max(0.0, float(x.max()))
    scale = (high - low) / 255
    zero = round(-low / scale)
    return np.clip(np.round(x / scale) + zero, 0, 255).astype(np.uint8), zero


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bundle", default="cafe")
    chosen = parser.parse_args()
    every = matrices(onnx.load(str(find(chosen.bundle) / "step.onnx")))
    print(f"{len(every)} matrices of {chosen.bundle}, onnxruntime {ort.__version__}")
    for signed in (True, False):
        rng = np.random.default_rng(0)
        errors: list[float] = []
        worst = seconds = 0.0
        for weights in every:
            a, zero = quantised(rng.normal(size=(ROWS, len(weights))))
            exact = (a.astype(np.int64) - zero) @ weights.astype(np.int64)
            session = product(weights, signed)
            feeds = {"a": a, "za": np.array(zero, np.uint8)}
            got: Any = session.run(None, feeds)[0]
            size = np.abs(exact).mean()
            errors.append(float(np.abs(got - exact).mean() / size))
            worst = max(worst, float(np.abs(got - exact).max() / size))
            begun = time.perf_counter()
            for _ in range(TIMES):
                session.run(None, feeds)
            seconds += (time.perf_counter() - begun) / TIMES
        wrong = sum(error > 0 for error in errors)
        print(
            f"{'signed' if signed else 'unsigned':8s} wrong in {wrong} of {len(every)}, "
            f"mean error {np.mean(errors):.4f}, largest {worst:.2f}, {seconds * 1e3:.2f} ms"
        )


if __name__ == "__main__":
    main()
