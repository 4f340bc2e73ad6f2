from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from antiphon.corpus.disk import Corpus
from antiphon.corpus.scenario import Scenario, load_scenario
from antiphon.corpus.tokenizer import normalise
from antiphon.corpus.voices.speech import Speech
from antiphon.errors import AntiphonError, BundleError, RecipeError
from antiphon.model.encoder import Encoder
from antiphon.training import judge as judging
from antiphon.training.judge import Judge, JudgeRecipe, LightLine, sentences
from antiphon.training.judge_card import JudgeCard
from antiphon.training.streams import CHARACTERS
from tests.model.tiny import CONFIG

SCENARIO = Path(__file__).parents[2] / "scenarios" / "cafe.yaml"
RECIPE = Path(__file__).parents[2] / "recipes" / "judge.yaml"
SMALL = """\
scenario: cafe.yaml
sentences: 12
held_out: 4
scrambled: 0.5
precision: 32-true
encoder: {width: 32, layers: 1, heads: 2, feedforward: 48, kernel: 5, window: 6}
judge: {steps: 2, batch_seconds: 8, log_every: 1}
"""


class Beeps:
    """Stands in for all voices: a letter is 50 ms of a tone of its own."""

    name, speaker = "beeps", "agent"
    said = 0

    def __init__(self) -> None:
        self.agent = self

    def __enter__(self) -> Beeps:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def speak(
        self, text: str, rng: random.Random, tone: str = "neutral", speed: float = 1.0
    ) -> Speech:
        Beeps.said += 1
        time = np.arange(800) / 16_000
        letters = normalise(text)[:30]
        tones = [np.sin(2 * np.pi * 60 * (3 + CHARACTERS.index(c)) * time) for c in letters]
        samples = (0.2 * np.concatenate(tones)).astype(np.float32)
        end = len(samples) / 16_000
        return Speech(samples, ((text, 0.0, end),), 0.0, end)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load_scenario(SCENARIO)


@pytest.fixture
def judge() -> Judge:
    torch.manual_seed(0)
    card = JudgeCard(
        encoder=CONFIG.encoder,
        characters=CHARACTERS,
        voice="beeps",
        scenario="cafe",
        seed=7,
        minutes=1.0,
    )
    return Judge(card, Encoder(CONFIG.encoder, len(CHARACTERS) + 1))


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(judging, "Voices", Beeps)
    (tmp_path / "cafe.yaml").write_bytes(SCENARIO.read_bytes())
    path = tmp_path / "judge.yaml"
    path.write_text(SMALL)
    return path


def test_no_sentence_is_both_trained_on_and_held_out(scenario: Scenario) -> None:
    train = sentences(scenario, 60, held_out=False, scrambled=0.4, seed=77)
    held_out = sentences(scenario, 20, held_out=True, scrambled=0.4, seed=77)
    assert len(train) == 60
    assert len(held_out) == 20
    assert not {normalise(s.text) for s in train} & {normalise(s.text) for s in held_out}
    assert sum(s.kind == "scrambled" for s in train) == 24
    assert sentences(scenario, 60, held_out=False, scrambled=0.4, seed=77) == train
    assert sentences(scenario, 60, held_out=False, scrambled=0.4, seed=78) != train


def test_a_recipe_goes_from_nothing_to_a_judge_and_does_not_start_again(
    recipe: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    folder = judging.train_judge(recipe, tmp_path / "runs", told.append)
    assert "character error rate" in told[0]
    loaded = Judge.load(folder)
    assert loaded.card.voice == "beeps"
    assert loaded.card.cer is not None
    assert loaded.card.held_out == 4
    corpus = Corpus.open(tmp_path / "runs" / "judge" / "corpus" / "train")
    assert len(corpus) == 12
    assert {turn.data["voice"] for c in corpus for turn in c.turns("agent")} == {"beeps"}
    assert not any(list(c.turns("caller")) for c in corpus)
    before = Beeps.said
    assert judging.train_judge(recipe, tmp_path / "runs", told.append) == folder
    assert Beeps.said == before
    assert told[0] == told[1]


def test_a_folder_that_another_recipe_began_is_left_alone(recipe: Path, tmp_path: Path) -> None:
    judging.train_judge(recipe, tmp_path / "runs", print)
    (tmp_path / "runs" / "judge" / "judge" / "judge.json").unlink()
    recipe.write_text(SMALL.replace("steps: 2", "steps: 3"))
    with pytest.raises(RecipeError, match="another recipe"):
        judging.train_judge(recipe, tmp_path / "runs", print)


def test_the_recipe_in_the_repository_is_read_and_a_wrong_key_is_named(tmp_path: Path) -> None:
    assert JudgeRecipe.load(RECIPE).scenario.resolve() == SCENARIO.resolve()
    path = tmp_path / "judge.yaml"
    path.write_text(SMALL.replace("steps: 2", "stepz: 2"))
    with pytest.raises(RecipeError, match=r"judge\.yaml: key `judge\.stepz`"):
        JudgeRecipe.load(path)


def test_a_saved_judge_reads_the_same(judge: Judge, tmp_path: Path) -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, 20_001).astype(np.float32)
    judge.save(tmp_path)
    loaded = Judge.load(tmp_path)
    assert loaded.transcribe(sound) == judge.transcribe(sound)
    assert loaded.card == judge.card


def test_a_missing_an_altered_and_a_foreign_judge_are_one_sentence(
    judge: Judge, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match="no judge here"):
        Judge.load(tmp_path / "nowhere")
    judge.save(tmp_path)
    card = json.loads((tmp_path / "judge.json").read_text())
    (tmp_path / "judge.json").write_text(json.dumps(card | {"characters": "abc"}))
    with pytest.raises(BundleError, match="other characters"):
        Judge.load(tmp_path)
    (tmp_path / "judge.json").write_text("{")
    with pytest.raises(BundleError, match="not a judge's card"):
        Judge.load(tmp_path)
    (tmp_path / "judge.json").write_text(json.dumps(card))
    (tmp_path / "judge.safetensors").write_bytes(b"cut")
    with pytest.raises(AntiphonError, match="weights"):
        Judge.load(tmp_path)


def test_the_light_line_changes_little_and_nothing_at_level_0() -> None:
    sound = Beeps().speak("a large latte", random.Random(0)).samples
    line = LightLine()
    clean = line([sound], 12_800, 0.0, np.random.default_rng(0))
    assert torch.equal(clean, line([sound], 12_800, 0.0, np.random.default_rng(1)))
    lightly = line([sound], 12_800, 1.0, np.random.default_rng(0))
    assert clean.shape == lightly.shape == (1, 80, 80)
    loud = clean > clean.max() - 3
    # Gain moves all of it alike; hiss lies 25 dB or more below.
    assert float((lightly - clean)[loud].std()) < 0.3
