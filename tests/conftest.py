"""A bundle small enough to make in a test: a graph with the real signature and a scripted mind.

The scripted agent hears loudness only. Three quiet frames after speech it runs through its reply:
the caller's words, a tool call, its own words, and a tone as its voice. Given words (`force_text`)
it sounds too, and it is ready for a next word two frames after the last.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from antiphon.bundle import BundleManifest, StateSpec, seal
from antiphon.corpus.calls import Call, CallVocabulary
from antiphon.corpus.tokenizer import Tokenizer
from tests.bar import bar, bar_reader, cafe

__all__ = ["bar", "bar_reader", "cafe"]  # fixtures of all tests

FRAME = 1280
CODES, BOOK = 3, 8
CALLER = "a large latte please"
AGENT = "a large latte coming up"
TOOLS: list[dict[str, Any]] = [
    {
        "name": "place_order",
        "description": "Take an order.",
        "parameters": {
            "type": "object",
            "properties": {
                "items": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 3,
                    "items": {
                        "type": "object",
                        "properties": {
                            "size": {"type": "string", "enum": ["small", "medium", "large"]},
                            "drink": {"type": "string", "enum": ["latte", "mocha"]},
                        },
                        "required": ["drink"],
                    },
                }
            },
            "required": ["items"],
        },
    }
]
SCENARIO = """\
name: tiny
slots:
  size: [small, medium, large]
  drink: [latte, mocha]
  milk_amount: {of: milk, values: [some]}
  milk: [milk, cream]
object:
  say: {item: "a [{size}] {drink}"}
  reply: "(a [{size}] {drink} | [{size}]) [with [{milk_amount}] {milk}]"
tools:
  place_order:
    parameters:
      type: object
      required: [items]
      properties:
        items:
          type: array
          minItems: 1
          maxItems: 3
          items:
            type: object
            required: [drink]
            properties: {size: {slot: size}, drink: {slot: drink}}
  change_order:
    parameters:
      type: object
      minProperties: 1
      properties:
        size: {slot: size}
        drink: {slot: drink}
        milk_amount: {slot: milk_amount}
        milk: {slot: milk}
  cancel_order:
    parameters: {type: object, properties: {}}
intents:
  order: {say: "<item> please", weight: 1, call: place_order, effect: add, reply: "{said} ."}
  change:
    say: "(make it {size} | with {milk_amount} {milk})"
    weight: {empty: 0, held: 1}
    call: change_order
    effect: change
    reply: "{said} ."
  cancel:
    say: cancel that
    weight: {empty: 0, held: 1}
    call: cancel_order
    effect: clear
    reply: cancelled .
manifest:
  coffeeDrink: "{drink}"
  size: "{size}"
"""
ORDER = Call(name="place_order", arguments={"items": [{"size": "large", "drink": "latte"}]})


class _Graph:
    """Nodes and constants by name, just enough of a builder to read like arithmetic."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def op(self, kind: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        name = to or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def integer(self, value: Any) -> str:
        return self.constant(value, np.int64)

    def real(self, value: str, to: str = "") -> str:
        name = to or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node("Cast", [value], [name], to=TensorProto.FLOAT))
        return name

    def column(self, vector: str) -> str:
        return self.op("Unsqueeze", vector, self.integer([1]))


def script(tokenizer: Tokenizer) -> dict[str, list[int]]:
    """What each frame of the reply gives; frame 0 is the idle one."""
    vocabulary = CallVocabulary.from_tools(TOOLS)

    def pieces(text: str) -> list[int]:
        return [i for word in text.split() for i in tokenizer.pieces(word)] + [1]

    rows = {
        "caller_text": [0, *pieces(CALLER)],
        "call": [0, 0, *vocabulary.encode(ORDER)],
        "agent_text": [0, 0, *pieces(AGENT)],
    }
    rows["loud"] = [0, 0, 0, 0] + [1] * len(rows["agent_text"])
    length = max(map(len, rows.values())) + 1
    return {name: row + [0] * (length - len(row)) for name, row in rows.items()}


def make_graph(tokenizer: Tokenizer, *, styled: bool = False) -> onnx.ModelProto:
    """The scripted agent as an ONNX graph with a bundle's inputs and outputs.

    styled: it can be told how to speak, and then speaks louder, by a tenth for each style and a
    hundredth for each speed.
    """
    g = _Graph()
    rows = script(tokenizer)
    text_size, call_size = tokenizer.size, len(CallVocabulary.from_tools(TOOLS))
    zero, one = g.integer(0), g.integer(1)
    names = ("clock", "heard", "quiet", "since")
    state = {name: g.op("Where", "reset", zero, f"state.{name}") for name in names}

    energy = g.op("ReduceMean", g.op("Mul", "caller", "caller"), g.integer([1]), keepdims=0)
    speech = g.op("Greater", energy, g.constant(1e-4))
    heard = g.op("Where", speech, one, state["heard"])
    quiet = g.op("Where", speech, zero, g.op("Add", state["quiet"], one))
    idle = g.op("Equal", state["clock"], zero)
    waited = g.op("Equal", quiet, g.integer(3))
    begins = g.op("And", g.op("And", idle, waited), g.op("Equal", heard, one))
    ticked = g.op("Where", idle, zero, g.op("Add", state["clock"], one))
    clock = g.op("Where", begins, one, ticked)
    over = g.op("Greater", clock, g.integer(len(rows["loud"]) - 1))
    clock = g.op("Where", over, zero, clock)
    heard = g.op("Where", begins, zero, heard)

    scripted = g.op("Gather", g.integer(rows["agent_text"]), clock)
    sure = g.op("Gather", g.constant(20 * np.eye(text_size)), scripted)
    heat = g.op("Gather", "temperature", zero)
    logits = g.op("Add", sure, g.op("Mul", "noise_text", heat))
    own = g.op("ArgMax", logits, axis=1, keepdims=0)
    text = g.op("Where", g.op("Less", "force_text", zero), own, "force_text")
    silent = g.op("Equal", text, zero)
    never = g.op("Equal", state["since"], zero)
    later = g.op("Where", never, zero, g.op("Add", state["since"], one))
    since = g.op("Where", silent, later, one)  # 1 in the frame of a piece, 0 before the first
    g.op("Identity", text, to="agent_text")
    due = g.op("Or", never, g.op("Greater", state["since"], g.integer(2)))
    wants = g.op("Or", due, g.op("Greater", scripted, zero))
    g.real(wants, to="text_ready")

    g.op("Gather", g.integer(rows["caller_text"]), clock, to="caller_text")
    call = g.op("Gather", g.integer(rows["call"]), clock)
    wish = g.op("Gather", g.constant(np.eye(call_size) * 2), call)
    legal = g.op("Mul", g.real("call_mask"), g.constant(9.0))
    g.op("ArgMax", g.op("Add", wish, legal), to="call", axis=1, keepdims=0)

    loud = g.op("Gather", g.constant(rows["loud"]), clock)
    spoken = g.op("Greater", since, zero)
    sounding = g.op("And", spoken, g.op("Less", since, g.integer(3)))
    loud = g.op("Where", sounding, g.constant(1.0), loud)
    heat = g.op("Mul", g.op("Gather", "temperature", one), g.constant(0.01))
    voice = g.op("Add", g.op("Mul", "noise_audio", heat), g.constant(0.2))
    if styled:
        weighed = g.op("Mul", g.real("control"), g.constant([[0.1, 0.01]]))
        told = g.op("ReduceSum", weighed, g.integer([1]), keepdims=0)
        loudness = g.op("Mul", loud, g.op("Add", told, g.constant(1.0)))
    else:
        loudness = loud
    g.op("Mul", g.column(loudness), voice, to="agent")

    g.real(speech, to="vad")
    listening, speaking = np.eye(4)[0], np.eye(4)[1]
    is_loud = g.column(g.op("Greater", loud, g.constant(0.5)))
    g.op("Where", is_loud, g.constant([speaking]), g.constant([listening]), to="turn")
    g.op("Mul", g.column("vad"), g.constant([[0, 0, 0, 1]]), to="tone")
    for name in ("pitch", "energy", "confidence"):
        g.op("Identity", energy, to=name)
    g.op("ArgMax", "noise_codes", to="codes", axis=2, keepdims=0)
    new = {"clock": clock, "heard": heard, "quiet": quiet, "since": since}
    for name in names:
        g.op("Where", "active", new[name], f"state.{name}", to=f"next.{name}")
    return _model(g, names, text_size, call_size, styled)


def _model(
    g: _Graph, names: tuple[str, ...], text_size: int, call_size: int, styled: bool
) -> onnx.ModelProto:
    real, whole, flag = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
    inputs = {
        "caller": (real, ["B", FRAME]),
        "active": (flag, ["B"]),
        "reset": (flag, ["B"]),
        "noise_text": (real, ["B", text_size]),
        "noise_codes": (real, ["B", CODES, BOOK]),
        "noise_audio": (real, ["B", FRAME]),
        "temperature": (real, [2]),
        "call_mask": (flag, ["B", call_size]),
        "force_text": (whole, ["B"]),
    }
    if styled:
        inputs["control"] = (whole, ["B", 2])
    outputs = {name: (whole, ["B"]) for name in ("agent_text", "caller_text", "call")}
    outputs |= {n: (real, ["B"]) for n in ("vad", "pitch", "energy", "confidence", "text_ready")}
    outputs |= {"agent": (real, ["B", FRAME]), "codes": (whole, ["B", CODES])}
    outputs |= {"turn": (real, ["B", 4]), "tone": (real, ["B", 4])}
    inputs |= {f"state.{name}": (whole, ["B"]) for name in names}
    outputs |= {f"next.{name}": (whole, ["B"]) for name in names}

    def values(table: dict[str, Any]) -> list[Any]:
        return [helper.make_tensor_value_info(n, kind, shape) for n, (kind, shape) in table.items()]

    graph = helper.make_graph(g.nodes, "scripted", values(inputs), values(outputs), g.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def make_bundle(folder: Path, scenario: str = SCENARIO, *, styled: bool = False) -> Path:
    """A whole bundle in `folder`; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    words = f"{CALLER} {AGENT} hello there small mocha four".split()
    tokenizer = Tokenizer.train([CALLER, AGENT, *words] * 4, pieces=60)
    tokenizer.save(folder / "tokenizer.model")
    onnx.save(make_graph(tokenizer, styled=styled), str(folder / "step.onnx"))
    (folder / "scenario.yaml").write_text(scenario)
    (folder / "card.md").write_text("# Tiny\n\nA scripted agent.\n")
    manifest = BundleManifest(
        name="tiny",
        n_codes=CODES,
        codebook_size=BOOK,
        text_vocabulary=tokenizer.size,
        tools=tuple(TOOLS),
        states=tuple(
            StateSpec(name=name, shape=(), dtype="int64")
            for name in ("clock", "heard", "quiet", "since")
        ),
    )
    seal(folder, manifest)
    return folder


@pytest.fixture(scope="session")
def _tiny_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def tiny_bundle(_tiny_once: Path) -> Path:
    """A sealed bundle of the scripted agent; read only."""
    return _tiny_once


@pytest.fixture
def own_bundle(tmp_path: Path) -> Path:
    """A sealed bundle of the scripted agent that the test may harm."""
    return make_bundle(tmp_path / "own")


@pytest.fixture(scope="session")
def spoken() -> Callable[..., np.ndarray]:
    """Makes a caller: `speech` seconds of a loud buzz between silences, float32 at 16 kHz."""

    def make(speech: float = 1.0, before: float = 0.4, after: float = 0.2) -> np.ndarray:
        time = np.arange(round(speech * 16_000)) / 16_000
        buzz = 0.3 * np.sign(np.sin(2 * np.pi * 120 * time))
        parts = [np.zeros(round(before * 16_000)), buzz, np.zeros(round(after * 16_000))]
        return np.concatenate(parts).astype(np.float32)

    return make
