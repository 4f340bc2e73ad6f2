from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner
from websockets.sync.client import connect

from antiphon.cli.main import app
from antiphon.errors import AntiphonError

cli = CliRunner()


def test_keys_are_made_listed_and_removed(tmp_path: Path) -> None:
    at = ["--key-file", str(tmp_path / "keys.json")]
    made = cli.invoke(app, ["serve", "keys", "add", "shop", "--sessions", "2", *at])
    assert made.exit_code == 0
    assert made.stdout.startswith("ak_")
    cli.invoke(app, ["serve", "keys", "add", "trial", "--minutes", "30", *at])
    listed = cli.invoke(app, ["serve", "keys", "list", *at]).stdout
    assert "shop  " in listed
    assert "2 calls at once" in listed
    assert "30 minutes a day" in listed
    assert made.stdout.strip() not in listed
    shown = json.loads(cli.invoke(app, ["serve", "keys", "list", "--json", *at]).stdout)
    assert [entry["name"] for entry in shown] == ["shop", "trial"]
    assert "sha256" not in shown[0]
    assert cli.invoke(app, ["serve", "keys", "remove", "shop", *at]).exit_code == 0
    assert "shop" not in cli.invoke(app, ["serve", "keys", "list", *at]).stdout


def test_a_key_that_is_not_there_cannot_be_removed(tmp_path: Path) -> None:
    options = ["serve", "keys", "remove", "shop", "--key-file", str(tmp_path / "k.json")]
    result = cli.invoke(app, options)
    assert isinstance(result.exception, AntiphonError)


def test_the_help_shows_how_it_is_used() -> None:
    text = cli.invoke(app, ["serve", "--help"]).stdout
    assert "antiphon serve keys add shop" in text
    assert "--key-file" in text
    assert "serve run" not in text
    assert "Serve an agent" in cli.invoke(app, ["--help"]).stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--port", "99999"], "--port"),
        (["--slots", "0"], "--slots"),
        (["--host", "0.0.0.0", "--slots", "1"], "--key-file"),
        (["--key-file", "/nowhere/k.json", "--slots", "1"], "no keys"),
        (["/nowhere"], "nowhere"),
    ],
)
def test_bad_options_are_one_sentence(options: list[str], says: str) -> None:
    result = cli.invoke(app, ["serve", *options])
    assert isinstance(result.exception, AntiphonError)
    assert says in str(result.exception)


def test_the_engine_can_be_a_process_of_its_own(tiny_bundle: Path) -> None:
    options = ["--apart", "--slots", "2", "--threads", "1", "--port", "0", "--no-keep"]
    server = subprocess.Popen(
        [sys.executable, "-m", "antiphon", "serve", str(tiny_bundle), *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    assert server.stdout.readline() == "Carries 2 calls at once on 1 thread(s), as given.\n"
    found = re.search(r"at http://(\S+)", server.stdout.readline())
    assert found is not None
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    (engine,) = map(int, children)
    with connect(f"ws://{found[1]}/v1/realtime?model=tiny") as socket:
        assert json.loads(socket.recv(timeout=20))["type"] == "session.created"
    os.kill(server.pid, signal.SIGTERM)
    assert server.wait(timeout=30) == 0
    server.stdout.close()
    end = time.monotonic() + 10
    while Path(f"/proc/{engine}").exists():
        assert time.monotonic() < end, "the engine is still there"
        time.sleep(0.05)
