from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from antiphon.bundle import Bundle, load
from antiphon.errors import AntiphonError, BundleError
from antiphon.runtime.engine import END, PAD, Engine, Noise, StepInput, StepOutput, forced, offered

FRAME = 1280


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return load(tiny_bundle)


def frame(engine: Engine, loud: float = 0.0, seed: int = 0) -> StepInput:
    caller = np.full(FRAME, loud, dtype=np.float32)
    legal = np.ones(engine.call_vocabulary, dtype=np.bool_)
    return Noise(engine.bundle, seed).frame(caller, legal)


def same(a: StepOutput, b: StepOutput) -> bool:
    return a.agent_text == b.agent_text and bool((a.agent == b.agent).all())


def test_the_scripted_reply_runs(bundle: Bundle) -> None:
    engine = Engine(bundle)
    slot = engine.open()
    texts = []
    for t in range(30):
        out = engine.step({slot: frame(engine, 0.5 if t < 5 else 0.0, t)})[slot]
        assert out.vad == (1.0 if t < 5 else 0.0)
        texts.append(out.agent_text)
    assert END in texts
    assert sum(text > END for text in texts) >= 5


def test_an_idle_slot_is_frozen_while_another_speaks(bundle: Bundle) -> None:
    alone = Engine(bundle, 1)
    pair = Engine(bundle, 2)
    a, b = pair.open(), pair.open()
    slot = alone.open()
    inputs = [frame(alone, 0.5 if t < 5 else 0.0, t) for t in range(30)]
    wanted = [alone.step({slot: given})[slot] for given in inputs]
    got = []
    for t, given in enumerate(inputs):
        pair.step({b: frame(pair, 0.4, t)})
        got.append(pair.step({a: given})[a])
        pair.step({b: frame(pair, 0.0, t)})
    assert all(same(x, y) for x, y in zip(wanted, got, strict=True))


def test_a_slot_opened_again_is_as_new(bundle: Bundle) -> None:
    engine = Engine(bundle)
    runs = []
    for _ in range(2):
        slot = engine.open()
        runs.append([engine.step({slot: frame(engine, 0.5 * (t < 3), t)})[slot] for t in range(9)])
        engine.close(slot)
    assert all(same(x, y) for x, y in zip(*runs, strict=True))


def test_a_warm_up_changes_nothing_of_a_call(bundle: Bundle) -> None:
    runs = []
    for warm_before in ((), (0,), (4, 5)):
        engine = Engine(bundle, 2)
        slot = engine.open()
        outs = []
        for t in range(9):
            if t in warm_before:
                engine.warm()
            outs.append(engine.step({slot: frame(engine, 0.5 * (t < 3), t)})[slot])
        runs.append(outs)
    for warmed in runs[1:]:
        assert all(same(x, y) for x, y in zip(runs[0], warmed, strict=True))


def test_slots_run_out_with_a_sentence(bundle: Bundle) -> None:
    engine = Engine(bundle, 2)
    engine.open()
    slot = engine.open()
    with pytest.raises(AntiphonError, match="all 2 slots are in use"):
        engine.open()
    engine.close(slot)
    engine.close(slot)
    assert engine.open() == slot


def test_outputs_are_not_overwritten_by_the_next_step(bundle: Bundle) -> None:
    engine = Engine(bundle)
    slot = engine.open()
    first = engine.step({slot: forced(frame(engine), 5)})[slot]
    kept = first.agent.copy()
    for t in range(6):
        engine.step({slot: frame(engine, 0, t)})
    assert kept.any()
    assert (first.agent == kept).all()


def test_forced_text_is_said(bundle: Bundle) -> None:
    engine = Engine(bundle)
    slot = engine.open()
    assert engine.step({slot: forced(frame(engine), 7)})[slot].agent_text == 7


def test_an_offer_is_taken_only_when_the_network_is_ready(bundle: Bundle) -> None:
    engine = Engine(bundle)
    slot = engine.open()
    engine.step({slot: forced(frame(engine), 7)})
    said = [engine.step({slot: offered(frame(engine), 9)})[slot].agent_text for _ in range(4)]
    # The scripted voice is ready two frames after its last piece; the trial leaves no trace.
    assert said == [PAD, PAD, 9, PAD]


def test_a_trial_of_an_offer_does_not_advance_other_slots_twice(bundle: Bundle) -> None:
    quiet, busy = Engine(bundle, 2), Engine(bundle, 2)
    a, b = quiet.open(), quiet.open()
    c, d = busy.open(), busy.open()
    for t in range(20):
        given = frame(quiet, 0.5 * (t < 4), t)
        x = quiet.step({a: given, b: frame(quiet)})[a]
        y = busy.step({c: given, d: offered(frame(busy), 9)})[c]
        assert same(x, y)


def test_temperature_zero_ignores_noise_and_heat_does_not(bundle: Bundle) -> None:
    def run(temperature: tuple[float, float], seed: int) -> list[int]:
        engine = Engine(bundle, temperature=temperature)
        slot = engine.open()
        return [engine.step({slot: frame(engine, 0, seed + t)})[slot].agent_text for t in range(9)]

    assert run((0.0, 0.0), 1) == run((0.0, 0.0), 100)
    assert run((30.0, 0.0), 1) != run((30.0, 0.0), 100)


def test_noise_is_seeded_and_of_the_right_kind(bundle: Bundle) -> None:
    caller, legal = np.zeros(FRAME, np.float32), np.ones(1, np.bool_)
    first = Noise(bundle, 5).frame(caller, legal)
    again = Noise(bundle, 5).frame(caller, legal)
    other = Noise(bundle, 6).frame(caller, legal)
    assert (first.noise_codes == again.noise_codes).all()
    assert not (first.noise_codes == other.noise_codes).all()
    source = Noise(bundle, 0)
    text = np.concatenate([source.frame(caller, legal).noise_text for _ in range(400)])
    assert text.dtype == np.float32
    assert np.isfinite(text).all()
    assert text.mean() == pytest.approx(0.5772, abs=0.05)  # standard Gumbel
    assert text.std() == pytest.approx(1.2825, abs=0.05)


def test_a_fixed_batch_is_kept_to(bundle: Bundle) -> None:
    fixed = replace(bundle, manifest=bundle.manifest.model_copy(update={"batch": 4}))
    with pytest.raises(AntiphonError, match="a batch of 4, not 2"):
        Engine(fixed, 2)
    assert Engine(fixed, 4).batch == 4


@pytest.mark.parametrize(
    ("change", "says"),
    [({"states": ()}, "disagree on"), ({"n_codes": 4}, "noise_codes has shape")],
)
def test_a_graph_unlike_its_manifest_is_refused(
    bundle: Bundle, change: dict[str, object], says: str
) -> None:
    other = replace(bundle, manifest=bundle.manifest.model_copy(update=change))
    with pytest.raises(BundleError, match=says):
        Engine(other)


def test_a_file_that_is_no_graph_is_one_sentence(own_bundle: Path) -> None:
    (own_bundle / "step.onnx").write_bytes(b"not a graph")
    manifest = json.loads((own_bundle / "manifest.json").read_text())
    from antiphon.bundle import BundleManifest

    broken = Bundle(own_bundle, BundleManifest.model_validate(manifest))
    with pytest.raises(BundleError, match="cannot run this graph"):
        Engine(broken)
