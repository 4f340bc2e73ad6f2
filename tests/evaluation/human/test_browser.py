"""The listening page in a real browser; skipped where there is none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from antiphon.evaluation.human import export, read_results, score
from tests.evaluation.report.made import report

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_listener_judges_by_keyboard_and_saves(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    reports = ((one, report(one, count=2)), (two, report(two, count=2, system="b")))
    key = export(reports, tmp_path / "listen", count=2, repeats=0)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        page = browser.new_page()
        wrong: list[str] = []
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto((tmp_path / "listen" / "index.html").as_uri())
        page.fill("#listener", "anna")
        page.click("#begin")
        page.keyboard.press("1")
        assert page.locator("button[aria-pressed=true]").count() == 0  # nothing is heard yet
        for choice in ("1", "0"):
            for side in "ab":
                page.keyboard.press(side)
                note = page.locator(f"#play-{side} small")
                playwright.expect(note).to_have_text("heard", timeout=20_000)
            page.keyboard.press(choice)
            assert page.locator("button[aria-pressed=true]").count() == 1
            page.keyboard.press("ArrowRight")
        assert page.inner_text("#done") == "All 2 pairs are answered."
        with page.expect_download() as download:
            page.click("#save")
        saved = tmp_path / download.value.suggested_filename
        download.value.save_as(saved)
        browser.close()
    assert wrong == []
    assert json.loads(saved.read_text())["listener"] == "anna"
    found = score(key, [read_results(saved)]).questions[0]
    assert (found.first + found.second, found.same) == (1, 1)
