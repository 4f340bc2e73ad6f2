from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from antiphon.errors import AntiphonError
from antiphon.serving.auth import Denied, Gatekeeper, KeyFile, shown_key


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


def test_a_key_is_shown_once_and_kept_as_a_hash(file: KeyFile) -> None:
    secret, entry = file.add("shop", sessions=2)
    assert secret.startswith("ak_")
    assert secret not in file.path.read_text()
    assert entry.id in file.path.read_text()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    caller = Gatekeeper(file).caller(secret)
    assert (caller.key, caller.sessions, caller.minutes) == (entry.id, 2, None)


@pytest.mark.parametrize("shown", [None, "", "ak_wrong", "ek_wrong", "ä\ud800"])
def test_others_are_denied(file: KeyFile, shown: str | None) -> None:
    file.add("shop")
    with pytest.raises(Denied) as caught:
        Gatekeeper(file).caller(shown)
    assert caught.value.status == 401


def test_keys_that_are_added_and_removed_count_at_once(file: KeyFile) -> None:
    first, _ = file.add("shop")
    gate = Gatekeeper(file)
    second, _ = file.add("trial")
    assert gate.caller(second).key
    file.remove("shop")
    with pytest.raises(Denied):
        gate.caller(first)
    assert gate.caller(second).key


def test_names_are_checked_and_used_once(file: KeyFile) -> None:
    file.add("shop")
    with pytest.raises(AntiphonError, match="there is a key named"):
        file.add("shop")
    with pytest.raises(AntiphonError, match="cannot name a key"):
        file.add("a b")
    with pytest.raises(AntiphonError, match="no key named"):
        file.remove("nobody")


@pytest.mark.parametrize("text", ["{", '{"keys": 3}', '{"keys": [{"id": "x"}]}', "\x00"])
def test_a_damaged_file_is_one_sentence(file: KeyFile, text: str) -> None:
    file.path.write_text(text)
    with pytest.raises(AntiphonError, match=r"keys\.json"):
        file.read()


def test_a_server_without_any_key_does_not_start(file: KeyFile) -> None:
    with pytest.raises(AntiphonError, match="no keys"):
        Gatekeeper(file)


def test_without_a_file_everybody_is_let_in() -> None:
    assert Gatekeeper().caller(None).key == ""
    assert not Gatekeeper().asks


def test_an_ephemeral_secret_is_bound_to_its_session_and_dies(file: KeyFile) -> None:
    now = [1000.0]
    secret, entry = file.add("shop", minutes=5)
    gate = Gatekeeper(file, clock=lambda: now[0])
    value, expires = gate.secret(gate.caller(secret), {"instructions": "hi"}, 60)
    assert value.startswith("ek_")
    assert expires == 1060
    caller = gate.caller(value)
    assert caller.key == entry.id
    assert caller.minutes == 5
    assert caller.session == {"instructions": "hi"}
    assert caller.ephemeral
    with pytest.raises(Denied, match="cannot make another"):
        gate.secret(caller, {}, 60)
    now[0] = 1060.0
    with pytest.raises(Denied, match="expired"):
        gate.caller(value)


def test_a_secret_dies_with_the_key_that_made_it(file: KeyFile) -> None:
    secret, _ = file.add("shop")
    file.add("other")
    gate = Gatekeeper(file)
    value, _ = gate.secret(gate.caller(secret), {}, 60)
    file.remove("shop")
    with pytest.raises(Denied, match="removed"):
        gate.caller(value)


def test_secrets_are_kept_as_hashes_and_bounded(
    file: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon.serving.auth.MOST_SECRETS", 3)
    secret, _ = file.add("shop")
    gate = Gatekeeper(file)
    values = [gate.secret(gate.caller(secret), {}, 60)[0] for _ in range(5)]
    assert not any(value in str(gate.__dict__) for value in values)
    assert gate.caller(values[-1]).ephemeral
    with pytest.raises(Denied):
        gate.caller(values[0])


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        (None, "a:1", True),
        ("http://a:1", "a:1", True),
        ("https://A:1/", "a:1", True),
        ("http://b", "a:1", False),
        ("null", "a:1", False),
        ("http://[", "a:1", False),
        ("https://shop.example", "a:1", True),
        ("https://shop.example.evil", "a:1", False),
    ],
)
def test_pages_come_from_here_or_from_where_was_allowed(
    origin: str | None, host: str, allowed: bool
) -> None:
    gate = Gatekeeper(origins=["https://shop.example/"])
    if allowed:
        gate.check_origin(origin, host)
    else:
        with pytest.raises(Denied) as caught:
            gate.check_origin(origin, host)
        assert caught.value.status == 403


def test_a_star_lets_every_page_in() -> None:
    Gatekeeper(origins=["*"]).check_origin("http://anywhere", "a")


@pytest.mark.parametrize(
    ("headers", "protocols", "key"),
    [
        ({"authorization": "Bearer k"}, [], "k"),
        ({"authorization": "bearer  k "}, [], "k"),
        ({"authorization": "Basic k"}, [], None),
        ({"authorization": "Bearer "}, [], None),
        ({"api-key": "k"}, [], "k"),
        ({}, ["realtime", "openai-insecure-api-key.k"], "k"),
        ({}, ["realtime"], None),
    ],
)
def test_keys_are_shown_in_three_ways(
    headers: dict[str, str], protocols: list[str], key: str | None
) -> None:
    assert shown_key(headers, protocols) == key


def test_the_file_is_json_that_people_can_read(file: KeyFile) -> None:
    file.add("shop")
    (entry,) = json.loads(file.path.read_text())["keys"]
    assert entry["name"] == "shop"
