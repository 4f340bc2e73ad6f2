from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import pytest
import soundfile as sf

from antiphon.errors import AntiphonError
from antiphon.evaluation.human import Key, export
from antiphon.evaluation.report import Report
from tests.evaluation.report.made import report

Both = tuple[tuple[Path, Report], tuple[Path, Report]]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    one, two = (tmp_path_factory.mktemp(name) for name in ("cafe", "cascade"))
    return (
        (one, report(one, system="secret-one", count=7)),
        (two, report(two, system="secret-two", count=6, gap=1.4)),
    )


def data(folder: Path) -> dict:
    page = (folder / "index.html").read_text()
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found[1])


def test_the_page_is_blind_and_the_key_is_not(both: Both, tmp_path: Path) -> None:
    key = export(both, tmp_path, count=6, repeats=2)
    page = (tmp_path / "index.html").read_text()
    assert "secret" not in page
    assert "task/order" not in page
    assert Key.model_validate_json((tmp_path / "key.json").read_bytes()) == key
    assert key.systems == ("secret-one", "secret-two")
    assert data(tmp_path)["page"] == key.page
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)


def test_sides_are_balanced_and_repeats_come_late_with_sides_changed(
    both: Both, tmp_path: Path
) -> None:
    key = export(both, tmp_path, count=6, repeats=2)
    once = [pair for pair in key.pairs if not pair.repeats]
    assert len({pair.stimulus for pair in once}) == 6
    assert sum(pair.a for pair in once) == 3
    by_token = {pair.token: (at, pair) for at, pair in enumerate(key.pairs)}
    again = [pair for pair in key.pairs if pair.repeats]
    assert len(again) == 2
    for pair in again:
        at, first = by_token[pair.repeats]
        assert by_token[pair.token][0] > at
        assert (pair.stimulus, pair.a) == (first.stimulus, 1 - first.a)


def test_a_is_the_system_that_the_key_says(both: Both, tmp_path: Path) -> None:
    key = export(both, tmp_path, count=6, repeats=0)
    for pair, shown in zip(key.pairs, data(tmp_path)["pairs"], strict=True):
        seconds = {
            side: sf.info(io.BytesIO(base64.b64decode(shown[side]))).duration for side in "ab"
        }
        # The second system answers a second later.
        assert (seconds["a"] < seconds["b"]) == (pair.a == 0)


def test_the_seed_decides_the_order(both: Both, tmp_path: Path) -> None:
    def drawn(name: str, seed: int) -> Key:
        return export(both, tmp_path / name, count=6, repeats=0, seed=seed)

    assert drawn("a", 1) == drawn("b", 1)
    assert drawn("c", 2).pairs != drawn("d", 1).pairs


def test_kinds_are_chosen_and_nothing_in_common_is_one_sentence(both: Both, tmp_path: Path) -> None:
    key = export(both, tmp_path, kinds=("several",), count=20)
    assert len([pair for pair in key.pairs if not pair.repeats]) == 3
    with pytest.raises(AntiphonError, match="share no stimulus of the kinds silence"):
        export(both, tmp_path, kinds=("silence",))
