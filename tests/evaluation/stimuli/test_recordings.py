from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from antiphon.audio.io import write
from antiphon.errors import CorpusError
from antiphon.evaluation.stimuli import from_folder, from_manifest
from antiphon.evaluation.stimuli.recordings import bounds, slots_of
from tests.evaluation.stimuli.made import cafe, one


def recording(before: float, speech: float, after: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    parts = [rng.standard_normal(round(s * 16_000)) for s in (before, speech, after)]
    levels = (0.0005, 0.1, 0.0005)
    return np.concatenate([p * a for p, a in zip(parts, levels, strict=True)]).astype(np.float32)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    write(tmp_path / "a.flac", recording(0.4, 1.0, 0.6))
    write(tmp_path / "b.flac", recording(0.2, 1.0, 0.2))
    slots = {"coffeeDrink": "iced mocha", "size": "large", "sugarAmount": "some sweetener"}
    rows = [{"path": "a.flac", "slots": slots}, {"path": "b.flac"}]
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "manifest.jsonl"


def test_slots_of_a_manifest_are_turned_into_the_scenarios_own(manifest: Path) -> None:
    order, other = from_manifest(cafe(), manifest)
    item = {"size": "large", "drink": "iced mocha", "sugar_amount": "some", "sugar": "sweetener"}
    assert order.goal is not None
    assert order.goal.order == (item,)
    assert order.steps[0].expects is not None
    assert order.steps[0].expects.name == "place_order"
    assert cafe().manifest_slots(item) == order.facts["slots"]
    assert (other.suite, other.kind) == ("risk", "out_of_domain")
    assert other.goal is not None
    assert other.goal.order == ()
    assert len(from_manifest(cafe(), manifest, most=1)) == 1


def test_the_bounds_are_those_of_the_speech(manifest: Path) -> None:
    clip = from_manifest(cafe(), manifest)[0].steps[0].clip
    assert (clip.start, clip.end) == pytest.approx((0.4, 1.4), abs=0.03)
    assert bounds(np.zeros(1_600, np.float32)) == (0.0, 0.1)


def test_slots_that_a_scenario_does_not_have_are_refused() -> None:
    where = Path("x.flac")
    for named in ({"coffeeDrink": "tea"}, {"cup": "paper"}, {"size": "large latte"}):
        with pytest.raises(CorpusError, match=r"x\.flac: the slot .* is none of the scenario cafe"):
            slots_of(cafe(), named, where)


def test_a_folder_of_other_speech_may_make_the_agent_do_nothing(manifest: Path) -> None:
    found = from_folder(cafe(), manifest.parent)
    assert [s.id for s in found] == ["risk/recording/a", "risk/recording/b"]
    assert all(s.goal is not None and s.goal.order == () for s in found)


def test_recordings_join_a_set_and_are_loaded_from_where_they_lie(manifest: Path) -> None:
    more = from_manifest(cafe(), manifest)
    both = one("hello").joined(more)
    assert len(both.stimuli) == 3
    assert len(both.load(more[0].steps[0].clip.path)) == 32_000
    assert both.voice(more[0]) == pytest.approx(0.1, rel=0.05)
    with pytest.raises(CorpusError, match="two stimuli are called"):
        both.joined(more)
