from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from antiphon.audio.io import write
from antiphon.errors import AudioError, CorpusError
from antiphon.evaluation.commands import (
    Noise,
    judge,
    judge_all,
    other_clips,
    read_manifest,
    report,
)
from antiphon.runtime.agent import Agent

Caller = Callable[..., np.ndarray]
RIGHT = {"coffeeDrink": "latte", "size": "large"}
WRONG = {"coffeeDrink": "mocha", "size": "large"}


@pytest.fixture
def data(tmp_path: Path, spoken: Caller) -> Path:
    """Two spoken orders, of which the scripted agent gets the first right, and a silent one."""
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder / "a.wav", spoken())
    write(folder / "b.wav", spoken(speech=0.8))
    write(folder / "c.wav", np.zeros(8000))
    lines = [
        {"path": "a.wav", "slots": RIGHT, "duration": 1.6},
        {"path": "b.wav", "slots": WRONG},
        {"path": "c.wav", "slots": RIGHT},
    ]
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    return folder


def test_figures_of_right_wrong_and_unanswered(tiny_bundle: Path, data: Path) -> None:
    clips = read_manifest(data / "manifest.jsonl")
    assert read_manifest(data) == clips
    made = judge_all(tiny_bundle, clips)
    figures = report(made, bundle="tiny", data="data")
    assert [outcome.accepted for outcome in made] == [True, False, False]
    assert (figures.acceptance.hits, figures.acceptance.n) == (1, 3)
    assert figures.answer_rate.hits == 2
    assert (figures.agreement.hits, figures.agreement.n) == (2, 2)
    assert figures.slot_f1 == pytest.approx(2 * 3 / 10)
    found = {(c.slot, c.wanted, c.heard): c.count for c in figures.confusions}
    assert found["coffeeDrink", "mocha", "latte"] == 1
    assert found["size", "large", "(nothing)"] == 1
    assert figures.first_audible_p50 is not None
    assert 200 < figures.first_audible_p50 < 600


def test_false_orders_on_other_speech(tiny_bundle: Path, data: Path) -> None:
    other = judge_all(tiny_bundle, other_clips(data))
    figures = report([], bundle="tiny", data="data", other=other)
    assert figures.false_orders is not None
    assert (figures.false_orders.hits, figures.false_orders.n) == (2, 3)


def test_noise_is_mixed_the_same_in_every_run(
    tiny_bundle: Path, data: Path, tmp_path: Path
) -> None:
    path = tmp_path / "noise.wav"
    write(path, np.random.default_rng(0).normal(0, 0.1, 80_000).astype(np.float32))
    agent = Agent.load(tiny_bundle)
    clip = read_manifest(data)[0]
    quiet = judge(agent, clip, Noise(path=path, snr=40))
    assert quiet.accepted
    # Loud noise never lets the scripted agent think that the caller has stopped.
    loud = judge(agent, clip, Noise(path=path, snr=0))
    assert loud == judge(agent, clip, Noise(path=path, snr=0)).model_copy(
        update={name: getattr(loud, name) for name in _TIMES}
    )
    assert quiet.caller_text != "" or loud.caller_text != ""


def test_a_guard_may_take_the_rules_of_another_scenario(
    tiny_bundle: Path, data: Path, tmp_path: Path
) -> None:
    rules = tmp_path / "strict.yaml"
    own = (tiny_bundle / "scenario.yaml").read_text()
    rules.write_text(own + "\nguard: {calls: {never: [place_order]}}\n")
    clips = read_manifest(data)
    assert any(o.ordered for o in judge_all(tiny_bundle, clips, guard=True))
    strict = judge_all(tiny_bundle, clips, guard=True, rules=rules)
    assert not any(outcome.ordered for outcome in strict)


_TIMES = ("first_audible", "frame_p50", "frame_p99", "real_time_factor")


def test_behind_its_guard_a_bundle_is_held_to_what_was_said(tiny_bundle: Path, data: Path) -> None:
    clips = read_manifest(data)
    guarded = judge_all(tiny_bundle, clips, guard=True)
    alone = judge_all(tiny_bundle, clips)
    assert [outcome.calls for outcome in alone if outcome.ordered]
    # The scripted agent hears what it calls, so its guard lets every order out ...
    assert [outcome.heard for outcome in guarded] == [outcome.heard for outcome in alone]
    # ... and what is heard comes later, by the time for which it is held back.
    for held, free in zip(guarded, alone, strict=True):
        if held.first_audible is not None and free.first_audible is not None:
            assert held.first_audible > free.first_audible


def test_two_processes_give_what_one_gives(tiny_bundle: Path, data: Path) -> None:
    clips = read_manifest(data)
    steps: list[None] = []
    one = judge_all(tiny_bundle, clips)
    two = judge_all(tiny_bundle, clips, workers=2, progress=lambda: steps.append(None))
    assert len(steps) == 3
    assert [outcome.calls for outcome in one] == [outcome.calls for outcome in two]
    assert [outcome.agent_text for outcome in one] == [outcome.agent_text for outcome in two]


@pytest.mark.parametrize("line", ["{", "[]", "1", '{"slots": {}}', '{"path": 3, "slots": 4}'])
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text('{"path": "a.wav"}\n' + line + "\n")
    with pytest.raises(CorpusError, match=r"manifest\.jsonl:2"):
        read_manifest(path)


def test_missing_and_empty_inputs_are_one_sentence(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_text("\n")
    with pytest.raises(CorpusError, match="lists no recordings"):
        read_manifest(tmp_path)
    with pytest.raises(CorpusError, match="cannot be read"):
        read_manifest(tmp_path / "none.jsonl")
    with pytest.raises(CorpusError, match="holds no recordings"):
        other_clips(tmp_path)
    (tmp_path / "gone.jsonl").write_text('{"path": "gone.wav", "slots": {}}\n')
    with pytest.raises(AudioError, match=r"gone\.wav"):
        judge_all(tiny_bundle, read_manifest(tmp_path / "gone.jsonl"))
