from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.errors import AntiphonError
from antiphon.serving.admission import Capacity
from antiphon.serving.app import create_app
from antiphon.serving.auth import KeyFile
from antiphon.serving.config import ServerConfig, is_loopback
from tests.serving.served import agent_of

ONE = Capacity(slots=1, threads=1, group=1)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", ""])
def test_others_can_only_be_served_with_keys(tiny_bundle: Path, host: str, tmp_path: Path) -> None:
    agent = agent_of(tiny_bundle)
    with pytest.raises(AntiphonError, match="--key-file"):
        create_app(ServerConfig(host=host), agent=agent, capacity=ONE)
    keys = KeyFile(tmp_path / "keys.json")
    keys.add("shop")
    create_app(ServerConfig(host=host, key_file=keys.path), agent=agent, capacity=ONE)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("a.example", False),
    ],
)
def test_what_is_this_machine_alone(host: str, own: bool) -> None:
    assert is_loopback(host) == own


def test_an_empty_key_file_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    config = ServerConfig(key_file=tmp_path / "none.json")
    with pytest.raises(AntiphonError, match="antiphon serve keys add"):
        create_app(config, agent=agent_of(tiny_bundle), capacity=ONE)


def test_the_capacity_is_told(tiny_bundle: Path) -> None:
    told: list[Capacity] = []
    create_app(ServerConfig(slots=3), agent=agent_of(tiny_bundle), found=told.append)
    assert told[0].slots == 3


def test_a_bundle_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(AntiphonError):
        create_app(ServerConfig(bundle="/nowhere"))
