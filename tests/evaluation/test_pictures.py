from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from antiphon.errors import AntiphonError
from antiphon.evaluation.pictures import side_by_side, spoken_part, three_voices
from tests.training.made import tone


def test_samples_of_different_lengths_are_drawn_below_one_another(tmp_path: Path) -> None:
    path = side_by_side([("a", tone(1.0, 200)), ("b", tone(0.5, 400))], tmp_path / "new" / "x.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in path.parent.iterdir()] == ["x.png"]


def test_nothing_to_draw_is_an_error(tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(AntiphonError, match="nothing to draw"):
        side_by_side([], tmp_path / "x.png")
    with pytest.raises(AntiphonError, match="name a text"):
        three_voices(str(tiny_bundle))


def test_the_spoken_part_has_a_margin() -> None:
    silence = np.zeros(16_000, np.float32)
    part = spoken_part(np.concatenate([silence, tone(0.5, 200), silence]))
    assert len(part) == pytest.approx(0.7 * 16_000, abs=200)
    assert len(spoken_part(silence)) == 0
