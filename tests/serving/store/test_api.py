"""The calls over HTTP, from a real server on loopback."""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import soundfile as sf
from fastapi import FastAPI
from tests.serving.store.acting import beats, info, whole_call
from tests.serving.store.running import running

from antiphon.serving import problems
from antiphon.serving.auth import Gatekeeper, KeyFile
from antiphon.serving.store import Store, api

CALLS = "/v1/antiphon/calls"
ODD = ("%00", "..%2f..%2fetc%2fpasswd", "%ff%fe", "x" * 3000, "call_none", "erasures", "%F0%9F")


def application(store: Store, keys: Path | None = None) -> FastAPI:
    """A server that has nothing but the store."""
    app = FastAPI()
    problems.install(app)
    gatekeeper = Gatekeeper(KeyFile(keys) if keys else None)
    app.state.house = SimpleNamespace(
        gatekeeper=gatekeeper, reception=SimpleNamespace(refused=Counter[str]())
    )
    app.include_router(api.make_router(store))
    return app


@pytest.fixture
def client(store: Store) -> Iterator[httpx.Client]:
    with (
        running(application(store)) as host,
        httpx.Client(base_url=f"http://{host}", timeout=20) as client,
    ):
        yield client


def test_a_call_is_listed_read_heard_and_erased(store: Store, client: httpx.Client) -> None:
    with store.serving() as observer:
        call_id = whole_call(observer, info(metadata={"caller": "ann"}))
    listed = client.get(CALLS).json()
    assert listed["object"] == "list"
    assert listed["has_more"] is False
    assert [call["id"] for call in listed["data"]] == [call_id]
    assert listed["data"][0]["first_words"] == "a latte please"
    record = client.get(f"{CALLS}/{call_id}").json()
    assert set(record) == {"call", "turns", "tool_calls", "events", "pauses", "latencies"}
    assert record["turns"][1]["text"] == "a latte coming up"
    assert record["tool_calls"][0]["arguments"] == {"items": [{"drink": "latte"}]}
    sound = client.get(f"{CALLS}/{call_id}/audio")
    assert sound.headers["content-type"] == "audio/flac"
    samples, rate = sf.read(io.BytesIO(sound.content))
    assert (len(samples), rate) == (26 * 1280, 16_000)
    gone = client.delete(f"{CALLS}/{call_id}")
    assert gone.json() == {"object": "call.erased", "ids": [call_id]}
    for method, path in (("GET", ""), ("GET", "/audio"), ("DELETE", ""), ("DELETE", "/audio")):
        answer = client.request(method, f"{CALLS}/{call_id}{path}")
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"
    assert list(store.verify()) == []


def test_the_log_says_who_heard_and_erased_what(store: Store, client: httpx.Client) -> None:
    from antiphon.serving.store.audit import entries

    with store.serving() as observer:
        call_id = whole_call(observer)
    client.get(f"{CALLS}/{call_id}/audio")
    client.delete(f"{CALLS}/{call_id}/audio")
    with store.database.read() as session:
        done = [(entry.action, entry.actor) for entry in entries(session, call_id)]
    assert done[-2:] == [("call.heard", "operator"), ("recording.erased", "operator")]


def test_erasing_a_caller_names_them_in_the_body_alone(store: Store, client: httpx.Client) -> None:
    with store.serving() as observer:
        anns = {whole_call(observer, info(metadata={"caller": "ann"})) for _ in range(2)}
        whole_call(observer, info(metadata={"caller": "bob"}))
    assert set(client.post(f"{CALLS}/erasures", json={"caller": "ann"}).json()["ids"]) == anns
    assert len(client.get(CALLS).json()["data"]) == 1
    for body in ({}, {"caller": ""}, {"caller": 7}, {"caller": "ann", "more": 1}, []):
        answer = client.post(f"{CALLS}/erasures", json=body)
        assert answer.status_code == 400, body
        assert "error" in answer.json()


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-99", 206, slice(0, 100)),
        ("bytes=100-", 206, slice(100, None)),
        ("bytes=-50", 206, slice(-50, None)),
        ("bytes=10-10", 206, slice(10, 11)),
        ("bytes=0-", 200, slice(None)),
        ("bytes=5-99999999", 206, slice(5, None)),
        ("bytes=99999999-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=9-3", 200, slice(None)),
        ("bytes=0-1,4-5", 200, slice(None)),
        ("lines=0-1", 200, slice(None)),
        ("bytes=", 200, slice(None)),
        ("bytes=--5", 200, slice(None)),
        (f"bytes={'9' * 40}-", 200, slice(None)),
    ],
)
def test_parts_of_a_recording(small: Store, asked: str, status: int, part: slice | None) -> None:
    with small.serving() as observer:
        call_id = whole_call(observer)
    path = small.recording(call_id)
    assert path is not None
    content = path.read_bytes()
    from fastapi.testclient import TestClient

    with TestClient(application(small)) as client:
        answer = client.get(f"{CALLS}/{call_id}/audio", headers={"Range": asked})
    assert answer.status_code == status
    assert answer.headers["accept-ranges"] == "bytes"
    if part is None:
        assert answer.headers["content-range"] == f"bytes */{len(content)}"
        return
    assert answer.content == content[part]
    if status == 206:
        first, last, _ = part.indices(len(content))
        assert answer.headers["content-range"] == f"bytes {first}-{last - 1}/{len(content)}"


def test_the_recording_of_a_call_that_goes_on_can_be_heard(
    store: Store, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon.serving.store.recordings._HEADER", 0.0)
    call = info()
    with store.serving() as observer:
        observer.opened(call)
        beats(observer, call.id, 40)
        assert store.flush()
        assert store.recorder is not None
        until = 200
        while store.recorder.waiting and until:
            until -= 1
            time.sleep(0.02)
        time.sleep(0.5)
        head = client.head(f"{CALLS}/{call.id}/audio")
        sound = client.get(f"{CALLS}/{call.id}/audio").content
        again = client.get(
            f"{CALLS}/{call.id}/audio", headers={"If-None-Match": head.headers["etag"]}
        )
        observer.closed(call.id, "client")
    samples, _ = sf.read(io.BytesIO(sound))
    assert len(samples) > 30 * 1280
    assert int(head.headers["content-length"]) == len(sound)
    assert again.status_code in (200, 304)


def test_a_key_sees_its_own_calls_alone(
    small: Store, tmp_path: Path, opened: Callable[..., Store]
) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    secret_a, key_a = keys.add("a")
    secret_b, key_b = keys.add("b")
    with small.serving() as observer:
        call_a = whole_call(observer, info(key=key_a.id, metadata={"caller": "ann"}))
        call_b = whole_call(observer, info(key=key_b.id, metadata={"caller": "ann"}))
    app = application(small, keys.path)
    with (
        running(app) as host,
        httpx.Client(base_url=f"http://{host}", timeout=20) as client,
    ):
        as_a = {"Authorization": f"Bearer {secret_a}"}
        assert client.get(CALLS).status_code == 401
        assert client.get(CALLS, headers={"Authorization": "Bearer no"}).status_code == 401
        assert [c["id"] for c in client.get(CALLS, headers=as_a).json()["data"]] == [call_a]
        theirs = client.get(CALLS, params={"key": key_b.id}, headers=as_a).json()
        assert theirs["data"] == []
        for method, path in (
            ("GET", ""),
            ("GET", "/audio"),
            ("HEAD", "/audio"),
            ("DELETE", ""),
            ("DELETE", "/audio"),
        ):
            answer = client.request(method, f"{CALLS}/{call_b}{path}", headers=as_a)
            assert answer.status_code == 404
        gone = client.post(f"{CALLS}/erasures", json={"caller": "ann"}, headers=as_a).json()
        assert gone["ids"] == [call_a]
        as_b = {"Authorization": f"Bearer {secret_b}"}
        assert client.get(f"{CALLS}/{call_b}", headers=as_b).status_code == 200
        house = app.state.house
        caller = house.gatekeeper.caller(secret_b)
        ephemeral, _ = house.gatekeeper.secret(caller, {}, 60)
        answer = client.get(CALLS, headers={"Authorization": f"Bearer {ephemeral}"})
        assert answer.status_code == 403
        assert "opens calls and reads none" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"since": "yesterday"}, "since"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "since"),
        ({"until": "9999-12-31T23:59:59-14:00"}, "until"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "\x00"}, "cursor"),
        ({"q": "x" * 201}, "q"),
    ],
)
def test_a_wrong_filter_is_told_with_its_name(
    store: Store, query: dict[str, str], param: str
) -> None:
    from fastapi.testclient import TestClient

    with TestClient(application(store)) as client:
        answer = client.get(CALLS, params=query)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize("path", ODD)
def test_odd_ids_are_not_found(store: Store, path: str) -> None:
    from fastapi.testclient import TestClient

    with TestClient(application(store)) as client:
        for method in ("GET", "DELETE"):
            answer = client.request(method, f"{CALLS}/{path}")
            assert answer.status_code == 404, (method, path)
        for query in ({"q": "\x00"}, {"q": "%_\\"}, {"bundle": "\x00"}, {"key": "é\ufffd"}):
            assert client.get(CALLS, params=query).json()["data"] == []


def test_a_database_that_is_away_is_a_503(small: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlalchemy as sa
    from fastapi.testclient import TestClient

    def fails():
        raise sa.exc.OperationalError("SELECT", {}, OSError("the server has gone away"))

    monkeypatch.setattr(small.database, "read", fails)
    with TestClient(application(small)) as client:
        for path in ("", "/call_x", "/call_x/audio"):
            answer = client.get(f"{CALLS}{path}")
            assert answer.status_code == 503
            assert "gone away" in answer.json()["error"]["message"]
