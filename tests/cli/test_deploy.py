from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.serving.store.acting import info, whole_call

from antiphon.serving.deploy.figures import VERSION
from antiphon.serving.store import Store, StoreConfig

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def deploy(run: Run, tmp_path: Path) -> Run:
    """Runs `antiphon deploy` on a store of its own."""
    Store.open(StoreConfig(folder=tmp_path / "store")).close()

    def call(*words: str | Path) -> tuple[int, str, str]:
        return run("deploy", *words, "--store", tmp_path / "store")

    return call


def test_versions_come_in_and_go_out(deploy: Run, tiny_bundle: Path, tmp_path: Path) -> None:
    assert "There is no plan" in deploy("show")[1]
    why = ("--reason", "because")
    status, out, _ = deploy("set", "stable", "--bundle", tiny_bundle, *why)
    assert (status, out) == (0, "Plan 1: stable answers 100%.\n")
    share = ("--bundle", tiny_bundle, "--share", "0.25", *why)
    assert deploy("set", "next", *share)[1] == "Plan 2: stable answers 75%, next answers 25%.\n"
    shadow = deploy("set", "ghost", "--shadow", *share)[1]
    assert shadow == "Plan 3: stable answers 75%, next answers 25%, ghost hears 25%.\n"
    with (
        Store.open(StoreConfig(folder=tmp_path / "store")) as store,
        store.serving() as observer,
    ):
        for version in ("stable", "next", "next"):
            whole_call(observer, info(metadata={VERSION: version}))
    status, out, _ = deploy("show")
    assert status == 0
    assert "canary" in out
    assert "not behind stable after 2 calls" in out
    assert "deploy.set" in out
    assert "because" in out
    found = json.loads(deploy("show", "--json")[1])
    assert found["calls"] == {"stable": 1, "next": 2, "ghost": 0}
    assert found["verdicts"]["next"]["behind"] is False
    assert deploy("rollback", "next", "--reason", "bad")[1] == (
        "Plan 4: stable answers 100%, ghost hears 25%.\n"
    )
    assert "bad" in deploy("show")[1]
    assert deploy("promote", "next", *why)[1].startswith("Plan 5: next answers 100%")


def test_mistakes_are_one_sentence(
    deploy: Run, run: Run, tiny_bundle: Path, tmp_path: Path
) -> None:
    why = ("--reason", "because")
    for words, said in (
        (("promote", "next", *why), "there is no plan"),
        (("set", "stable", *why), "needs a --bundle"),
        (("set", "stable", "--bundle", "none", *why), "no bundle named 'none'"),
        (("set", "A b", "--bundle", tiny_bundle, *why), "name: "),
        (("set", "stable", "--bundle", tiny_bundle, "--reason", " "), "--reason"),
        (("set", "stable", "--bundle", tiny_bundle, "--share", "0.5", *why), "the first version"),
    ):
        status, _, err = deploy(*words)
        assert (status, err.count("\n")) == (2, 1), words
        assert said in err, err
    status, _, err = run("deploy", "show", "--store", tmp_path / "nowhere")
    assert status == 2
    assert "holds no store" in err
