from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.serving.keeping import keep_call

from antiphon.serving.store import Store, StoreConfig

Run = Callable[..., tuple[int, str, str]]


def test_a_call_is_run_again_and_told_turn_by_turn(
    run: Run, tmp_path: Path, tiny_bundle: Path, spoken: Callable[..., np.ndarray]
) -> None:
    folder = tmp_path / "store"
    with Store.open(StoreConfig(folder=folder)) as store:
        call_id = keep_call(store, tiny_bundle, spoken(after=3.0))
    where = ("--store", folder, "--bundle", tiny_bundle, "--seed", "5")
    status, out, _ = run("replay", call_id, *where)
    assert status == 0
    assert "a large latte coming up" in out
    assert "place_order" in out
    assert "Nothing changed." in out
    status, out, _ = run("replay", call_id, *where, "--json")
    found = json.loads(out)
    assert (status, found["same"], found["seed"]) == (0, True, 5)
    assert {*found["turns"][0]} == {"speaker", "then", "now", "changed"}


def test_mistakes_are_one_sentence(run: Run, tmp_path: Path, tiny_bundle: Path) -> None:
    status, _, err = run("replay", "call_x", "--store", tmp_path / "nowhere")
    assert (status, err.count("\n")) == (2, 1)
    assert "holds no store" in err
    Store.open(StoreConfig(folder=tmp_path / "store")).close()
    status, _, err = run("replay", "call_x", "--store", tmp_path / "store")
    assert status == 2
    assert "there is no call 'call_x'" in err
