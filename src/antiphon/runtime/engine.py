"""The bundle's ONNX graph, stepped: B slots, each a call at its own place in time.

The state never leaves the engine's own buffers: there are two sets of them, and a step reads the
one and writes the other (io-binding, no allocation, no copy), after which they change places. The
engine knows ids and samples; it knows nothing of words, files or clocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from antiphon.audio import FRAME
from antiphon.bundle import Bundle
from antiphon.corpus.delivery import OWN, Delivery
from antiphon.errors import AntiphonError, BundleError
from antiphon.runtime.events import TONES, TURN_STATES, Samples

PAD = 0  # text: nothing begins in this frame
END = 1  # text: the turn is over
FIRST_PIECE = 2  # text: SentencePiece id + 2
FREE = -1  # force_text: the network's own choice

BLANK = "_"  # between two letters of the ears' spelling
READY = 0.5  # an offered piece is taken above this probability of a piece


@dataclass(frozen=True, slots=True)
class StepInput:
    """What one slot gets for one frame."""

    caller: Samples
    """float32 [1280], 16 kHz."""
    noise_text: Samples
    """Standard Gumbel, float32 [V_text]."""
    noise_codes: Samples
    """Standard Gumbel, float32 [n_codes, codebook_size]."""
    noise_audio: Samples
    """Standard normal, float32 [1280]."""
    call_mask: npt.NDArray[np.bool_]
    """Call tokens that may come now, bool [V_call]."""
    force_text: int = FREE
    """The agent's text of this frame, or FREE."""
    control: tuple[int, int] = OWN.control
    """The style and the speed asked for (corpus.delivery.Delivery.control)."""
    offer: int | None = None
    """A text to force only if the network is ready for one now; PAD is forced if it is not."""


@dataclass(frozen=True, slots=True)
class StepOutput:
    """What one slot gave for one frame. Probabilities are floats in 0..1."""

    agent: Samples
    """float32 [1280], 16 kHz."""
    agent_text: int
    caller_text: int
    call: int
    vad: float
    turn: Samples
    """float32 [4], in the order of TURN_STATES."""
    tone: Samples
    """float32 [4], in the order of TONES."""
    pitch: float
    """The caller's log2 Hz, 0 where unvoiced."""
    energy: float
    confidence: float
    text_ready: float
    codes: npt.NDArray[np.int64]
    """int64 [n_codes]."""
    spelt: str = ""
    """The characters that the ears spell in this frame, BLANK and repeats among them; "" where the
    bundle does not tell."""


class Engine:
    """`batch` slots over one graph. `open` a slot, `step` the slots that have a frame, `close` it.

    `temperature` is (text, codes) and is shared by the slots; None takes the bundle's. Engines
    over one bundle may share an opened `graph`, and so its weights.
    Raises BundleError when the graph is not the one the manifest describes.
    """

    def __init__(
        self,
        bundle: Bundle,
        batch: int = 1,
        *,
        temperature: tuple[float, float] | None = None,
        graph: ort.InferenceSession | None = None,
    ) -> None:
        manifest = bundle.manifest
        if batch < 1 or manifest.batch not in ("dynamic", batch):
            raise AntiphonError(
                f"{bundle.folder}: the graph is made for a batch of {manifest.batch}, not {batch}"
            )
        self.bundle = bundle
        self.batch = batch
        self._session: Any = graph or open_graph(bundle)
        chosen = temperature or (manifest.temperatures.text, manifest.temperatures.codes)
        self._inputs, self._outputs = _buffers(bundle, self._session, batch)
        self._letters = BLANK + manifest.characters
        self._inputs["temperature"][:] = chosen
        self._states = (_states(bundle, batch), _states(bundle, batch))
        self._bindings = (self._bind(0), self._bind(1))
        self._turn: Literal[0, 1] = 0
        self._free = list(range(batch))[::-1]
        self._fresh = np.ones(batch, dtype=np.bool_)

    @property
    def call_vocabulary(self) -> int:
        """How many call tokens the graph knows."""
        return self._inputs["call_mask"].shape[1]

    @property
    def styled(self) -> bool:
        """Whether the graph takes a style and a speed; those made before there were any do not."""
        return "control" in self._inputs

    def check_delivery(self, wanted: Delivery) -> None:
        """Raises BundleError where the graph cannot be told what is wanted."""
        if wanted != OWN and not self.styled:
            raise BundleError(
                f"{self.bundle.folder}: this bundle was trained without styles and speeds; "
                "leave them out, or use a newer bundle"
            )

    def open(self) -> int:
        """Take a free slot; it starts as new. Raises AntiphonError when all are in use."""
        if not self._free:
            raise AntiphonError(f"all {self.batch} slots are in use; close a session first")
        slot = self._free.pop()
        self._fresh[slot] = True
        return slot

    def close(self, slot: int) -> None:
        """Give a slot back."""
        if slot not in self._free:
            self._free.append(slot)

    def warm(self) -> None:
        """Run the graph over either set of buffers with nobody in it; the slots stay as they are.

        The first runs of a graph and of its buffers take several times what all others take.
        """
        self._inputs["active"][:] = False
        for _ in self._bindings:
            self._run()
            self._turn = 1 if self._turn == 0 else 0

    def step(self, inputs: Mapping[int, StepInput]) -> dict[int, StepOutput]:
        """Move the slots in `inputs` on by one frame; the others stay as they are, bit for bit.

        A slot with an `offer` is tried with PAD first, and where the network says that it would
        have begun a piece the same frame is run again with the offered one: the state that it
        starts from is still there, so nothing is kept of the trial.
        """
        feeds = self._inputs
        feeds["active"][:] = False
        np.copyto(feeds["reset"], self._fresh)
        for slot, given in inputs.items():
            self._fill(slot, given)
        self._run()
        taken = {
            slot: given
            for slot, given in inputs.items()
            if given.offer is not None and self._outputs["text_ready"][slot] > READY
        }
        if taken:
            for slot, given in taken.items():
                feeds["force_text"][slot] = given.offer
            self._run()
        self._turn = 1 if self._turn == 0 else 0
        self._fresh[list(inputs)] = False
        return {slot: self._read(slot) for slot in inputs}

    def _fill(self, slot: int, given: StepInput) -> None:
        feeds = self._inputs
        feeds["active"][slot] = True
        feeds["caller"][slot] = given.caller
        feeds["noise_text"][slot] = given.noise_text
        feeds["noise_codes"][slot] = given.noise_codes
        feeds["noise_audio"][slot] = given.noise_audio
        feeds["call_mask"][slot] = given.call_mask
        feeds["force_text"][slot] = given.force_text if given.offer is None else PAD
        if self.styled:
            feeds["control"][slot] = given.control

    def _run(self) -> None:
        self._session.run_with_iobinding(self._bindings[self._turn])

    def _read(self, slot: int) -> StepOutput:
        out = self._outputs
        return StepOutput(
            agent=out["agent"][slot].copy(),
            agent_text=int(out["agent_text"][slot]),
            caller_text=int(out["caller_text"][slot]),
            call=int(out["call"][slot]),
            vad=float(out["vad"][slot]),
            turn=out["turn"][slot].copy(),
            tone=out["tone"][slot].copy(),
            pitch=float(out["pitch"][slot]),
            energy=float(out["energy"][slot]),
            confidence=float(out["confidence"][slot]),
            text_ready=float(out["text_ready"][slot]),
            codes=out["codes"][slot].copy(),
            spelt="".join(self._letters[i] for i in out["spelt"][slot]) if "spelt" in out else "",
        )

    def _bind(self, turn: Literal[0, 1]) -> Any:
        binding: Any = self._session.io_binding()
        for name, buffer in self._inputs.items():
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(buffer))
        for name, buffer in self._outputs.items():
            binding.bind_ortvalue_output(name, ort.OrtValue.ortvalue_from_numpy(buffer))
        for name, buffer in self._states[turn].items():
            value = ort.OrtValue.ortvalue_from_numpy(buffer)
            binding.bind_ortvalue_input(f"state.{name}", value)
        for name, buffer in self._states[1 - turn].items():
            value = ort.OrtValue.ortvalue_from_numpy(buffer)
            binding.bind_ortvalue_output(f"next.{name}", value)
        return binding


class Noise:
    """The seeded noise of one call: the same seed and bundle give the same call again."""

    def __init__(self, bundle: Bundle, seed: int) -> None:
        manifest = bundle.manifest
        self._rng = np.random.Generator(np.random.PCG64(seed))
        self._text = manifest.text_vocabulary
        self._codes = (manifest.n_codes, manifest.codebook_size)

    def frame(self, caller: Samples, call_mask: npt.NDArray[np.bool_]) -> StepInput:
        """A frame's input with its noise drawn, always in the same order and amount."""
        return StepInput(
            caller=caller,
            noise_text=self._gumbel(self._text),
            noise_codes=self._gumbel(self._codes),
            noise_audio=self._rng.standard_normal(FRAME, dtype=np.float32),
            call_mask=call_mask,
        )

    def _gumbel(self, shape: int | tuple[int, ...]) -> Samples:
        # -log of a standard exponential; the floor keeps 0 * noise from being 0 * infinity.
        drawn = self._rng.standard_exponential(shape, dtype=np.float32)
        return -np.log(np.maximum(drawn, np.float32(1e-30)))


def forced(given: StepInput, text: int) -> StepInput:
    """The same frame with the agent's text decided."""
    return replace(given, force_text=text)


def offered(given: StepInput, text: int) -> StepInput:
    """The same frame with a text that the network may take when it is ready."""
    return replace(given, offer=text)


def open_graph(bundle: Bundle, threads: int = 1) -> ort.InferenceSession:
    """The bundle's graph in onnxruntime, on the CPU. Raises BundleError."""
    options: Any = cast("Any", ort).SessionOptions()  # its type is not told
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A frame comes every 80 ms: a spinning pool would burn the core in between. Denormals come
    # from decaying filter states in silence and cost a hundred times a normal multiplication.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    try:
        return ort.InferenceSession(str(bundle.graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class
        reason = str(error).splitlines()[0][:200]
        raise BundleError(f"{bundle.graph}: onnxruntime cannot run this graph: {reason}") from error


def _buffers(
    bundle: Bundle, session: Any, batch: int
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, npt.NDArray[Any]]]:
    """Buffers for the graph's inputs and outputs but the state; checks the graph's names."""
    manifest = bundle.manifest
    shapes: dict[str, list[Any]] = {node.name: node.shape for node in session.get_inputs()}
    call_mask = shapes.get("call_mask", [0, 0])
    calls = call_mask[1] if len(call_mask) == 2 and isinstance(call_mask[1], int) else 1
    codes = (manifest.n_codes, manifest.codebook_size)

    def zeros(*shape: int, dtype: Any = np.float32) -> npt.NDArray[Any]:
        return np.zeros((batch, *shape), dtype=dtype)

    inputs = {
        "caller": zeros(FRAME),
        "active": zeros(dtype=np.bool_),
        "reset": zeros(dtype=np.bool_),
        "noise_text": zeros(manifest.text_vocabulary),
        "noise_codes": zeros(*codes),
        "noise_audio": zeros(FRAME),
        "temperature": np.zeros(2, dtype=np.float32),
        "call_mask": zeros(calls, dtype=np.bool_),
        "force_text": zeros(dtype=np.int64),
    }
    if "control" in shapes:
        inputs["control"] = zeros(2, dtype=np.int64)
    outputs = {name: zeros() for name in ("vad", "pitch", "energy", "confidence", "text_ready")}
    outputs |= {name: zeros(dtype=np.int64) for name in ("agent_text", "caller_text", "call")}
    outputs["agent"] = zeros(FRAME)
    outputs["turn"] = zeros(len(TURN_STATES))
    outputs["tone"] = zeros(len(TONES))
    outputs["codes"] = zeros(manifest.n_codes, dtype=np.int64)
    if manifest.spelt:
        outputs["spelt"] = zeros(manifest.spelt, dtype=np.int64)

    states = {state.name for state in manifest.states}
    wanted_in = set(inputs) | {f"state.{name}" for name in states}
    wanted_out = set(outputs) | {f"next.{name}" for name in states}
    found_out: set[str] = {node.name for node in session.get_outputs()}
    odd = sorted((wanted_in ^ set(shapes)) | (wanted_out ^ found_out))
    if odd:
        raise BundleError(
            f"{bundle.graph}: the graph and the manifest disagree on {', '.join(odd[:5])}"
        )
    for name, buffer in inputs.items():
        pairs = zip(shapes[name], buffer.shape, strict=False)
        fits = all(given == want for given, want in pairs if isinstance(given, int))
        if len(shapes[name]) != buffer.ndim or not fits:
            raise BundleError(
                f"{bundle.graph}: input {name} has shape {shapes[name]}, the manifest asks for "
                f"{list(buffer.shape)}"
            )
    return inputs, outputs


def _states(bundle: Bundle, batch: int) -> dict[str, npt.NDArray[Any]]:
    return {
        state.name: np.zeros((batch, *state.shape), dtype=np.dtype(state.dtype))
        for state in bundle.manifest.states
    }
