from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.errors import RecipeError
from antiphon.training.recipe import is_codec_recipe, load_recipe

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.mark.parametrize("name", ["cafe", "cafe-again", "cafe-ears", "cafe-voice", "cafe-words"])
def test_the_cafe_recipes_read_and_their_paths_exist(name: str) -> None:
    recipe = load_recipe(RECIPES / f"{name}.yaml")
    assert recipe.start is None or (recipe.start / "manifest.json").exists()
    assert recipe.scenario.exists()
    assert recipe.codec.exists()
    assert not is_codec_recipe(RECIPES / "cafe.yaml")
    assert is_codec_recipe(recipe.codec)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\nscenario: s\ncodec: c\nstepz: 3\n", "stepz"),
        (
            "name: x\nscenario: s\ncodec: c\ncorpus: {conversations: 0}\nduplex: {steps: 1}\n",
            "corpus.conversations",
        ),
        (
            "name: x\nscenario: s\ncodec: c\ncorpus: {conversations: 2}\nduplex: {steps: many}\n",
            "duplex.steps",
        ),
        (
            "name: x\nscenario: s\ncodec: c\nkeep: 0.4\ncorpus: {conversations: 2}\n"
            "duplex: {steps: 1}\n",
            "`keep`: .*none is named",
        ),
        (
            "name: x\nscenario: s\ncodec: c\nkeep_ears: 0.4\ncorpus: {conversations: 2}\n"
            "duplex: {steps: 1}\n",
            "`keep_ears`: .*none is named",
        ),
        (
            "name: x\nscenario: s\ncodec: c\ntiming: {opening: -1}\ncorpus: {conversations: 2}\n"
            "duplex: {steps: 1}\n",
            "timing.opening",
        ),
        ("name: x\nscenario: s\ncodec: c\ncorpus: {conversations: 2}\n", "`duplex`: .*is missing"),
        ("name: x\nscenario: s\ncodec: c\nstart: b\n", "`duplex`: .*is missing"),
        ("name: x\nscenario: s\ncodec: c\nduplex: {steps: 1}\n", "`duplex`: .*no `corpus`"),
        (
            "name: x\nscenario: s\ncodec: c\nstart: b\nmemory: {steps: 1}\nhearing: {steps: 1}\n",
            "`hearing`: .*no `corpus`",
        ),
        (
            "name: x\nscenario: s\ncodec: c\nstart: b\n"
            "memory: {steps: 1, network: {num_attention_heads: 3}}\n",
            "memory.network.*multiple",
        ),
        (
            "name: x\nscenario: s\ncodec: c\nstart: b\n"
            "memory: {steps: 1, network: {head_dim: 47}}\n",
            "memory.network.*even",
        ),
        ("- just\n- a list\n", "mapping"),
        ("name: [unclosed\n", "YAML"),
        ("", "mapping"),
    ],
)
def test_a_wrong_recipe_names_the_file_and_the_key(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=said) as caught:
        load_recipe(path)
    assert "wrong.yaml" in str(caught.value)


def test_a_missing_recipe_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path / "none.yaml")
