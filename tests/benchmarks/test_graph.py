from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from antiphon.bundle import load
from graph import AUDIO_OUTPUT, Graph, operators, part


def test_no_node_is_in_both_parts(tiny_bundle: Path) -> None:
    graph = Graph(load(tiny_bundle))
    assert graph.network_nodes
    assert graph.codec_nodes
    assert not graph.network_nodes & graph.codec_nodes


def test_the_network_part_makes_every_stream_and_the_codec_part_the_audio(
    tiny_bundle: Path,
) -> None:
    graph = Graph(load(tiny_bundle))
    network = {name for index in graph.network_nodes for name in _makes(graph, index)}
    codec = {name for index in graph.codec_nodes for name in _makes(graph, index)}
    assert AUDIO_OUTPUT in codec
    assert {"agent_text", "caller_text", "call", "vad"} <= network


def test_parts_run_to_the_values_of_the_whole(tiny_bundle: Path) -> None:
    graph = Graph(load(tiny_bundle))
    for nodes in (graph.network_nodes, graph.codec_nodes):
        model, values = graph.cut(nodes)
        given = {node.name: values[node.name] for node in model.graph.input}
        names = [node.name for node in model.graph.output]
        made = ReferenceEvaluator(model).run(names, given)
        for name, value in zip(names, made, strict=True):
            np.testing.assert_allclose(value, values[name], atol=1e-5)


def test_a_table_is_not_read_whole_and_halves_count_as_they_are_used(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 16-bit matrix and a 16-bit table, both used in 32 bits."""
    half = onnx.TensorProto.FLOAT16
    weights = [
        onnx.helper.make_tensor("matrix.half", half, [16, 16], np.ones(256)),
        onnx.helper.make_tensor("table.half", half, [32, 16], np.ones(512)),
    ]
    nodes = [
        onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT)
        for name in ("matrix", "table")
    ]
    nodes += [
        onnx.helper.make_node("Gather", ["table", "id"], ["row"]),
        onnx.helper.make_node("MatMul", ["row", "matrix"], ["agent"]),
    ]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [], [], weights))
    monkeypatch.setattr(onnx, "load", lambda _: model)
    size = Graph(load(tiny_bundle)).size({0, 1})
    assert (size.parameters, size.streamed_bytes) == (768, 1024)


def test_a_part_and_its_operators_are_timed(tiny_bundle: Path) -> None:
    cost = part(str(tiny_bundle), "codec", frames=3, warm_up=1)
    assert cost.name == "codec decoder"
    assert 0 < cost.wall_p50 <= cost.wall_p99
    shares = operators(str(tiny_bundle), frames=2)
    assert abs(sum(shares.values()) - 1) < 1e-6


def _makes(graph: Graph, index: int) -> list[str]:
    return list(graph.model.graph.node[index].output)
