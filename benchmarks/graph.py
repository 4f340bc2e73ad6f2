"""A bundle's graph taken apart: what the network costs, and what the codec decoder costs.

The graph is cut in two where the codes leave the network: the network is all that the streams
and their state need, the codec decoder is what is left. The cut follows the edges of the graph,
not names, so it holds for any export.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import GraphProto, ModelProto, NodeProto

from antiphon.audio import FRAME
from antiphon.bundle import Bundle, find, load
from timing import Cost, time_frames

AUDIO_OUTPUT = "agent"  # the one output that is the codec's
UNPACKING = ("Cast", "Mul")  # what turns stored weights into those that are multiplied with
NOT_WEIGHTS = 64  # elements; a smaller constant is a shape, an axis or a scale


@dataclass(frozen=True)
class Size:
    """What a part holds: its numbers, and the bytes of those that every frame reads whole."""

    parameters: int
    streamed_bytes: int


def part(bundle_name: str, which: str, frames: int, warm_up: int) -> Cost:
    """The network or the codec decoder alone, one session; `which` is "network" or "codec"."""
    graph = Graph(load(find(bundle_name)))
    nodes = graph.network_nodes if which == "network" else graph.codec_nodes
    model, values = graph.cut(nodes)
    session = _session(model)
    binding = session.io_binding()
    for node in session.get_inputs():
        binding.bind_ortvalue_input(node.name, ort.OrtValue.ortvalue_from_numpy(values[node.name]))
    for node in session.get_outputs():
        buffer = np.empty_like(values[node.name])
        binding.bind_ortvalue_output(node.name, ort.OrtValue.ortvalue_from_numpy(buffer))
    size = graph.size(nodes)
    return time_frames(
        lambda: session.run_with_iobinding(binding),
        name="network" if which == "network" else "codec decoder",
        frames=frames,
        warm_up=warm_up,
        parameters=size.parameters,
        streamed_bytes=size.streamed_bytes,
    )


def operators(bundle_name: str, frames: int) -> dict[str, float]:
    """Which operators the whole graph's time goes to: share by operator, the largest first."""
    graph = Graph(load(find(bundle_name)))
    with tempfile.TemporaryDirectory() as folder:
        session = _session(graph.model, profile=f"{folder}/profile")
        given = graph.first_frame()
        for _ in range(frames):
            session.run(None, given)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    spent: Counter[str] = Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            spent[event["args"]["op_name"]] += event["dur"]
    total = spent.total()
    return {name: time / total for name, time in spent.most_common()}


class Graph:
    """A bundle's graph as nodes and edges."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.model = _unpacked(onnx.load(str(bundle.graph)))
        self._graph: GraphProto = self.model.graph
        self._maker = {name: node for node in self._graph.node for name in node.output}
        self._weights = {tensor.name: tensor for tensor in self._graph.initializer}

    @cached_property
    def network_nodes(self) -> set[int]:
        """Indices of the nodes that the streams (every output but the audio) need.

        State that the streams read is the network's own, and so is what makes its next value.
        """
        states = {state.name for state in self.bundle.manifest.states}
        wanted = {
            node.name
            for node in self._graph.output
            if node.name != AUDIO_OUTPUT and not node.name.startswith("next.")
        }
        while True:
            nodes, read = self._upstream(wanted)
            own = {f"next.{name}" for name in states if f"state.{name}" in read}
            if own <= wanted:
                return nodes
            wanted |= own

    @cached_property
    def codec_nodes(self) -> set[int]:
        """Indices of the nodes that only the audio and the codec's state need."""
        every, _ = self._upstream({node.name for node in self._graph.output})
        return every - self.network_nodes

    def size(self, nodes: set[int]) -> Size:
        """The weights that `nodes` read; of an embedding table a frame reads only rows."""
        read: set[str] = set()
        streamed: set[str] = set()
        for node in (self._graph.node[index] for index in nodes):
            names = _reads(node)
            read |= names
            streamed |= names - {node.input[0]} if node.op_type == "Gather" else names
        weights = [
            tensor for tensor in self._weights.values() if _count(tensor.dims) >= NOT_WEIGHTS
        ]
        return Size(
            parameters=sum(_count(tensor.dims) for tensor in weights if tensor.name in read),
            streamed_bytes=sum(
                onnx.numpy_helper.to_array(tensor).nbytes
                for tensor in weights
                if tensor.name in streamed
            ),
        )

    def cut(self, nodes: set[int]) -> tuple[ModelProto, dict[str, Any]]:
        """`nodes` as a model of their own, and a value for each of its inputs and outputs.

        The values come from one run of the whole graph, so a part is timed on what it meets.
        """
        inside = [self._graph.node[index] for index in sorted(nodes)]
        made = {name for node in inside for name in node.output if name}
        read_outside = {
            name
            for index, node in enumerate(self._graph.node)
            if index not in nodes
            for name in _reads(node)
        }
        results = {node.name for node in self._graph.output}
        weights = {name for node in inside for name in _reads(node) if name in self._weights}
        inputs = {name for node in inside for name in _reads(node)} - made - weights - {""}
        outputs = made & (read_outside | results)
        values = self._values(inputs | outputs)
        model = onnx.helper.make_model(
            onnx.helper.make_graph(
                inside,
                "part",
                [_described(name, values[name]) for name in sorted(inputs)],
                [_described(name, values[name]) for name in sorted(outputs)],
                [self._weights[name] for name in sorted(weights)],
            ),
            opset_imports=self.model.opset_import,
            functions=self.model.functions,
            ir_version=self.model.ir_version,
        )
        return model, values

    def _upstream(self, wanted: Iterable[str]) -> tuple[set[int], set[str]]:
        """The nodes that make `wanted`, and every name that those read."""
        index = {id(node): position for position, node in enumerate(self._graph.node)}
        nodes: set[int] = set()
        read: set[str] = set()
        todo = [self._maker[name] for name in wanted if name in self._maker]
        while todo:
            node = todo.pop()
            if index[id(node)] in nodes:
                continue
            nodes.add(index[id(node)])
            names = _reads(node)
            read |= names
            todo += [self._maker[name] for name in names if name in self._maker]
        return nodes, read

    def _values(self, names: set[str]) -> dict[str, Any]:
        """What the tensors `names` hold in the first frame of a call."""
        given = self.first_frame()
        wanted = sorted(names - set(given))
        watched = ModelProto()
        watched.CopyFrom(self.model)
        known = {node.name for node in watched.graph.output}
        for name in wanted:
            if name not in known:
                watched.graph.output.append(onnx.ValueInfoProto(name=name))
        session = _session(watched)
        results = session.run(wanted, {n.name: given[n.name] for n in session.get_inputs()})
        return given | dict(zip(wanted, results, strict=True))

    def first_frame(self) -> dict[str, Any]:
        """One session's inputs in the first frame of a call: noise on the line, empty state."""
        manifest = self.bundle.manifest
        rng = np.random.default_rng(0)
        types = {
            node.name: onnx.helper.tensor_dtype_to_np_dtype(node.type.tensor_type.elem_type)
            for node in self._graph.input
        }
        given: dict[str, Any] = {
            f"state.{state.name}": np.zeros((1, *state.shape), np.dtype(state.dtype))
            for state in manifest.states
        }
        for node in self._graph.input:
            dims = [dim.dim_value or 1 for dim in node.type.tensor_type.shape.dim]
            given.setdefault(node.name, np.zeros(dims, types[node.name]))
        given["caller"] = rng.normal(0, 0.1, (1, FRAME)).astype(types["caller"])
        given["noise_audio"] = rng.normal(0, 1, (1, FRAME)).astype(types["noise_audio"])
        given["active"][:] = True
        given["call_mask"][:] = True
        given["force_text"][:] = -1
        return given


def _unpacked(model: ModelProto) -> ModelProto:
    """Weights that are stored in fewer bits than they are used in, as they are in memory.

    onnxruntime does the same when it loads a graph; here it makes bytes and tables visible.
    """
    known = {tensor.name: tensor for tensor in model.graph.initializer}
    kept: list[NodeProto] = []
    for node in model.graph.node:
        if node.op_type not in UNPACKING or not all(name in known for name in node.input):
            kept.append(node)
            continue
        values = [onnx.numpy_helper.to_array(known[name]) for name in node.input]
        if node.op_type == "Cast":
            kind = next(attribute.i for attribute in node.attribute if attribute.name == "to")
            wide = values[0].astype(onnx.helper.tensor_dtype_to_np_dtype(kind))
        else:
            wide = values[0] * values[1]
        known[node.output[0]] = onnx.numpy_helper.from_array(wide, node.output[0])
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(kept)
    model.graph.initializer.extend(known.values())
    return model


def _session(model: ModelProto, profile: str | None = None) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _reads(node: NodeProto) -> set[str]:
    """Names that a node reads, those of its subgraphs included."""
    names = set(node.input)
    for attribute in node.attribute:
        for graph in [attribute.g, *attribute.graphs]:
            made = {name for inner in graph.node for name in inner.output}
            names |= {name for inner in graph.node for name in _reads(inner)} - made
            names |= {output.name for output in graph.output} - made
    return names - {""}


def _described(name: str, value: Any) -> onnx.ValueInfoProto:
    kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
    return onnx.helper.make_tensor_value_info(name, kind, value.shape)


def _count(dims: Iterable[int]) -> int:
    return int(np.prod(list(dims), dtype=np.int64))
