from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from antiphon.audio.io import write
from antiphon.corpus.dialogue import Beside, Turn
from antiphon.corpus.disk import write_index
from antiphon.corpus.scenario import load_scenario
from antiphon.corpus.voices.speech import Speech
from antiphon.errors import CorpusError
from antiphon.evaluation.stimuli import single
from antiphon.evaluation.stimuli.single import orders
from antiphon.runtime.agent import Agent
from tests.training.made import SCENARIO, corpus

Caller = Callable[..., np.ndarray]


class Somebody:
    """Stands in for all voices: a tenth of a second a word."""

    name, speaker = "somebody", "caller"

    def __enter__(self) -> Somebody:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def caller(self, group: str, rng: random.Random) -> Somebody:
        assert group == "test"
        return self

    def speak(self, text: str, rng: random.Random, tone: str = "neutral") -> Speech:
        words = text.split()
        times = tuple((word, i / 10, (i + 1) / 10) for i, word in enumerate(words))
        return Speech(np.full(1_600 * len(words), 0.1, np.float32), times, 0.0, len(words) / 10)


def test_orders_of_a_corpus_are_the_callers_turns_that_put_something_on_order(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    scenario = Agent.load(tiny_bundle).scenario
    folder = corpus(tmp_path / "corpus", 3)
    told: list[None] = []
    found = orders(folder, scenario, 2, progress=lambda: told.append(None))
    assert len(found) == 2
    assert len(found[0].samples) == round((0.3 + 1.0 + 0.2) * 16_000)
    assert np.abs(found[0].samples[4_800:20_800]).max() > 0.1
    assert len(told) == 2
    assert len(orders(folder, scenario, 9)) == 3
    write_index(folder, [])
    with pytest.raises(CorpusError, match="no turn of a caller"):
        orders(folder, scenario, 2)


def test_orders_of_a_manifest_are_its_recordings(
    tiny_bundle: Path, tmp_path: Path, spoken: Caller
) -> None:
    write(tmp_path / "a.wav", spoken())
    (tmp_path / "manifest.jsonl").write_text(json.dumps({"path": "a.wav"}) + "\n")
    found = orders(tmp_path / "manifest.jsonl", Agent.load(tiny_bundle).scenario, 5)
    assert [stimulus.name for stimulus in found] == ["a.wav"]
    assert len(found[0].samples) == len(spoken())


def test_orders_are_made_in_held_out_voices_and_the_same_for_a_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(single, "Voices", Somebody)
    scenario = load_scenario(SCENARIO)
    found = orders(None, scenario, 3, seed=4)
    assert [s.name for s in orders(None, scenario, 3, seed=4)] == [s.name for s in found]
    assert len({s.name for s in found}) == 3
    assert all(np.abs(s.samples).max() > 0.05 for s in found)


def test_an_order_of_a_lively_dialogue_is_said_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    beside = Beside(by="agent", kind="backchannel", text="okay", word=0, delay=0.1)
    turn = Turn(
        speaker="caller",
        text="a latte please",
        intent="order",
        gap=0.2,
        beside=(beside,),
        breaks_in=0.5,
    )
    monkeypatch.setattr(single, "_order", lambda *_: turn)
    monkeypatch.setattr(single, "Voices", Somebody)
    scenario = load_scenario(SCENARIO)
    found = orders(None, scenario, 1, seed=1)
    assert len(found) == 1
    assert np.abs(found[0].samples).max() > 0.01
