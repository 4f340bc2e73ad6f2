"""The external classifier never keeps the beat, and its silence has a meaning."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from antiphon.corpus.scenario import Scenario
from antiphon.errors import AntiphonError
from antiphon.guard.checks import Rulebook
from antiphon.guard.classifier import Classifier, moderation, read_moderation
from antiphon.guard.config import ClassifierRules, GuardConfig
from antiphon.guard.filter import Filter
from tests.guard.talk import Talk, caller, sentence


class _Moderation(BaseHTTPRequestHandler):
    """Flags what holds "gin"; takes half a second for what holds "slow"."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "slow" in asked["input"]:
            time.sleep(0.5)
        flagged = "gin" in asked["input"]
        body = {
            "results": [{"flagged": flagged, "categories": {"alcohol": flagged, "hate": False}}]
        }
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Moderation)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/moderations"
    server.shutdown()
    server.server_close()
    thread.join()


def test_it_is_asked_as_the_moderation_endpoint_is(url: str) -> None:
    ask = moderation(ClassifierRules(url=url, deadline_ms=2000))
    assert ask("a gin please") == "alcohol"
    assert ask("a latte please") == ""


def test_only_wanted_categories_count() -> None:
    answer = {"results": [{"flagged": True, "categories": {"hate": True, "alcohol": False}}]}
    assert read_moderation(answer, ()) == "hate"
    assert read_moderation(answer, ("alcohol",)) == ""
    for wrong in ({}, {"results": []}, {"results": [{"flagged": "no"}]}, []):
        with pytest.raises(AntiphonError, match="classifier's answer"):
            read_moderation(wrong, ())


def test_a_key_that_is_not_there_is_told_at_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(AntiphonError, match="NO_SUCH_KEY"):
        moderation(ClassifierRules(url="http://127.0.0.1/", key_env="NO_SUCH_KEY"))
    with pytest.raises(AntiphonError, match="http"):
        moderation(ClassifierRules(url="file:///etc/passwd"))


@pytest.mark.parametrize("then", ["pass", "block"])
def test_after_the_deadline_the_scenario_decides(then: str) -> None:
    clock = [0.0]
    rules = ClassifierRules(url="http://x", deadline_ms=300, on_timeout=then)  # type: ignore[arg-type]
    gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:

        def ask(text: str) -> str:
            gate.wait(5)
            return ""

        judge = Classifier(rules, executor=pool, ask=ask, clock=lambda: clock[0])
        judge.look(0, ("hello",))
        waiting = judge.verdict(0, 0)
        assert waiting is not None
        assert waiting.open
        clock[0] = 0.4
        late = judge.verdict(0, 0)
        assert late is None if then == "pass" else (late is not None and not late.open)
        assert judge.timeouts == 1
        gate.set()


@pytest.mark.parametrize("then", ["pass", "block"])
def test_a_failure_has_a_meaning_too(then: str) -> None:
    def ask(text: str) -> str:
        raise OSError("no route")

    rules = ClassifierRules(url="http://x", on_error=then, on_timeout="pass")  # type: ignore[arg-type]
    judge = Classifier(rules, executor=None, ask=ask, clock=lambda: 0.0)
    judge.look(0, ("hello",))
    found = judge.verdict(0, 0)
    assert judge.errors == 1
    assert (found is not None and not found.open) == (then == "block")


def test_the_filter_stops_what_it_flags(bar: Scenario) -> None:
    rules = Rulebook(bar, (), GuardConfig(classifier=ClassifierRules(url="http://x")))
    talk = Talk(sentence("would you like a gin with that"), caller("hello"))
    run = talk.run(Filter(rules, classify=lambda text: "alcohol" if "gin" in text else ""))
    (event,) = (e for e in run.guard if e.action == "blocked")
    assert event.check == "classifier"
    assert "alcohol" in event.reason
    assert max(run.sources()) < talk.span(4)[0]
    assert run.text == "would you like a"
