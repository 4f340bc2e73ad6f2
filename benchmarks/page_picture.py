"""docs/images/page.png and calls.png: the pages, photographed in a call that takes place.

    python benchmarks/page_picture.py [--bundle cafe] [--out docs/images]

A server of its own, Debian's chromium, and a microphone that speaks examples/order.flac. On a
machine that is too busy to keep up with a call the waveforms have gaps; take it again then.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from antiphon.serving import pages, webrtc
from antiphon.serving.admission import Capacity
from antiphon.serving.app import create_app
from antiphon.serving.config import ServerConfig
from antiphon.serving.live import socket as live
from antiphon.serving.server import Server
from antiphon.serving.store import Store, StoreConfig, api
from browser import ORDER, browser, chromium, microphone

PATIENCE = 180_000  # ms for the agent to answer
AFTER = 1_200  # ms after the agent's turn: the picture has both voices in it


@contextmanager
def served(bundle: str, folder: Path) -> Generator[str]:
    """The address of a server that keeps its calls in `folder`."""
    config = ServerConfig(bundle=bundle, port=0, seed=0)
    up = threading.Event()
    with Store.open(StoreConfig(folder=folder)) as store, store.serving() as observer:
        routers = [live.router, webrtc.make_router(), pages.make_router(), api.make_router(store)]
        capacity = Capacity(slots=1, threads=1, group=1)
        app = create_app(config, capacity=capacity, observers=[observer], routers=routers)
        server = Server(app, config, ready=lambda _: up.set())
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        if not up.wait(120):
            raise SystemExit("the server did not start")
        try:
            yield server.address
        finally:
            server.should_exit = True
            thread.join()


def take(page: Any, address: str, out: Path) -> None:
    """A call, and the two pictures."""
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    page.locator("#agent-name:not(:empty)").wait_for()
    page.click("#talk")
    page.locator("#log", has_text="Agent:").wait_for(state="attached")
    page.wait_for_timeout(AFTER)
    page.mouse.move(0, 0)
    page.screenshot(path=out / "page.png")
    page.click("#talk")
    page.locator("#status", has_text="over").wait_for()
    page.goto(f"{address}/calls")
    page.click("#list a")
    page.locator("#play:enabled").wait_for()
    page.locator("#turns .agent .word").nth(3).click()
    page.wait_for_timeout(300)
    page.click("#play")
    page.mouse.move(0, 0)
    page.screenshot(path=out / "calls.png")


def main() -> None:
    from playwright.sync_api import sync_playwright

    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--bundle", default="cafe")
    asked.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "images")
    asked.add_argument("--dark", action="store_true")
    given = asked.parse_args()
    if chromium() is None:
        raise SystemExit("chromium is not installed")
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        wav = microphone([ORDER], folder / "order.wav")
        with (
            served(given.bundle, folder / "store") as address,
            sync_playwright() as player,
            browser(player, wav) as opened,
        ):
            scheme = "dark" if given.dark else "light"
            size = {"width": 1240, "height": 700}
            take(opened.new_page(viewport=size, color_scheme=scheme), address, given.out)
    print(f"wrote {given.out / 'page.png'} and {given.out / 'calls.png'}")


if __name__ == "__main__":
    main()
