"""`antiphon store`, on a store that a server filled."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.serving.store.acting import info, whole_call
from typer.testing import CliRunner, Result

from antiphon.cli.store import app
from antiphon.errors import AntiphonError
from antiphon.serving.store import Store, StoreConfig


@pytest.fixture
def filled(tmp_path: Path) -> tuple[Path, list[str]]:
    """A store's folder and the ids of its two calls."""
    folder = tmp_path / "store"
    with Store.open(StoreConfig(folder=folder)) as store, store.serving() as observer:
        ann = whole_call(observer, info(metadata={"caller": "ann"}))
        bob = whole_call(observer, info(metadata={"caller": "bob"}), words="two mochas")
    return folder, [ann, bob]


def run(folder: Path, *words: str, text: str | None = None) -> Result:
    return CliRunner().invoke(app, [*words, "--store", str(folder)], input=text)


def fails(folder: Path, *words: str) -> str:
    done = run(folder, *words)
    assert isinstance(done.exception, AntiphonError), done.output
    return str(done.exception)


def test_calls_are_listed_and_shown(filled: tuple[Path, list[str]]) -> None:
    folder, (ann, bob) = filled
    listed = run(folder, "list").output
    assert ann in listed
    assert "two mochas" in listed
    assert ann not in run(folder, "list", "--q", "MOCHA").output
    assert json.loads(run(folder, "list", "--json", "--limit", "1").output)["next_cursor"]
    assert run(folder, "list", "--since", "2999-01-01").output == "No calls.\n"
    shown = run(folder, "show", ann, "--events").output
    assert "caller  a latte please" in shown
    assert "agent   a latte coming up  (340 ms)" in shown
    assert 'call    place_order({"items"' in shown
    assert "event   caller_word" in shown
    assert f"{ann}.flac" in shown
    assert json.loads(run(folder, "show", bob, "--json").output)["call"]["id"] == bob


def test_calls_are_exported(filled: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, (ann, _) = filled
    done = run(folder, "export", "--out", str(tmp_path / "out"), "--caller", "ann")
    assert done.output == f"{tmp_path / 'out'}: 1 conversations\n"
    assert ann in (tmp_path / "out" / "index.jsonl").read_text()
    assert "is not empty" in fails(folder, "export", "--out", str(tmp_path / "out"))


def test_calls_are_erased_after_a_question(filled: tuple[Path, list[str]]) -> None:
    folder, (ann, bob) = filled
    assert run(folder, "erase", ann, text="n\n").exit_code == 1
    assert ann in run(folder, "list").output
    assert run(folder, "erase", ann, "--recordings", "--yes").output == "1 erased.\n"
    assert "Recording: erased" in run(folder, "show", ann).output
    assert "1 erased." in run(folder, "erase", "--caller", "ann", text="y\n").output
    assert "1 erased." in run(folder, "erase", bob, "--yes").output
    assert run(folder, "list").output == "No calls.\n"
    assert run(folder, "verify").exit_code == 0


def test_what_is_too_old_is_told_before_it_goes(filled: tuple[Path, list[str]]) -> None:
    folder, _ = filled
    old = ("--calls-days", "0.0000001")
    assert run(folder, "retain", *old, "--dry-run").output == (
        "2 calls and 0 recordings would be erased.\n"
    )
    assert run(folder, "retain", *old).output == "2 calls and 0 recordings erased.\n"
    assert "give --calls-days" in fails(folder, "retain")
    assert "more than 0 days" in fails(folder, "retain", "--calls-days", "0")


def test_verify_says_where_something_was_changed(filled: tuple[Path, list[str]]) -> None:
    folder, (ann, _) = filled
    done = run(folder, "verify")
    assert done.exit_code == 0
    head = done.output.splitlines()[-1].removeprefix("Head: ")
    assert run(folder, "verify", "--head", head).exit_code == 0
    recording = next(folder.rglob(f"{ann}.flac"))
    recording.write_bytes(recording.read_bytes() + b"x")
    done = run(folder, "verify")
    assert done.exit_code == 1
    assert f"call {ann}: its recording" in done.output
    assert run(folder, "verify", "--quick").exit_code == 0
    (folder / "audit.head").write_text(f"900:{'0' * 64}\n")
    done = run(folder, "verify", "--quick")
    assert "to 900: they are missing" in done.output
    assert run(folder, "verify", "--quick", "--accept").exit_code == 0
    assert run(folder, "verify", "--quick").exit_code == 0
    assert "no head" in fails(folder, "verify", "--head", "x")


def test_mistakes_are_one_sentence(filled: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, (ann, _) = filled
    assert "there is no call 'call_x'" in fails(folder, "show", "call_x")
    assert "holds no store" in fails(tmp_path / "nowhere", "list")
    assert not (tmp_path / "nowhere").exists()
    assert "one of the two" in fails(folder, "erase")
    assert "one of the two" in fails(folder, "erase", ann, "--caller", "ann")
    assert "not with --caller" in fails(folder, "erase", "--caller", "ann", "--recordings")
    assert "there is no call" in fails(folder, "erase", ann, "call_x", "--yes")
    assert ann in run(folder, "list").output  # all or none
    assert "cannot be kept in 'mysql'" in fails(folder, "list", "--url", "mysql://h/d")
    assert "cursor" in fails(folder, "list", "--cursor", "x")
    assert "its schema" not in run(folder, "list", "--since", "yesterday").output


def test_the_help_shows_how() -> None:
    for command in ("list", "show", "export", "erase", "retain", "verify"):
        done = CliRunner().invoke(app, [command, "--help"])
        assert "Example" in done.output
        assert f"antiphon store {command}" in done.output


def test_looking_at_the_help_loads_no_database() -> None:
    code = "import sys, antiphon.cli.store; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_the_extra_it_says_what_to_install() -> None:
    code = """
import sys
sys.modules["sqlalchemy"] = None
from antiphon.cli import store
from antiphon.errors import AntiphonError
for words in (["list"], ["verify"], ["erase", "call_x"], ["retain", "--calls-days", "9"]):
    try:
        store.app(words)
    except AntiphonError as error:
        assert "antiphon[serve]" in str(error), error
    else:
        raise SystemExit(words)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
