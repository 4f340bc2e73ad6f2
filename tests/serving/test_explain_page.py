"""The page of one turn, in Debian's chromium."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fastapi import FastAPI

from antiphon.serving import pages, problems
from antiphon.serving.auth import Gatekeeper
from antiphon.serving.config import ServerConfig
from antiphon.serving.store import Store, StoreConfig
from antiphon.serving.store.api import make_router
from browser import browser, chromium
from tests.serving.store.running import running
from tests.serving.test_explain import noted_call

playwright = pytest.importorskip("playwright.sync_api")


@pytest.mark.slow
@pytest.mark.skipif(chromium() is None, reason="chromium is not installed")
def test_a_turn_of_a_call_is_explained_and_its_neighbours_are_a_step_away(
    tiny_bundle: Path, tmp_path: Path, spoken: Callable[..., np.ndarray]
) -> None:
    store = Store.open(StoreConfig(folder=tmp_path / "store"))
    call_id = noted_call(store, tiny_bundle, spoken(after=3.0), seed=9)
    app = FastAPI()
    problems.install(app)
    app.include_router(make_router(store))
    app.include_router(pages.make_router())
    app.state.house = SimpleNamespace(gatekeeper=Gatekeeper(None), config=ServerConfig())
    wrong: list[str] = []
    with (
        running(app) as host,
        playwright.sync_playwright() as started,
        browser(started, None) as chrome,
    ):
        page = chrome.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"http://{host}/calls#{call_id}")
        page.click("#turns li:nth-child(2) a")
        page.wait_for_selector("#account section")
        assert "a large latte coming up" in page.inner_text("#title")
        assert "seed 9" in page.inner_text("#about")
        told = page.text_content("#account")
        for part in ("When", "Said and meant", "place order", "cheerful for", "Nothing was found"):
            assert part in told
        page.click("#steps a")
        playwright.expect(page.locator("#title")).to_contain_text("please", timeout=60_000)
        page.screenshot(path=str(tmp_path / "turn.png"))
    assert wrong == []
