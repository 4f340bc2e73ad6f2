"""The operator's switch: who may, what it does to all calls and to one, and what is left of it."""

from __future__ import annotations

import gc
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from antiphon.serving.auth import Gatekeeper, KeyFile
from antiphon.serving.call import LiveCall
from antiphon.serving.guarding import GuardWatch, guarding, service_of
from antiphon.serving.switch import Switchboard, make_router
from tests.serving.served import Served, agent_of, served

PATH = "/v1/antiphon/guard"


class Desk:
    """A server with the switch, its audit log in a list, and clients with and without keys."""

    def __init__(self, server: Served, service: Any, notes: list[Any], registry: Any) -> None:
        self.server, self.service, self.notes, self.registry = server, service, notes, registry

    def http(self, key: str = "") -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(
            base_url=self.server.http + PATH, headers=headers, timeout=30, follow_redirects=True
        )

    def call(self, key: str = "") -> LiveCall:
        """A call that goes on, opened on the server's loop."""
        import asyncio

        house = self.server.house
        caller = house.gatekeeper.caller(key or None)

        async def opens() -> LiveCall:
            return house.reception.open("realtime", caller=caller)

        loop = self.server.server.loop  # type: ignore[attr-defined]
        return asyncio.run_coroutine_threadsafe(opens(), loop).result(20)


def desk(bundle: Path, **config: Any) -> Generator[Desk]:
    import asyncio

    notes: list[Any] = []

    def note(action: str, subject: str = "", *, actor: str = "server", detail: Any = None) -> None:
        notes.append((action, subject, actor, detail))

    service, registry = service_of(agent_of(bundle)), CollectorRegistry()
    board = Switchboard(note)
    board.add(service, "tiny")
    watch = GuardWatch(service, registry=registry, note=note)
    parts: dict[str, Any] = {
        "routers": [make_router(board)],
        "observers": [watch],
        "stages": [guarding(service)],
    }
    with served(bundle, **parts, **config) as server:
        found: list[asyncio.AbstractEventLoop] = []

        async def loop() -> None:
            found.append(asyncio.get_running_loop())

        server.app.add_api_route("/loop", loop)
        httpx.get(server.http + "/loop", timeout=30)
        server.server.loop = found[0]  # type: ignore[attr-defined]
        yield Desk(server, service, notes, registry)


@pytest.fixture
def open_desk(tiny_bundle: Path) -> Generator[Desk]:
    yield from desk(tiny_bundle)


def test_all_calls_are_switched_and_let_go_with_the_reason_in_the_audit_log(
    open_desk: Desk,
) -> None:
    call = open_desk.call()
    with open_desk.http() as http:
        before = http.get("").json()
        assert before["may_switch"]
        (service,) = before["services"]
        assert (service["bundle"], service["level"], service["held"]) == ("tiny", "guarded", False)
        assert [each["id"] for each in before["calls"]] == [call.id]
        after = http.post("", json={"level": "handover", "reason": "prices are wrong"}).json()
        assert (after["services"][0]["level"], after["services"][0]["held"]) == ("handover", True)
        assert "prices are wrong" in after["services"][0]["reason"]
        # Calls that go on are reached with their next beat.
        open_desk.server.wait(lambda: any(n[0] == "guard.level" for n in open_desk.notes))
        text = generate_latest(open_desk.registry).decode()
        assert 'antiphon_guard_service_level{level="handover"} 1.0' in text
        assert 'antiphon_guard_held{what="service"} 1.0' in text
        let_go = http.post("", json={"level": None, "reason": "they are right again"}).json()
        assert not let_go["services"][0]["held"]
    switched = [n for n in open_desk.notes if n[0] == "guard.switch"]
    assert [(n[1], n[2], n[3]["level"]) for n in switched] == [
        ("", "operator", "handover"),
        ("", "operator", None),
    ]
    assert switched[0][3]["reason"] == "prices are wrong"
    assert any(n[0] == "guard.service" and "prices" in n[3]["reason"] for n in open_desk.notes)


def test_one_call_is_switched_and_no_other(open_desk: Desk) -> None:
    one, other = open_desk.call(), open_desk.call()
    with open_desk.http() as http:
        wanted = {"level": "handover", "reason": "an angry caller"}
        answer = http.post(f"/calls/{one.id}", json=wanted).json()
        assert (answer["level"], answer["held"]) == ("handover", True)
        assert "an angry caller" in answer["reason"]
        assert http.get(f"/calls/{other.id}").json()["level"] == "guarded"
        assert 'held{what="calls"} 1.0' in generate_latest(open_desk.registry).decode()
        assert ("guard.switch", one.id) in [(n[0], n[1]) for n in open_desk.notes]


def test_what_is_wrong_is_said_in_a_sentence(open_desk: Desk) -> None:
    with open_desk.http() as http:
        bad = [
            ({"level": "gone", "reason": "x"}, "level"),
            ({"level": "cascade"}, "reason is missing"),
            ({"reason": "x"}, "level is missing"),
            ({"level": "cascade", "reason": "  "}, "reason"),
            ({"level": "cascade", "reason": "x", "who": "me"}, "who is not known here"),
        ]
        for body, said in bad:
            answer = http.post("", json=body)
            assert answer.status_code == 400
            assert said in answer.json()["error"]["message"]
        assert http.post("", content="{").status_code == 400
        missing = http.post("/calls/call_nobody", json={"level": None, "reason": "x"})
        assert missing.status_code == 404
        assert "no guarded call call_nobody" in missing.json()["error"]["message"]
        call = open_desk.call()
        guard = open_desk.service.guards[call.id]
        guard._gone = True
        gone = http.post(f"/calls/{call.id}", json={"level": "guarded", "reason": "x"})
        assert gone.status_code == 409
        assert "has ended" in gone.json()["error"]["message"]


def test_a_key_switches_its_own_calls_and_an_operators_key_all(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    file = KeyFile(tmp_path / "keys.json")
    shop, entry = file.add("shop")
    other, _ = file.add("other")
    boss, _ = file.add("boss", operator=True)
    for found in desk(tiny_bundle, key_file=file.path):
        call = found.call(shop)
        assert call.info.key == entry.id
        wanted = {"level": "handover", "reason": "x"}
        with found.http() as nobody, found.http(other) as stranger:
            assert nobody.post("", json=wanted).status_code == 401
            refused = stranger.post("", json=wanted)
            assert refused.status_code == 403
            assert "--operator" in refused.json()["error"]["message"]
            assert stranger.get("").json()["calls"] == []
            assert stranger.post(f"/calls/{call.id}", json=wanted).status_code == 404
        secret, _ = found.server.house.gatekeeper.secret(
            found.server.house.gatekeeper.caller(boss), {}, 60
        )
        with found.http(secret) as ephemeral:
            assert ephemeral.post("", json=wanted).status_code == 403
        with found.http(shop) as own, found.http(boss) as operator:
            assert own.post(f"/calls/{call.id}", json=wanted).json()["held"]
            assert not own.get("").json()["may_switch"]
            assert operator.post("", json=wanted).status_code == 200
            assert [each["id"] for each in operator.get("").json()["calls"]] == [call.id]


def test_a_page_of_another_origin_cannot_switch(open_desk: Desk) -> None:
    with open_desk.http() as http:
        answer = http.post(
            "",
            json={"level": "cascade", "reason": "x"},
            headers={"Origin": "https://evil.example"},
        )
        assert answer.status_code == 403


def test_a_version_that_is_loaded_later_is_held_too_and_forgotten_when_it_is_gone(
    tiny_bundle: Path,
) -> None:
    from antiphon.serving.switch import Wanted

    board = Switchboard()
    board.switch_all(Wanted(level="cascade", reason="x"), "eve")
    late = service_of(agent_of(tiny_bundle))
    board.add(late, "next")
    assert late.breaker.level == "cascade"
    del late
    gc.collect()
    assert board.services == []


def test_an_ephemeral_secret_is_no_operators(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    boss, _ = file.add("boss", operator=True)
    keeper = Gatekeeper(file)
    assert keeper.caller(boss).operator
    secret, _ = keeper.secret(keeper.caller(boss), {}, 60)
    assert not keeper.caller(secret).operator
