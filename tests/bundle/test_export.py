from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import helper, numpy_helper
from tests.training.made import SCENARIO, tokenizer

from antiphon.audio import FRAME
from antiphon.bundle.export import example_inputs, stored_once, write
from antiphon.bundle.manifest import load
from antiphon.codec.config import CodecConfig
from antiphon.codec.model import Codec
from antiphon.corpus.scenario import load_scenario
from antiphon.errors import BundleError
from antiphon.model import graph_weights
from antiphon.model.config import BackboneConfig, EncoderConfig, MemoryConfig, ModelConfig
from antiphon.model.duplex import Duplex
from antiphon.model.step import FrameStep, Inputs
from antiphon.runtime.engine import BLANK, Engine, Noise, open_graph
from antiphon.training.start import codec_of, sizes_of, start_from
from antiphon.training.streams import Timing

pytestmark = pytest.mark.filterwarnings("ignore")


def small_codec() -> Codec:
    torch.manual_seed(2)
    narrow = {
        f"{part}_{place}": 16
        for part, places in (
            ("encoder", ("fine", "coarse")),
            ("decoder", ("coarse", "middle", "fine")),
        )
        for place in places
    }
    return Codec(CodecConfig(codebook_size=32, latent=8, **narrow)).eval()


MEMORY = MemoryConfig(
    hidden_size=48, num_hidden_layers=2, head_dim=16, intermediate_size=64, window=6, trust=2.0
)


def small_duplex(text: int, call: int, memory: MemoryConfig | None = MEMORY) -> Duplex:
    torch.manual_seed(3)
    return Duplex(
        ModelConfig(
            text_vocabulary=text,
            call_vocabulary=call,
            codebook_size=32,
            encoder=EncoderConfig(width=64, layers=2, heads=2, feedforward=96, window=8),
            backbone=BackboneConfig(
                hidden_size=64, num_hidden_layers=2, head_dim=16, intermediate_size=96, window=9
            ),
            memory=memory,
        )
    ).eval()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Duplex, Codec]:
    folder = tmp_path_factory.mktemp("export")
    words = tokenizer()
    words.save(folder / "tokenizer.model")
    vocabulary = load_scenario(SCENARIO).call_vocabulary
    duplex, codec = small_duplex(words.size, len(vocabulary)), small_codec()
    assert duplex.memory is not None
    torch.nn.init.normal_(duplex.memory.call_head.weight, std=0.3)
    write(
        duplex,
        codec,
        name="small",
        tokenizer=folder / "tokenizer.model",
        scenario=SCENARIO,
        tools=vocabulary.to_json(),
        timing=Timing(),
        folder=folder / "bundle",
    )
    return folder / "bundle", duplex, codec


def test_the_graph_does_what_the_network_does_for_any_batch(
    made: tuple[Path, Duplex, Codec],
) -> None:
    folder, duplex, codec = made
    bundle = load(folder)
    session = open_graph(bundle)
    step = FrameStep(duplex, codec.decoder).eval()
    for batch in (1, 3):
        state, said = step.initial_state(batch), False
        for t in range(12):
            inputs = example_inputs(step, batch, seed=t)
            feeds = {name: getattr(inputs, name).numpy() for name in Inputs._fields}
            feeds |= {f"state.{name}": value.numpy() for name, value in state.items()}
            asked = ["text_ready", "vad", "spelt", "next.duplex.memory.now"]
            ready, vad, spelt, words = session.run(asked, feeds)
            with torch.no_grad():
                outputs, state = step(inputs, state)
            known = state["duplex.memory.now"].numpy()
            np.testing.assert_allclose(words, known, atol=0.1)
            assert known.any() == (t > 0 and bool(said))
            said |= bool(outputs.agent_text.any() | outputs.caller_text.any() | outputs.call.any())
            # 8-bit products: close, not equal.
            np.testing.assert_allclose(ready, outputs.text_ready.numpy(), atol=0.1)
            np.testing.assert_allclose(vad, outputs.vad.numpy(), atol=0.1)
            assert spelt.shape == (batch, bundle.manifest.spelt) == outputs.spelt.shape


def test_an_engine_tells_what_the_ears_spell(made: tuple[Path, Duplex, Codec]) -> None:
    bundle = load(made[0])
    engine = Engine(bundle)
    slot = engine.open()
    mask = np.ones(len(load_scenario(SCENARIO).call_vocabulary), dtype=np.bool_)
    frame = Noise(bundle, 0).frame(np.zeros(FRAME, dtype=np.float32), mask)
    spelt = engine.step({slot: frame})[slot].spelt
    assert len(spelt) == bundle.manifest.spelt
    assert set(spelt) <= {BLANK, *bundle.manifest.characters}


def test_weights_come_back_from_the_graph(made: tuple[Path, Duplex, Codec]) -> None:
    folder, duplex, codec = made
    weights = graph_weights.load(folder, folder / "step.onnx")
    wanted = {f"step.duplex.{n}": p for n, p in duplex.state_dict().items()}
    wanted |= {f"step.{n}": p for n, p in codec.state_dict().items()}
    assert set(weights) == set(wanted)
    for name, value in wanted.items():
        error = (weights[name].float() - value.float()).abs().max()
        assert error <= 0.012 * value.float().abs().max() + 1e-6, name


def test_fine_tuning_starts_from_what_the_bundle_holds(made: tuple[Path, Duplex, Codec]) -> None:
    folder, duplex, codec = made
    config = sizes_of(folder)
    assert config == duplex.config
    vocabulary = load_scenario(SCENARIO).call_vocabulary
    again = Duplex(config)
    start_from(again, folder, vocabulary)
    mel = torch.randn(1, 8, 80)
    with torch.no_grad():
        told = torch.tensor([[2, 3]])
        ours, _ = again.eval().step(mel, told, again.initial_state(1))
        theirs, _ = duplex.step(mel, told, duplex.initial_state(1))
    torch.testing.assert_close(ours, theirs, atol=0.2, rtol=0.1)
    assert codec_of(folder).config == codec.config


def test_ears_that_are_to_spell_faster_begin_by_spelling_the_same(
    made: tuple[Path, Duplex, Codec],
) -> None:
    folder, duplex, _ = made
    sizes = duplex.config
    assert sizes.encoder.ctc_rate == 1
    faster = sizes.encoder.model_copy(update={"ctc_rate": 2})
    again = Duplex(sizes.model_copy(update={"encoder": faster})).eval()
    start_from(again, folder, load_scenario(SCENARIO).call_vocabulary)
    mel = torch.randn(1, 16, 80)
    with torch.no_grad():
        spelt = again.encoder.characters(again.encoder(mel)[0])
    assert spelt.shape[1] == 2 * sizes.encoder.written * 2
    torch.testing.assert_close(spelt[:, 0::2], spelt[:, 1::2])


@pytest.mark.parametrize("part", ["control", "called"])
def test_inputs_that_an_older_bundle_does_not_have_do_nothing_at_first(
    made: tuple[Path, Duplex, Codec], monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    folder, duplex, _ = made
    load = graph_weights.load

    def older(*where: Path) -> dict[str, torch.Tensor]:
        found = load(*where)
        return {name: value for name, value in found.items() if f".{part}." not in name}

    monkeypatch.setattr(graph_weights, "load", older)
    again = Duplex(duplex.config)
    start_from(again, folder, load_scenario(SCENARIO).call_vocabulary)
    weights = [value for name, value in again.named_parameters() if name.startswith(f"{part}.")]
    assert weights
    assert not any(value.any() for value in weights)


def test_a_scenario_with_other_calls_keeps_the_tokens_that_both_name(
    made: tuple[Path, Duplex, Codec], tmp_path: Path
) -> None:
    folder, duplex, _ = made
    text = SCENARIO.read_text().replace("    - triple shot: triple shot *20 | three shot\n", "", 1)
    (tmp_path / "other.yaml").write_text(text)
    other = load_scenario(tmp_path / "other.yaml").call_vocabulary
    config = duplex.config.model_copy(update={"call_vocabulary": len(other)})
    again = Duplex(config)
    start_from(again, folder, other)
    before = load_scenario(SCENARIO).call_vocabulary.labels
    new, old = other.labels.index("drink=latte"), before.index("drink=latte")
    assert new != old
    for ours, theirs in (
        (again.call, duplex.call),
        (again.called.pieces[2], duplex.called.pieces[2]),
    ):
        torch.testing.assert_close(ours.weight[new], theirs.weight[old], atol=0.05, rtol=0.1)


def test_a_bundle_of_another_network_is_refused_in_a_sentence(
    made: tuple[Path, Duplex, Codec], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, duplex, _ = made
    whole = graph_weights.load(folder, folder / "step.onnx")
    less = {name: value for name, value in whole.items() if "standing" not in name}
    monkeypatch.setattr(graph_weights, "load", lambda *_: less)
    with pytest.raises(BundleError, match=r"another version of antiphon \(standing"):
        start_from(Duplex(duplex.config), folder, load_scenario(SCENARIO).call_vocabulary)


def test_writing_again_replaces_the_bundle_whole(
    made: tuple[Path, Duplex, Codec], tmp_path: Path
) -> None:
    folder, duplex, codec = made
    target = tmp_path / "bundle"
    target.mkdir()
    (target / "old.txt").write_text("old")
    write(
        duplex,
        codec,
        name="small",
        tokenizer=folder / "tokenizer.model",
        scenario=SCENARIO,
        tools=load_scenario(SCENARIO).call_vocabulary.to_json(),
        timing=Timing(),
        folder=target,
    )
    assert load(target).manifest.name == "small"
    assert not (target / "old.txt").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle"]


def test_a_bundle_of_before_gets_a_memory_of_words_that_changes_nothing_yet(
    made: tuple[Path, Duplex, Codec], tmp_path: Path
) -> None:
    folder, duplex, codec = made
    vocabulary = load_scenario(SCENARIO).call_vocabulary
    before = small_duplex(duplex.config.text_vocabulary, len(vocabulary), memory=None)
    write(
        before,
        codec,
        name="before",
        tokenizer=folder / "tokenizer.model",
        scenario=SCENARIO,
        tools=vocabulary.to_json(),
        timing=Timing(),
        folder=tmp_path / "before",
    )
    assert sizes_of(tmp_path / "before").memory is None
    again = Duplex(duplex.config).eval()
    start_from(again, tmp_path / "before", vocabulary)
    mel, told = torch.randn(1, 8, 80), torch.tensor([[2, 3]])
    with torch.no_grad():
        ours, _ = again.step(mel, told, again.initial_state(1))
        theirs, _ = before.step(mel, told, before.initial_state(1))
        calls = again.heads(ours).call, before.heads(theirs).call
    torch.testing.assert_close(*calls, atol=0.2, rtol=0.1)


def test_large_constants_are_stored_once_and_give_the_same() -> None:
    rng = np.random.default_rng(0)
    wave = rng.normal(size=(80, 80)).astype(np.float32)
    other = rng.normal(size=(80, 80)).astype(np.float32)
    few = np.float32([2.0])

    def constant(name: str, values: np.ndarray) -> onnx.NodeProto:
        return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(values, name))

    values = [("a", wave), ("b", other), ("c", wave), ("two", few)]
    nodes = [constant(name, each) for name, each in values]
    nodes += [
        helper.make_node("MatMul", ["x", "a"], ["xa"]),
        helper.make_node("MatMul", ["xa", "b"], ["xab"]),
        helper.make_node("MatMul", ["xab", "c"], ["xabc"]),
        helper.make_node("Mul", ["xabc", "two"], ["y"]),
    ]
    shape = {
        name: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [3, 80]) for name in "xy"
    }
    graph = helper.make_graph(nodes, "g", [shape["x"]], [shape["y"]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    feeds = {"x": rng.normal(size=(3, 80)).astype(np.float32)}

    def run(serialised: bytes) -> np.ndarray:
        session: Any = ort.InferenceSession(serialised, providers=["CPUExecutionProvider"])
        return session.run(None, feeds)[0]

    before = run(model.SerializeToString())
    stored = stored_once(model)
    np.testing.assert_array_equal(run(stored.SerializeToString()), before)
    assert sorted(t.name for t in stored.graph.initializer) == ["a", "b"]
    assert [n.output[0] for n in stored.graph.node if n.op_type == "Constant"] == ["two"]
