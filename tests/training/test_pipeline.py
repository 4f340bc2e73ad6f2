"""From nothing to a bundle that answers, and from that bundle to another: all stages, tiny."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from antiphon.bundle.export import export_run
from antiphon.corpus.tokenizer import Tokenizer
from antiphon.errors import RecipeError
from antiphon.runtime.agent import Agent
from antiphon.training.pipeline import STAGES, Workshop, build_duplex, run, trained
from antiphon.training.recipe import load_recipe
from tests.training.made import SCENARIO

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(
        not (shutil.which("flite") and shutil.which("festival") and shutil.which("espeak-ng")),
        reason="needs flite, festival with festvox-us-slt-hts, and espeak-ng",
    ),
]

CODEC = """
steps: 6
freeze_at: 4
quantise_at: 2
rows: 2
frames: 8
log_every: 2
save_every: 2
watch_every: 100
hours: 0.01
precision: 32-true
codec:
  codebook_size: 16
  latent: 8
  encoder_fine: 16
  encoder_coarse: 16
  decoder_coarse: 16
  decoder_middle: 16
  decoder_fine: 16
"""
RECIPE = f"""
name: tiny
scenario: {SCENARIO}
codec: codec.yaml
pieces: 80
precision: 32-true
encoder: {{width: 32, layers: 1, heads: 2, feedforward: 32, window: 8}}
backbone: {{hidden_size: 32, num_hidden_layers: 1, head_dim: 8, intermediate_size: 32, window: 16}}
corpus: {{conversations: 6, validation: 2, seed: 3}}
memory:
  network:
    {{hidden_size: 16, num_hidden_layers: 1, head_dim: 8, intermediate_size: 16, window: 8}}
  steps: 2
  conversations: 2
  log_every: 1
  save_every: 1
  validate_every: 9
hearing: {{steps: 3, batch_seconds: 8, log_every: 1, save_every: 2, validate_every: 3}}
duplex: {{steps: 3, batch_seconds: 8, longest: 60, log_every: 1, save_every: 2, validate_every: 3}}
"""
TUNE = f"""
name: tuned
scenario: {SCENARIO}
codec: codec.yaml
start: work/tiny/bundle
lora: {{rank: 2, alpha: 4}}
pieces: 80
precision: 32-true
corpus: {{conversations: 6, validation: 2, seed: 3}}
duplex: {{steps: 2, batch_seconds: 8, longest: 60, log_every: 1, save_every: 2, validate_every: 9}}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline")
    (folder / "codec.yaml").write_text(CODEC)
    (folder / "tiny.yaml").write_text(RECIPE)
    (folder / "tuned.yaml").write_text(TUNE)
    return folder


@pytest.fixture(scope="module")
def bundle(place: Path) -> Path:
    shop = Workshop(load_recipe(place / "tiny.yaml"), place / "work", workers=1)
    told: list[str] = []
    run(shop, STAGES, told.append)
    assert told == [f"Stage {name}" for name in STAGES]
    return export_run(shop)[0]


def test_the_bundle_answers(bundle: Path) -> None:
    agent = Agent.load(bundle)
    heard = agent.answer(np.zeros(16_000, dtype=np.float32), tail=0.5)
    again = agent.answer(np.zeros(16_000, dtype=np.float32), tail=0.5)
    assert np.array_equal(heard.audio, again.audio)
    assert np.isfinite(heard.audio).all()


def test_stages_that_are_done_are_not_done_again(place: Path, bundle: Path) -> None:
    shop = Workshop(load_recipe(place / "tiny.yaml"), place / "work", workers=1)
    weights = place / "work" / "tiny" / "duplex" / "final.pt"
    before = weights.stat().st_mtime_ns
    run(shop, STAGES, lambda _: None)
    assert weights.stat().st_mtime_ns == before


def test_a_bundle_is_fine_tuned_with_adapters_into_another(place: Path, bundle: Path) -> None:
    shop = Workshop(load_recipe(place / "tuned.yaml"), place / "work", workers=1)
    run(shop, STAGES, lambda _: None)
    folder, _ = export_run(shop)
    assert (folder / "tokenizer.model").read_bytes() == (bundle / "tokenizer.model").read_bytes()
    Agent.load(folder).answer(np.zeros(8_000, dtype=np.float32), tail=0.2)


def test_what_a_recipe_keeps_of_its_start_is_in_the_mean(place: Path, bundle: Path) -> None:
    tuned = load_recipe(place / "tuned.yaml").model_copy(update={"lora": None, "name": "kept"})
    shop = Workshop(tuned, place / "work", workers=1)
    run(shop, STAGES, lambda _: None)
    before = build_duplex(shop, shop.codec(), Tokenizer.load(shop.tokenizer_path)).state_dict()
    after = trained(shop).state_dict()
    kept = replace(shop, recipe=tuned.model_copy(update={"keep": 0.25}))
    mean = trained(kept).state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in after)
    for name, value in mean.items():
        torch.testing.assert_close(value, 0.25 * before[name] + 0.75 * after[name])
    kept = replace(shop, recipe=tuned.model_copy(update={"keep": 0.25, "keep_ears": 0.5}))
    for name, value in trained(kept).state_dict().items():
        share = 0.5 if name.startswith("encoder.") else 0.25
        torch.testing.assert_close(value, share * before[name] + (1 - share) * after[name])


def test_the_ears_of_a_bundle_are_trained_on_before_the_rest(place: Path, bundle: Path) -> None:
    tiny, tuned = load_recipe(place / "tiny.yaml"), load_recipe(place / "tuned.yaml")
    update = {"lora": None, "name": "ears", "hearing": tiny.hearing}
    shop = Workshop(tuned.model_copy(update=update), place / "work", workers=1)
    run(shop, STAGES[: STAGES.index("hearing")], lambda _: None)
    before = build_duplex(shop, shop.codec(), Tokenizer.load(shop.tokenizer_path)).state_dict()
    run(shop, ["hearing"], lambda _: None)
    after = build_duplex(shop, shop.codec(), Tokenizer.load(shop.tokenizer_path)).state_dict()
    own = [name for name in before if not torch.equal(before[name], after[name])]
    assert own
    assert all(name.startswith("encoder.") for name in own)
    assert torch.equal(before["encoder.mean"], after["encoder.mean"])


def test_the_memory_of_words_of_a_bundle_is_trained_on_alone_and_without_a_corpus(
    place: Path, bundle: Path
) -> None:
    tiny, tuned = load_recipe(place / "tiny.yaml"), load_recipe(place / "tuned.yaml")
    update = {"lora": None, "name": "words", "memory": tiny.memory, "duplex": None, "corpus": None}
    shop = Workshop(tuned.model_copy(update=update), place / "work", workers=1)
    run(shop, STAGES[: STAGES.index("memory")], lambda _: None)
    before = build_duplex(shop, shop.codec(), Tokenizer.load(shop.tokenizer_path)).state_dict()
    with pytest.raises(RecipeError, match="nothing is trained here yet; run the memory stage"):
        trained(shop)
    run(shop, STAGES[STAGES.index("memory") :], lambda _: None)
    assert {each.name for each in shop.folder.iterdir()} == {"memory", "tokenizer.model"}
    after = trained(shop).state_dict()
    own = [name for name in before if not torch.equal(before[name], after[name])]
    assert own
    assert all(name.startswith("memory.") for name in own)


def test_a_scenario_without_calls_has_nothing_for_a_memory_of_words(
    place: Path, tmp_path: Path
) -> None:
    said = tmp_path / "talk.yaml"
    said.write_text(
        "name: talk\nslots: {}\ntools: {}\n"
        "intents: {hello: {weight: 1, say: hello there, reply: good morning}}\n"
    )
    recipe = load_recipe(place / "tiny.yaml").model_copy(update={"scenario": said, "name": "talk"})
    with pytest.raises(RecipeError, match="no intent calls a tool"):
        run(Workshop(recipe, tmp_path), ["memory"], lambda _: None)


def test_a_memory_of_words_is_not_left_without_the_calls_of_a_new_scenario(
    place: Path, bundle: Path
) -> None:
    other = place / "other.yaml"
    other.write_text(SCENARIO.read_text().replace("loyalty_number", "member_number"))
    tiny, tuned = load_recipe(place / "tiny.yaml"), load_recipe(place / "tuned.yaml")
    recipe = tuned.model_copy(update={"lora": None, "name": "calls", "scenario": other})
    shop = Workshop(recipe, place / "work", workers=1)
    words = Tokenizer.load(bundle / "tokenizer.model")
    with pytest.raises(RecipeError, match=r"does not know the calls of .*other\.yaml"):
        build_duplex(shop, shop.codec(), words)
    taught = replace(shop, recipe=recipe.model_copy(update={"memory": tiny.memory}))
    assert build_duplex(taught, shop.codec(), words).memory is not None


def test_only_the_parts_that_a_recipe_names_are_trained(place: Path, bundle: Path) -> None:
    tuned = load_recipe(place / "tuned.yaml").model_copy(update={"lora": None, "name": "voice"})
    duplex = tuned.duplex.model_copy(update={"only": ("depth",)})
    shop = Workshop(tuned.model_copy(update={"duplex": duplex}), place / "work", workers=1)
    run(shop, STAGES, lambda _: None)
    before = build_duplex(shop, shop.codec(), Tokenizer.load(shop.tokenizer_path)).state_dict()
    after = trained(shop).state_dict()
    changed = {name.split(".")[0] for name in after if not torch.equal(before[name], after[name])}
    assert changed == {"depth"}


def test_a_part_that_the_network_does_not_have_is_refused(place: Path, bundle: Path) -> None:
    tuned = load_recipe(place / "tuned.yaml").model_copy(update={"lora": None, "name": "odd"})
    duplex = tuned.duplex.model_copy(update={"only": ("mouth",)})
    shop = Workshop(tuned.model_copy(update={"duplex": duplex}), place / "work", workers=1)
    with pytest.raises(RecipeError, match=r"duplex\.only.*'mouth'; it has encoder, hear"):
        run(shop, STAGES, lambda _: None)


def test_nothing_trained_is_said_plainly(place: Path, bundle: Path) -> None:
    recipe = load_recipe(place / "tiny.yaml").model_copy(update={"name": "other"})
    shutil.copytree(place / "work" / "tiny", place / "work" / "other")
    shutil.rmtree(place / "work" / "other" / "duplex")
    with pytest.raises(RecipeError, match="nothing is trained here yet"):
        trained(Workshop(recipe, place / "work"))
