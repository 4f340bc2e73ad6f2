from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.evaluation.report.made import report
from tests.evaluation.suites.made import stimulus_set

from antiphon.cli.eval_run import folder_name
from antiphon.evaluation.report import write

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stimulus_set(tmp_path_factory.mktemp("set") / "stimuli")


def test_a_system_is_judged_without_naming_a_command(
    run: Run, stimuli: Path, tmp_path: Path
) -> None:
    words = ("--stimuli", stimuli, "--scenario", stimuli / "tiny.yaml", "--workers", "1")
    status, out, _ = run(
        "eval", "silent", "--suite", "task,risk", *words, "--out", tmp_path / "report"
    )
    assert status == 0
    assert "task: pass 1" in out
    assert "index.html" in out
    assert (tmp_path / "report" / "index.html").is_file()


def test_several_systems_are_compared_and_one_that_fails_keeps_nobody_from_it(
    run: Run, stimuli: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    words = ("--stimuli", stimuli, "--scenario", stimuli / "tiny.yaml", "--workers", "1")
    status, out, err = run(
        "eval", "run", tiny_bundle, "silent", "ws://127.0.0.1:9/x", "--suite", "task", *words,
        "--out", tmp_path,
    )  # fmt: skip
    assert status == 2
    assert "compare.html" in out
    assert "could not be judged: ws://127.0.0.1:9/x" in err
    assert "was left out" in err
    made = json.loads((tmp_path / "compare.json").read_text())
    assert [column["run"]["spec"] for column in made["columns"]] == [str(tiny_bundle), "silent"]
    status, out, _ = run(
        "compare", tmp_path / folder_name(str(tiny_bundle)), tmp_path / "silent", "--readme-table"
    )
    assert status == 0
    assert "| task done (pass^1) | 1.00" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("eval", "no-such", "--out", "x"), "A system is a bundle, silent"),
        (("eval", "silent", "--suite", "speed", "--out", "x"), 'no suite "speed"'),
        (("eval", "http://x", "--out", "x"), "ws://"),
        (("compare", "x", "y"), "is no report"),
        (("eval", "human", "x", "y", "--out", "z"), "is no report"),
        (("eval", "human-score", "x", "y"), "cannot be read"),
    ],
)
def test_bad_input_is_one_sentence(
    run: Run, words: tuple[str, ...], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, err = run(*words)
    assert status == 2
    assert sentence in err
    assert err.count("\n") == 1


def test_a_listening_page_is_made_and_scored(run: Run, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(report(tmp_path / name, count=3, system=name), tmp_path / name)
    listen = tmp_path / "listen"
    status, out, _ = run(
        "eval", "human", tmp_path / "one", tmp_path / "two", "--out", listen, "--repeats", "0"
    )
    assert status == 0
    assert "3 pairs" in out
    key = json.loads((listen / "key.json").read_text())
    answers = [{"pair": pair["token"], "question": 0, "choice": "a"} for pair in key["pairs"]]
    results = {
        "format": "antiphon-listening-1", "page": key["page"], "listener": "a", "answers": answers,
    }  # fmt: skip
    (tmp_path / "results.json").write_text(json.dumps(results))
    status, out, _ = run("eval", "human-score", listen, tmp_path / "results.json")
    assert status == 0
    assert "preference for one" in out
    status, out, _ = run("eval", "human-score", listen, tmp_path / "results.json", "--json")
    assert json.loads(out)["listeners"] == 1


@pytest.mark.parametrize(
    "words", [("run",), ("human",), ("human-score",), ("commands",), ("speech",)]
)
def test_every_command_has_help_with_an_example(run: Run, words: tuple[str, ...]) -> None:
    status, out, _ = run("eval", *words, "--help")
    assert status == 0
    assert f"antiphon eval {'cafe' if words == ('run',) else words[0]}" in out


def test_a_systems_folder_is_a_plain_name() -> None:
    assert folder_name("ws://host:8000/v1?model=x") == "ws-host-8000-v1-model-x"
    assert folder_name("../..") == "system"
    assert folder_name("cafe") == "cafe"
