from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.errors import RecipeError
from antiphon.training.recipe import is_codec_recipe, load_recipe

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.mark.parametrize("name", ["cafe.yaml", "cafe-again.yaml", "cafe-voice.yaml"])
def test_the_cafe_recipes_read_and_their_paths_exist(name: str) -> None:
    recipe = load_recipe(RECIPES / name)
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
