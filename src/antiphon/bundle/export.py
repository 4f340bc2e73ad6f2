"""A trained network and codec to a bundle: one ONNX graph, small, checked against torch.

The network's matrices become 8-bit integers, one scale a column; the codec's, which the ear
is stricter with, 16-bit floats. Both are measured against the float graph on export.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    QuantType,
    quantize_dynamic,  # pyright: ignore[reportUnknownVariableType]
)
from onnxruntime.quantization.onnx_model import ONNXModel
from torch import Tensor, nn

from antiphon.audio import FRAME
from antiphon.bundle.manifest import (
    GRAPH,
    TOKENIZER,
    BundleManifest,
    Delays,
    StateSpec,
    Temperatures,
    seal,
)
from antiphon.codec.model import Codec
from antiphon.errors import BundleError
from antiphon.model import graph_weights as weights
from antiphon.model.duplex import Duplex
from antiphon.model.state import State
from antiphon.model.step import FrameStep, Inputs, Outputs
from antiphon.training.pipeline import Workshop, trained
from antiphon.training.streams import CHARACTERS, Timing

_SMALL = 4096  # tensors with fewer values keep their 32 bits
_EXACT = ("step.frontend.", "step.decoder.pitch.", "step.decoder.timbre.", "step.decoder.matrix.")


class _Flat(nn.Module):
    """The step with its dictionaries spread out, as a graph's inputs and outputs are."""

    def __init__(self, step: FrameStep, names: Sequence[str]) -> None:
        super().__init__()
        self.step, self.names = step, list(names)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        count = len(Inputs._fields)
        state: State = dict(zip(self.names, tensors[count:], strict=True))
        outputs, new = self.step(Inputs(*tensors[:count]), state)
        return (*outputs, *(new[name] for name in self.names))


def example_inputs(step: FrameStep, batch: int, seed: int = 0) -> Inputs:
    """Plausible inputs of one frame, for tracing and for comparing graphs."""
    config = step.duplex.config
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(batch, config.codebooks, config.codebook_size, generator=generator)
    return Inputs(
        caller=0.1 * torch.randn(batch, FRAME, generator=generator),
        active=torch.ones(batch, dtype=torch.bool),
        reset=torch.zeros(batch, dtype=torch.bool),
        noise_text=torch.zeros(batch, config.text_vocabulary),
        noise_codes=-torch.log(-torch.log(uniform.clamp(1e-7, 1 - 1e-7))),
        noise_audio=torch.randn(batch, FRAME, generator=generator),
        temperature=torch.tensor([0.0, 0.4]),
        call_mask=torch.ones(batch, config.call_vocabulary, dtype=torch.bool),
        force_text=torch.full((batch,), -1, dtype=torch.int64),
        control=torch.zeros(batch, 2, dtype=torch.int64),
    )


def to_onnx(step: FrameStep) -> tuple[onnx.ModelProto, list[StateSpec]]:
    """Trace the step; the batch stays open."""
    step = step.eval()
    state = step.initial_state(2)
    names = sorted(state)
    inputs = example_inputs(step, 2)
    given = [f"state.{name}" for name in names]
    made = [f"next.{name}" for name in names]
    axes = {name: {0: "B"} for name in (*Inputs._fields, *Outputs._fields, *given, *made)}
    del axes["temperature"]
    buffer: Any = io.BytesIO()  # the exporter writes to it, whatever its annotation says
    torch.onnx.export(
        _Flat(step, names),
        (*inputs, *(state[name] for name in names)),
        buffer,
        input_names=[*Inputs._fields, *given],
        output_names=[*Outputs._fields, *made],
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )
    specs = [
        StateSpec(
            name=name,
            shape=tuple(state[name].shape[1:]),
            dtype=cast("Any", str(state[name].dtype).removeprefix("torch.")),
        )
        for name in names
    ]
    return onnx.load_model_from_string(buffer.getvalue()), specs


def shrink(
    model: onnx.ModelProto, integer: Collection[str], keep: Collection[str]
) -> onnx.ModelProto:
    """Weights in fewer bytes.

    integer: matrices whose products run in 8 bits; activations are quantised as they come
    (onnxruntime's MatMulInteger), which is also faster. The rest is only stored smaller.
    """
    nodes = [
        node.name
        for node in model.graph.node
        if node.op_type == "MatMul" and any(name in integer for name in node.input)
    ]
    if nodes:
        with tempfile.TemporaryDirectory(prefix="antiphon-export-") as scratch:
            source, target = Path(scratch) / "float.onnx", Path(scratch) / "integer.onnx"
            onnx.save_model(model, str(source))
            quantize_dynamic(
                source,
                target,
                op_types_to_quantize=["MatMul"],
                nodes_to_quantize=nodes,
                per_channel=True,
                weight_type=QuantType.QInt8,
                extra_options={"MatMulConstBOnly": True},
            )
            model = unsigned(onnx.load_model(str(target)))
    return _pack(model, keep)


def unsigned(model: onnx.ModelProto) -> onnx.ModelProto:
    """The 8-bit weights of integer products without a sign, 128 higher than they were.

    The products are the same. But x86 processors before VNNI add pairs of unsigned times signed
    products in 16 bits, where they are cut off (docs/experiments/integers.md).
    """
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    names = {
        name
        for node in model.graph.node
        if node.op_type == "MatMulInteger"
        for name in (node.input[1], node.input[3])
    }
    for name in names:
        values = numpy_helper.to_array(tensors[name])
        if values.dtype == np.int8:
            raised = (values.astype(np.int16) + 128).astype(np.uint8)
            tensors[name].CopyFrom(numpy_helper.from_array(raised, name))
    return model


def stored_once(model: onnx.ModelProto) -> onnx.ModelProto:
    """Large constants inside nodes as tensors of the graph, equal ones as one: transforms that the
    codec computes, which would stay in 32 bits and stand there again wherever they are used.
    """
    names: dict[bytes, str] = {}
    instead: dict[str, str] = {}
    kept: list[onnx.NodeProto] = []
    for node in model.graph.node:
        value = next((a.t for a in node.attribute if a.name == "value"), None)
        if node.op_type != "Constant" or value is None or np.prod(value.dims) < _SMALL:
            kept.append(node)
            continue
        content = numpy_helper.to_array(value)
        key = repr(content.shape).encode() + content.tobytes()
        if key not in names:
            names[key] = node.output[0]
            model.graph.initializer.append(numpy_helper.from_array(content, node.output[0]))
        instead[node.output[0]] = names[key]
    for node in kept:
        node.input[:] = [instead.get(name, name) for name in node.input]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model


def plain_products(model: onnx.ModelProto) -> onnx.ModelProto:
    """Gemm as MatMul and Add: one kind of product to name, match and quantise."""
    wrapped: Any = ONNXModel(model)
    wrapped.replace_gemm_with_matmul()
    # Some versions turn a matrix in place, some leave the one that nothing uses any more.
    used = {name for node in wrapped.model.graph.node for name in node.input}
    kept = [t for t in wrapped.model.graph.initializer if t.name in used]
    del wrapped.model.graph.initializer[:]
    wrapped.model.graph.initializer.extend(kept)
    return cast("onnx.ModelProto", wrapped.model)


def _pack(model: onnx.ModelProto, keep: Collection[str]) -> onnx.ModelProto:
    """Large float tensors in 8 bits with a scale a row or column, or in 16 bits.

    Both are turned back by plain nodes that a runtime folds once, when it loads the graph.
    keep: tensors that stay in 16 bits: codebooks and transforms, whose error would be heard.
    """
    kept: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < _SMALL:
            kept.append(tensor)
        elif values.ndim != 2 or tensor.name in keep:
            half = numpy_helper.from_array(values.astype(np.float16), f"{tensor.name}.half")
            kept.append(half)
            nodes.append(_cast(half.name, tensor.name))
        else:
            integers, scale = _eight_bits(values)
            names = [f"{tensor.name}_quantized", f"{tensor.name}_scale", f"{tensor.name}.wide"]
            kept.append(numpy_helper.from_array(integers, names[0]))
            kept.append(numpy_helper.from_array(scale, names[1]))
            nodes.append(_cast(names[0], names[2]))
            nodes.append(
                helper.make_node("Mul", names[:0:-1], [tensor.name], name=f"{tensor.name}.mul")
            )
    nodes += model.graph.node
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)
    return model


def _cast(source: str, target: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], to=TensorProto.FLOAT, name=f"{target}.cast")


def _eight_bits(
    values: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """[R, C] to int8 and a scale [R, 1] or [1, C], whichever loses less."""
    found: list[tuple[float, npt.NDArray[np.int8], npt.NDArray[np.float32]]] = []
    for axis in (0, 1):
        largest: npt.NDArray[np.float32] = np.abs(values).max(axis=axis, keepdims=True)
        scale = np.maximum(largest / 127, 1e-12).astype(np.float32)
        integers = np.clip(np.round(values / scale), -127, 127).astype(np.int8)
        found.append((float(np.square(integers * scale - values).sum()), integers, scale))
    _, integers, scale = min(found, key=lambda each: each[0])
    return integers, scale


def compare(step: FrameStep, graph: bytes, specs: Sequence[StateSpec], frames: int = 25) -> float:
    """The largest difference of the trunk-driven figures between torch and a graph, over frames.

    Both are fed the same states, so one early disagreement of a sampled code does not hide the
    rest. Returns the mean absolute difference of `text_ready` and `vad`.
    """
    session: Any = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    state = step.initial_state(1)
    total = 0.0
    with torch.no_grad():
        for t in range(frames):
            inputs = example_inputs(step, 1, seed=t)
            feeds = {n: getattr(inputs, n).numpy() for n in Inputs._fields}
            feeds |= {f"state.{s.name}": state[s.name].numpy() for s in specs}
            got: Any = session.run(["text_ready", "vad"], feeds)
            outputs, state = step(inputs, state)
            total += float(np.abs(got[0] - outputs.text_ready.numpy()).mean())
            total += float(np.abs(got[1] - outputs.vad.numpy()).mean())
    return total / (2 * frames)


def write(
    duplex: Duplex,
    codec: Codec,
    *,
    name: str,
    tokenizer: Path,
    scenario: Path,
    tools: Sequence[dict[str, Any]],
    timing: Timing,
    folder: Path,
    integer: bool = True,
    temperatures: tuple[float, float] = (0.0, 0.4),
) -> dict[str, float]:
    """Write a bundle into `folder`, whole or not at all; returns the export's figures.

    Raises:
        BundleError: the exported graph does not do what the network does.
    """
    habits = timing.eagerness, timing.yielding, timing.due, timing.give_way
    step = FrameStep(duplex, codec.decoder, *habits).eval()
    model, specs = to_onnx(step)
    model = stored_once(plain_products(model))
    places = weights.match(model, {f"step.{n}": p for n, p in step.state_dict().items()})
    network = {tensor for name, (tensor, _) in places.items() if name.startswith("step.duplex.")}
    exact = {t.name for t in model.graph.initializer} - {t for t, _ in places.values()}
    exact |= {t for n, (t, _) in places.items() if n.startswith(_EXACT)}
    graph = shrink(model, network if integer else (), exact).SerializeToString()
    difference = compare(step, graph, specs)
    if difference > 0.1:
        raise BundleError(f"the exported graph differs from the network by {difference:.3f}")
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    (part / GRAPH).write_bytes(graph)
    shutil.copyfile(tokenizer, part / TOKENIZER)
    shutil.copyfile(scenario, part / "scenario.yaml")
    _keep_for_training(part, duplex, codec, places)
    seal(
        part,
        BundleManifest(
            name=name,
            n_codes=duplex.config.codebooks,
            codebook_size=duplex.config.codebook_size,
            text_vocabulary=duplex.config.text_vocabulary,
            spelt=duplex.config.encoder.written,
            characters=CHARACTERS,
            tools=tuple(tools),
            temperatures=Temperatures(text=temperatures[0], codes=temperatures[1]),
            delays=Delays(
                text_lead=timing.lead, caller_text=timing.lag, codec_lookahead=codec.config.delay
            ),
            states=tuple(specs),
        ),
    )
    if folder.exists():
        old = folder.with_name(folder.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        part.rename(folder)
        shutil.rmtree(old)
    else:
        part.rename(folder)
    return {"difference": difference, "megabytes": len(graph) / 1e6}


def _keep_for_training(folder: Path, duplex: Duplex, codec: Codec, places: weights.Places) -> None:
    """What fine-tuning needs beyond the graph: sizes, names, the codec's encoder, the CTC head."""
    (folder / "model.json").write_text(duplex.config.model_dump_json(indent=2))
    (folder / "codec.json").write_text(codec.config.model_dump_json(indent=2))
    everything = {f"step.duplex.{n}": p for n, p in duplex.state_dict().items()}
    everything |= {f"step.{n}": p for n, p in codec.state_dict().items()}
    weights.save(folder, {n: p for n, p in places.items() if n in everything}, everything)


def export_run(shop: Workshop) -> tuple[Path, dict[str, float]]:
    """Write a finished recipe's bundle; returns its folder and the export's figures."""
    folder = shop.folder / "bundle"
    figures = write(
        trained(shop),
        shop.codec(),
        name=shop.recipe.name,
        tokenizer=shop.tokenizer_path,
        scenario=shop.recipe.scenario,
        tools=shop.calls.to_json(),
        timing=shop.recipe.timing,
        folder=folder,
    )
    return folder, figures
