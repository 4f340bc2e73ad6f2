"""The page in a real browser; skipped where there is none."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from antiphon.evaluation.report import write
from tests.evaluation.report.made import report

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Iterator[Any]:
    write(report(tmp_path, count=9, wrong=2), tmp_path)
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    wrong: list[str] = []
    asked: list[str] = []
    opened.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda r: asked.append(r.url) if r.url.startswith("http") else None)
    opened.goto((tmp_path / "index.html").as_uri())
    yield opened
    assert wrong == []
    assert asked == []
    opened.close()


def test_a_case_is_opened_played_and_drawn(page: Any) -> None:
    page.click("#row-5")
    assert page.inner_text("#case h3") == "task/order/005"
    page.wait_for_function("() => document.querySelector('#case canvas').width > 300")
    page.click("#play")
    playwright.expect(page.locator("#clock")).not_to_have_text(re.compile("^0.0 "), timeout=20_000)
    page.keyboard.press("Escape")
    drawn = page.evaluate(
        """() => { const c = document.querySelector('#case canvas');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        const at = Array.from({length: d.length / 4}, (_, i) => d.slice(4 * i, 4 * i + 3).join());
        return new Set(at).size }"""
    )
    assert drawn > 5  # colours: both channels, words, spans


def test_filters_sift_the_list(page: Any) -> None:
    assert page.inner_text("#count") == "9 of 9"
    page.select_option("select[name=ok]", "false")
    assert page.inner_text("#count") == "2 of 9"
    page.select_option("select[name=kind]", "several")
    assert page.inner_text("#count") == "1 of 9"
    page.select_option("select[name=ok]", "")
    page.select_option("select[name=kind]", "")
    page.fill("input[name=text]", "small latte")
    assert page.inner_text("#count") == "2 of 9"


def test_the_keyboard_walks_through_cases_and_turns_the_light_off(page: Any) -> None:
    page.focus("#list")
    first = page.inner_text("#case h3")
    page.keyboard.press("j")
    assert page.inner_text("#case h3") != first
    page.keyboard.press("k")
    assert page.inner_text("#case h3") == first
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.keyboard.press("t")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "text"


def test_the_page_opens_at_its_top_and_a_long_list_stays_in_its_box(page: Any) -> None:
    assert page.evaluate("() => window.scrollY") == 0
    box = page.locator("#list").bounding_box()
    assert box
    assert box["height"] <= 620
