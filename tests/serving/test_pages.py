"""The pages: what is sent to browsers, and people's ways through them in Debian's chromium.

The browser's microphone speaks the shipped order; the scripted agent answers it in every test but
the slow one, in which the café's does.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from websockets.sync.client import connect

from antiphon.serving import pages, webrtc
from antiphon.serving.auth import KeyFile
from antiphon.serving.guarding import guarding, service_of
from antiphon.serving.live import socket as live_socket
from antiphon.serving.store.api import make_router as store_router
from antiphon.serving.store.config import StoreConfig
from antiphon.serving.store.store import Store
from antiphon.serving.switch import Switchboard
from antiphon.serving.switch import make_router as make_switch
from browser import ORDER, browser, chromium, microphone
from tests.serving.served import agent_of, served

PATIENCE = 60_000  # ms for anything to appear: machines are busy
STATIC = Path(pages.__file__).parent / "static"


@contextmanager
def serving(
    bundle: Path | str, *, store: Path | None = None, lines: int = 2, **config: Any
) -> Generator[str]:
    """http://host:port of a server with the pages, and a store where one is wanted."""
    with ExitStack() as stack:
        routers: list[APIRouter] = [live_socket.router, webrtc.make_router(), pages.make_router()]
        routers += config.pop("more", [])
        observers: list[Any] = []
        if store is not None:
            kept = stack.enter_context(Store.open(StoreConfig(folder=store)))
            observers.append(stack.enter_context(kept.serving()))
            routers.append(store_router(kept))
        parts = {"routers": routers, "observers": observers}
        server = stack.enter_context(served(bundle, slots=lines, group=lines, **parts, **config))
        yield server.http


# -- what is sent --------------------------------------------------------------------------


@pytest.fixture
def address(tiny_bundle: Path) -> Iterator[str]:
    with serving(tiny_bundle) as where:
        yield where


def test_pages_come_with_a_strict_policy_and_are_not_sent_twice(address: str) -> None:
    with httpx.Client(base_url=address, timeout=60) as http:
        for path in ("/", "/calls"):
            answer = http.get(path)
            assert answer.status_code == 200
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            again = http.get(path, headers={"If-None-Match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
        for file in STATIC.iterdir():
            assert http.get(f"/pages/{file.name}").status_code == 200
        for wrong in ("x.js", "..%2f__init__.py", "__init__.py", "talk.html%00"):
            assert http.get(f"/pages/{wrong}").status_code == 404
        about = http.get("/pages/agent.json").json()
    assert about["name"] == "tiny"
    assert about["examples"]
    assert not about["key_needed"]


def test_nothing_in_the_pages_needs_a_weaker_policy() -> None:
    for page in STATIC.glob("*.html"):
        text = page.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", text)
        assert not re.search(r"https?://(?!www\.w3\.org)", text)
        ids = re.findall(r'\bid="([^"]+)"', text)
        assert len(ids) == len(set(ids))
        assert set(re.findall(r'\b(?:for|aria-labelledby|aria-controls)="([^"]+)"', text)) <= {*ids}
    for script in STATIC.glob("*.js"):
        assert not re.search(r"\beval\(|innerHTML|insertAdjacentHTML", script.read_text())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(scheme: str) -> None:
    """WCAG 2.2 AA: 4.5 : 1."""
    roots = re.findall(r":root \{([^}]*)\}", (STATIC / "page.css").read_text())
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", roots[0]))
    if scheme == "dark":
        colours |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", roots[1]))

    def light(name: str) -> float:
        parts = [int(colours[name][at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for text in ("ink", "quiet", "you", "agent", "wrong"):
        for ground in ("paper", "sheet"):
            high, low = sorted((light(text), light(ground)), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, (scheme, text, ground)
    for text, ground in (("wrong", "wrong-sheet"), ("ink", "lit"), ("quiet", "lit")):
        high, low = sorted((light(text), light(ground)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (scheme, text, ground)


# -- in a browser --------------------------------------------------------------------------

playwright = pytest.importorskip("playwright.sync_api")
expect: Any = playwright.expect
in_browser = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium() is None, reason="chromium is not installed"),
]


class Visit:
    """A page and what it complained of."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))

    def _console(self, message: Any) -> None:
        if message.type == "error":
            self.wrong.append(message.text)

    def shows(self, selector: str, text: str | re.Pattern[str]) -> None:
        expect(self.page.locator(selector).first).to_contain_text(text, timeout=PATIENCE)

    def choose(self, transport: str) -> None:
        self.page.click("#settings summary")
        self.page.check(f"input[value={transport}]")


@pytest.fixture(scope="module")
def player() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def chrome(player: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser whose microphone speaks the order, again and again: some start slowly."""
    wav = microphone([ORDER] * 5, tmp_path_factory.mktemp("microphone") / "order.wav")
    with browser(player, wav) as opened:
        yield opened


@pytest.fixture
def visit(chrome: Any) -> Iterator[Visit]:
    context = chrome.new_context()
    try:
        yield Visit(context.new_page())
    finally:
        context.close()


@pytest.fixture(scope="module")
def kept(_tiny_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(_tiny_once, store=tmp_path_factory.mktemp("kept")) as where:
        yield where


class TestInABrowser:
    pytestmark = in_browser

    @pytest.mark.parametrize("transport", ["websocket", "webrtc"])
    def test_a_spoken_order_is_answered_and_shown(
        self, kept: str, visit: Visit, transport: str
    ) -> None:
        page = visit.page
        page.goto(kept)
        visit.shows("#agent-name", "tiny")
        visit.choose(transport)
        page.click("#show-captions")
        page.click("#talk")
        expect(page.locator("#talk")).to_have_text("Hang up", timeout=PATIENCE)
        visit.shows("#lines li.you", "a large latte please")
        visit.shows("#lines li.agent", "a large latte coming up")
        visit.shows("#order", "a large latte")
        visit.shows("#order dl", "size")
        visit.shows("#caption-agent", "coming up")
        visit.shows("#log", "Agent: a large latte coming up")
        visit.shows("#tone", "cheerful")
        visit.shows("#lines li.agent .note", re.compile(r"\d ms"))
        levels = page.evaluate(
            """() => {
                const c = document.querySelector("#waves");
                const middle = Math.floor(c.height / 2);
                const pixels = c.getContext("2d");
                const inked = (y, h) => pixels.getImageData(0, y, c.width, h).data
                    .filter((v, i) => i % 4 === 3 && v > 60).length;
                return [inked(0, middle - 3), inked(middle + 3, middle - 3)];
            }"""
        )
        assert max(levels) > 20
        page.click("#talk")
        visit.shows("#status", "The call is over")
        expect(page.locator("#talk")).to_have_text("Talk")
        assert page.is_hidden("#alarm")
        assert visit.wrong == []

    def test_the_keyboard_does_it_all(self, kept: str, visit: Visit) -> None:
        page = visit.page
        page.goto(kept)
        visit.shows("#agent-name", "tiny")
        page.keyboard.press("c")
        expect(page.locator("#captions")).to_be_visible()
        page.keyboard.press("t")
        visit.shows("#status", "Listening")
        page.keyboard.press("m")
        visit.shows("#status", "Muted")
        expect(page.locator("#mute")).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("Escape")
        visit.shows("#talk", "Talk")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.reload()
        expect(page.locator("#captions")).to_be_visible()  # it is remembered
        assert visit.wrong == []

    def test_an_operator_sees_and_switches_who_answers(
        self, tiny_bundle: Path, tmp_path: Path, visit: Visit
    ) -> None:
        service = service_of(agent_of(tiny_bundle))
        board = Switchboard()
        board.add(service, "tiny")
        guard = {"stages": [guarding(service)], "more": [make_switch(board)]}
        with serving(tiny_bundle, store=tmp_path, **guard) as where:
            page = visit.page
            page.goto(f"{where}/calls")
            visit.shows("#guard summary", "The agent, checked")
            page.click("#guard summary")
            page.select_option("#guard select", "handover")
            page.fill("#guard input", "prices are wrong")
            page.click("#guard button")
            visit.shows("#guard summary", "A person, held by an operator")
            visit.shows("#guard p", "prices are wrong")
            assert service.breaker.level == "handover"
            assert visit.wrong == []

    def test_past_calls_are_heard_searched_and_deleted(self, kept: str, visit: Visit) -> None:
        page = visit.page
        for _ in range(2):
            page.goto(kept)
            page.click("#talk")
            visit.shows("#log", "Agent: a large latte coming up")
            page.click("#talk")
            visit.shows("#status", "The call is over")
        page.goto(f"{kept}/calls")
        page.fill("#q", "nobody said this")
        visit.shows("#count", "No call fits.")
        page.fill("#q", "latte")
        visit.shows("#count", re.compile(r"^\d+ calls$"))
        count = page.locator("#list a").count()
        page.locator("#list a").first.click()
        visit.shows("#turns", "coming")
        visit.shows("#made", "place order")
        expect(page.locator("#play")).to_be_enabled(timeout=PATIENCE)
        length = float(page.get_attribute("#waves", "aria-valuemax") or 0)
        assert length >= 1
        word = page.locator("#turns .agent .word", has_text="coming").first
        start = float(word.get_attribute("data-start") or 0)
        page.evaluate(
            """() => {
                window.lit = [];
                new MutationObserver((changes) => {
                    for (const { target } of changes)
                        if (target.classList.contains("now")) window.lit.push(target.textContent);
                }).observe(document.querySelector("#turns"),
                    { subtree: true, attributeFilter: ["class"] });
            }"""
        )
        word.click()
        lit: list[str] = []
        for _ in range(PATIENCE // 100):
            lit = page.evaluate("window.lit")
            if "up" in lit:
                break
            page.wait_for_timeout(100)
        assert lit.index("coming") < lit.index("up")
        page.evaluate("document.querySelector('#play').textContent === 'Pause' && play.click()")
        page.focus("#waves")
        page.keyboard.press("Home")
        assert page.inner_text("#clock").startswith("0:00 /")
        page.keyboard.press("ArrowRight")
        assert page.inner_text("#clock").startswith(f"0:0{min(2, int(start + length))}")
        page.click("#delete")
        page.click("#confirm button[value=keep]")
        assert page.locator("#list a").count() == count
        page.click("#delete")
        page.click("#confirm button[value=delete]")
        expect(page.locator("#list a")).to_have_count(count - 1, timeout=PATIENCE)
        expect(page.locator("#call")).to_be_hidden()
        page.goto(f"{kept}/calls#call_unknown")
        visit.shows("#alarm", "There is no call 'call_unknown'.")
        assert [text for text in visit.wrong if "404" not in text] == []

    def test_a_server_that_keeps_nothing_says_so(self, tiny_bundle: Path, visit: Visit) -> None:
        with serving(tiny_bundle) as where:
            visit.page.goto(f"{where}/calls")
            visit.shows("#alarm", "This server keeps no calls.")

    @pytest.mark.parametrize("transport", ["websocket", "webrtc"])
    def test_a_full_server_is_told_in_a_sentence(
        self, tiny_bundle: Path, visit: Visit, transport: str
    ) -> None:
        with serving(tiny_bundle, lines=1) as where:
            visit.page.goto(where)
            visit.choose(transport)
            with connect(f"ws{where[4:]}/v1/live/sessions") as line:
                line.send('{"type": "session.start", "session": {}}')
                line.recv()
                visit.page.click("#talk")
                visit.shows("#alarm", "All lines are in use.")
            expect(visit.page.locator("#talk")).to_have_text("Talk")
            visit.page.click("#talk")
            visit.shows("#status", "Listening")

    @pytest.mark.parametrize("transport", ["websocket", "webrtc"])
    def test_a_key_is_asked_for_and_used(
        self, tiny_bundle: Path, tmp_path: Path, visit: Visit, transport: str
    ) -> None:
        key, _ = KeyFile(tmp_path / "keys.json").add("anna")
        with serving(tiny_bundle, key_file=tmp_path / "keys.json") as where:
            page = visit.page
            page.goto(where)
            visit.choose(transport)
            page.click("#talk")
            visit.shows("#alarm", "This server wants a key.")
            page.fill("#key", "ak_wrong")
            page.keyboard.press("Enter")
            visit.shows("#alarm", "The server does not know this key.")
            page.fill("#key", key)
            page.keyboard.press("Enter")
            visit.shows("#status", "Listening")
            assert page.is_hidden("#key-form")

    @pytest.mark.parametrize("transport", ["websocket", "webrtc"])
    def test_a_server_that_goes_down_is_told(
        self, tiny_bundle: Path, visit: Visit, transport: str
    ) -> None:
        with serving(tiny_bundle) as where:
            visit.page.goto(where)
            visit.choose(transport)
            visit.page.click("#talk")
            visit.shows("#status", "Listening")
        visit.shows("#alarm", re.compile("going down|connection was lost"))
        visit.page.click("#talk")
        visit.shows("#alarm", "The server cannot be reached.")

    @pytest.mark.parametrize("transport", ["websocket", "webrtc"])
    def test_one_call_after_another_however_quickly(
        self, kept: str, visit: Visit, transport: str
    ) -> None:
        visit.page.goto(kept)
        visit.choose(transport)
        for _ in range(4):
            visit.page.keyboard.press("t")
        visit.shows("#status", "Ready")
        for _ in range(2):
            visit.page.keyboard.press("t")
            visit.shows("#status", "Listening")
            visit.page.keyboard.press("t")
        visit.shows("#status", "Ready")
        assert visit.page.is_hidden("#alarm")
        assert visit.wrong == []

    def test_both_pages_fit_a_small_screen(self, kept: str, chrome: Any) -> None:
        context = chrome.new_context(viewport={"width": 320, "height": 640})
        visit = Visit(context.new_page())
        for path in ("/", "/calls"):
            visit.page.goto(kept + path)
            wide = "document.documentElement.scrollWidth <= innerWidth"
            assert visit.page.evaluate(wide), path
        context.close()


@pytest.mark.slow
@pytest.mark.skipif(chromium() is None, reason="chromium is not installed")
class TestWithoutAMicrophone:
    @pytest.mark.parametrize(
        ("flags", "sentence"),
        [
            ((), "No microphone was found."),
            (("--use-fake-device-for-media-stream",), "may not use the microphone"),
        ],
    )
    def test_what_is_missing_is_said(
        self, address: str, player: Any, flags: tuple[str, ...], sentence: str
    ) -> None:
        with browser(player, None, *flags) as opened:
            visit = Visit(opened.new_page())
            visit.page.goto(address)
            visit.page.click("#talk")
            visit.shows("#alarm", sentence)
            expect(visit.page.locator("#talk")).to_have_text("Talk")


class TestTheCafe:
    pytestmark = in_browser

    @pytest.mark.parametrize("transport", ["websocket", "webrtc"])
    def test_the_cafe_takes_the_shipped_order(self, visit: Visit, transport: str) -> None:
        with serving("cafe", lines=1, seed=0) as where:
            page = visit.page
            page.goto(where)
            visit.shows("#agent-name", "cafe")
            visit.choose(transport)
            page.click("#talk")
            visit.shows("#lines li.you", "cappuccino")
            visit.shows("#order", "cappuccino")
            visit.shows("#log", re.compile("Agent: .*cappuccino"))
            page.click("#talk")
            visit.shows("#status", "The call is over")
            assert visit.wrong == []
