from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from antiphon.evaluation.figures import Figure
from antiphon.evaluation.report import Report, plots, write
from antiphon.evaluation.report.page import render
from tests.evaluation.report.made import report


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    folder = tmp_path_factory.mktemp("report")
    return folder, report(folder, count=9)


@pytest.fixture(scope="module")
def page(made: tuple[Path, Report]) -> str:
    return render(made[1], made[0])


def data(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found[1])


def test_the_page_asks_nothing_of_the_network(page: str) -> None:
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)
    assert "default-src 'none'" in page


def test_what_was_said_cannot_become_markup(page: str) -> None:
    assert "<b>large</b>" not in page
    assert "orders &lt;made&gt; by hand" in page
    assert data(page)["cases"][0]["agent"].startswith("one <b>large</b>")


def test_the_headline_names_data_n_and_seed(page: str) -> None:
    assert "tiny: 9 trials, 9 orders &lt;made&gt; by hand; seed 3, 95 % intervals" in page


def test_invalid_figures_and_the_judges_errors_are_marked(page: str) -> None:
    row = re.search(r'<tr id="task.said".*?</tr>', page, re.S)
    assert row
    assert "not valid" in row[0]
    row = re.search(r'<tr id="task.pass_1".*?</tr>', page, re.S)
    assert row
    assert "not valid" not in row[0]
    assert re.search(r"judge cer: <b>0.080</b>", page)


def test_sounds_are_carried_while_there_is_room_failures_first(
    made: tuple[Path, Report], page: str
) -> None:
    folder, whole = made
    full = page
    assert full.count('id="sound-') == 9
    one = re.search(r'id="sound-0">([^<]*)<', full)
    assert one
    some = render(whole, folder, room=3 * len(one[1]))
    carried = {at for at, case in enumerate(data(some)["cases"]) if "picture" in case}
    assert {0, 1} <= carried
    assert len(carried) in (2, 3)
    assert "2 of those with something wrong" in some
    assert render(whole, folder, room=0).count('id="sound-') == 0


def test_times_are_drawn_as_a_spread_and_shares_are_not(page: str) -> None:
    assert page.count('class="spread"') == 1
    assert "gap over 9 trials" in page


def test_a_report_without_anything_still_has_a_page(tmp_path: Path) -> None:
    empty = report(tmp_path, count=1, wrong=1).model_copy(
        update={"suites": (), "cases": (), "failures": ()}
    )
    write(empty, tmp_path)
    assert "No judge listened" in (tmp_path / "index.html").read_text()


def test_a_whisker_is_inside_its_axis_and_missing_without_a_value() -> None:
    figure = Figure(name="a.b", value=0.5, low=-3, high=7, n=1)
    places = [
        float(x) for x in re.findall(r'(?:x1|x2|cx)="([\d.]+)"', plots.whisker(figure, (0, 1)))
    ]
    assert all(0 <= place <= 160 for place in places)
    assert plots.whisker(figure.model_copy(update={"value": None}), (0, 1)) == ""


def test_figures_of_a_unit_share_an_axis_with_nought_on_it() -> None:
    figures = [
        Figure(name="a.b", value=300, low=200, high=500, n=1, unit="ms"),
        Figure(name="a.c", value=-100, n=1, unit="ms"),
        Figure(name="a.d", value=9, n=1, unit="s"),
    ]
    assert plots.scale(figures, "ms") == (-100, 500)
    assert plots.scale(figures, "share") == (0, 1)
    assert plots.scale([], "ms") == (0, 1)


def test_a_spread_of_equal_values_is_drawn_too() -> None:
    assert "P50 3 ms" in plots.spread([3.0] * 9, "ms", "x")
