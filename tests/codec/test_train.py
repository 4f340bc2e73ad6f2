from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from antiphon.codec.model import Codec
from antiphon.codec.train import CodecRecipe, train
from antiphon.errors import RecipeError

Vowel = Callable[..., np.ndarray]


class Killed(Exception):
    pass


def recipe(codec: Codec, **changes: object) -> CodecRecipe:
    facts = {
        "codec": codec.config.model_copy(update={"codebook_size": 16}),
        "steps": 12, "freeze_at": 8, "quantise_at": 3, "rows": 2, "frames": 6, "warm_up": 2,
        "log_every": 4, "save_every": 5, "settle": 4, "watch_every": 6, "precision": "32-true",
    }  # fmt: skip
    return CodecRecipe.model_validate({**facts, **changes})


def run(codec: Codec, vowel: Vowel, folder: Path, **options: object) -> Codec:
    agent = [vowel(120 + 20 * k, 1.0, seed=k) for k in range(4)]
    return train(recipe(codec), agent, [vowel(90, 2.0)], folder, accelerator="cpu", **options)


def test_a_killed_training_ends_as_an_unbroken_one(
    tiny: Codec, vowel: Vowel, tmp_path: Path
) -> None:
    unbroken = run(tiny, vowel, tmp_path / "a")

    def kill(_: Codec) -> dict[str, float]:
        raise Killed

    for _ in range(2):  # at step 6, after the checkpoint of step 5; then again
        with pytest.raises(Killed):
            run(tiny, vowel, tmp_path / "b", watch=kill)
    resumed = run(tiny, vowel, tmp_path / "b")
    for name, value in unbroken.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, msg=name)


def test_codes_do_not_change_after_the_freeze(tiny: Codec, vowel: Vowel, tmp_path: Path) -> None:
    final = run(tiny, vowel, tmp_path)
    frozen = Codec.load(tmp_path / "frozen")
    assert Codec.load(tmp_path / "codec").config == final.config
    for part in ("encoder", "decoder.pitch", "decoder.timbre"):
        before = frozen.get_submodule(part).state_dict()
        for name, value in final.get_submodule(part).state_dict().items():
            assert torch.equal(value, before[name]), f"{part}.{name}"
    assert not torch.equal(final.decoder.trunk.leave.weight, frozen.decoder.trunk.leave.weight)


def test_a_spoilt_checkpoint_is_named(tiny: Codec, vowel: Vowel, tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(RecipeError, match=r"last\.pt"):
        run(tiny, vowel, tmp_path)


def test_recipes(tmp_path: Path) -> None:
    path = tmp_path / "codec.yaml"
    for text, key in (("stepz: 5", "stepz"), ("steps: many", "steps"), ("a: [", "not YAML")):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(RecipeError, match=key):
            CodecRecipe.load(path)
    with pytest.raises(RecipeError, match="cannot read"):
        CodecRecipe.load(tmp_path / "none.yaml")


def test_the_rate_warms_up_and_falls() -> None:
    plan = CodecRecipe(steps=1_000, warm_up=100, decay_from=0.5)
    rates = [plan.rate(step) for step in (0, 99, 400, 750, 999)]
    assert rates[0] == pytest.approx(1e-5)
    assert rates[1] == rates[2] == pytest.approx(1e-3)
    assert rates[2] > rates[3] > rates[4] > 0
