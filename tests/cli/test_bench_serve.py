from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.client.fake import Fake

from antiphon.audio.io import write
from antiphon.cli import main as command_line
from antiphon.client import load, speak
from antiphon.client.load import Bench

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs the command line: status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("ANTIPHON_REALTIME_KEY", raising=False)
    monkeypatch.setattr(speak, "SETTLE", 0.3)
    monkeypatch.setattr(load, "PAUSE", 0.05)
    commands = dict.fromkeys((*command_line.COMMANDS, "bench"))
    monkeypatch.setattr(command_line, "COMMANDS", tuple(commands))

    def call(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["antiphon", "bench", "serve", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


@pytest.fixture
def audio(tmp_path: Path, spoken: Callable[..., np.ndarray]) -> Path:
    folder = tmp_path / "orders"
    folder.mkdir()
    slots = {"coffeeDrink": "latte", "size": "large"}
    lines = [{"path": "a.wav", "slots": slots}, {"path": "b.flac", "slots": {"size": "small"}}]
    for line in lines:
        write(folder / line["path"], spoken(speech=0.3, before=0.0, after=0.2))
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "manifest.jsonl").write_text(text)
    return folder


def test_figures_of_a_server_as_json(run: Run, audio: Path, tiny_bundle: Path) -> None:
    with Fake() as server:
        words = ("--audio", audio, "--bundle", tiny_bundle, "-n", "2", "--seconds", "2", "--json")
        status, out, err = run(server.url, *words, "--alone")
    assert (status, err) == (0, "")
    made = Bench.model_validate_json(out)
    assert made.recordings == 2
    assert made.server == server.url
    assert made.buffer_ms == 60
    assert made.alone is not None
    assert made.alone.sessions == 1
    assert made.together.sessions == made.together.at_once == 2
    # The one order is what the manifest wants, the other is not.
    assert 0 < made.together.right < made.together.judged
    assert made.together.judged == made.together.calls


def test_figures_of_a_server_as_a_table(run: Run, audio: Path, tiny_bundle: Path) -> None:
    with Fake(pause=(1, 0.5)) as server:
        words = ("--audio", audio, "--bundle", tiny_bundle, "-n", "1", "--seconds", "1")
        status, out, _ = run(server.url, *words, "--alone")
    assert status == 0
    for said in ("alone", "1 at once", "ratio", "first audio after the last word, P95", "gaps in"):
        assert said in out
    for said in ("answered right", "longest gap", "refused", "generator: sound sent late, P99"):
        assert said in out


def test_recordings_without_a_manifest_are_spoken_and_not_judged(run: Run, audio: Path) -> None:
    (audio / "manifest.jsonl").unlink()
    with Fake() as server:
        status, out, _ = run(server.url, "--audio", audio, "-n", "1", "--seconds", "1", "--json")
    assert status == 0
    made = Bench.model_validate_json(out)
    assert made.recordings == 2
    assert made.together.calls > made.together.judged == 0
    assert made.same is None


def test_calls_that_failed_are_told_with_their_reason(run: Run, audio: Path, tiny_bundle) -> None:
    with Fake(fault="later 1011") as server:
        words = ("--audio", audio, "--bundle", tiny_bundle, "-n", "1", "--seconds", "1")
        status, out, _ = run(server.url, *words)
    assert status == 0
    assert "failed: ws://127.0.0.1" in out
    assert "the engine failed" in out


def test_what_cannot_be_measured_is_one_sentence(run: Run, audio: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for words, said in (
        (("ws://127.0.0.1:9", "--audio", audio), "nobody answers"),
        (("ws://127.0.0.1:9", "--audio", empty), "holds no recordings"),
        (("ws://127.0.0.1:9", "--audio", tmp_path / "none"), "no folder"),
        (("what", "--audio", audio), "is like ws://"),
    ):
        status, out, err = run(*words)
        assert (status, out) == (2, "")
        assert said in err
        assert err.count("\n") == 1


def test_help_has_examples(run: Run) -> None:
    status, out, _ = run("--help")
    assert status == 0
    assert "antiphon bench serve ws://" in out
