from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from antiphon.audio.io import read, write
from antiphon.cli.main import main
from antiphon.runtime.soundcard import converse

Caller = Callable[..., np.ndarray]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs the command line in an empty folder: status, stdout, stderr."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("COLUMNS", "140")

    def call(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["antiphon", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


@pytest.fixture
def order(tmp_path: Path, spoken: Caller) -> Path:
    path = tmp_path / "order.wav"
    write(path, spoken())
    return path


def test_help_names_every_command_and_loads_nothing_heavy(tiny_bundle: Path) -> None:
    code = (
        "import sys; sys.argv = ['antiphon', '--help']\n"
        "from antiphon.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'onnxruntime', 'matplotlib') if m in sys.modules])\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in ("talk", "live", "say", "transcribe", "info", "eval"):
        assert f"\n  {command}" in out.stdout
    assert out.stdout.strip().endswith("[]")


@pytest.mark.parametrize("command", ["talk", "live", "say", "transcribe", "info", "eval"])
def test_every_command_has_examples(run: Run, command: str) -> None:
    status, out, _ = run(command, "--help")
    assert status == 0
    assert f"antiphon {command}" in out


def test_talk_prints_and_writes(run: Run, tiny_bundle: Path, order: Path) -> None:
    status, out, _ = run("talk", order, "--bundle", tiny_bundle, "--out", "new/heard")
    assert status == 0
    assert "a large latte please" in out
    assert "a large latte coming up" in out
    assert '"items"' in out
    assert "real-time factor" in out
    assert soundfile.info("new/heard/reply.wav").channels == 1
    call = read("new/heard/call.wav", mono=False)
    assert call.shape[0] == 2
    assert np.allclose(call[1, 6400:7000], read(order)[6400:7000], atol=1e-3)


def test_talk_as_json_has_the_promised_keys(run: Run, tiny_bundle: Path, order: Path) -> None:
    status, out, _ = run("talk", order, "--bundle", tiny_bundle, "--json")
    made = json.loads(out)
    assert status == 0
    assert {"caller_text", "agent_text", "calls", "latency_ms", "audio"} <= set(made)
    assert Path(made["audio"]).is_file()


def test_talk_with_several_files_of_one_name(run: Run, tiny_bundle: Path, order: Path) -> None:
    status, out, _ = run("talk", order, order, "--bundle", tiny_bundle, "--json")
    assert status == 0
    paths = [made["audio"] for made in json.loads(out)]
    assert len(set(paths)) == 2
    assert all(Path(path).is_file() for path in paths)


def test_say_transcribe_and_info(run: Run, tiny_bundle: Path, order: Path) -> None:
    status, out, _ = run("say", "hello there", "--bundle", tiny_bundle)
    assert status == 0
    assert "wrote say.wav" in out
    assert len(read("say.wav")) > 1600
    status, out, _ = run("transcribe", order, "--bundle", tiny_bundle)
    assert (status, out) == (0, "a large latte please\n")
    status, out, _ = run("transcribe", order, "--bundle", tiny_bundle, "--json")
    assert json.loads(out)["words"][0]["text"] == "a"
    status, out, _ = run("info", tiny_bundle)
    assert status == 0
    assert "step.onnx" in out
    assert "A scripted agent" in out
    status, out, _ = run("info", tiny_bundle, "--json")
    assert json.loads(out)["n_codes"] == 3


def test_eval_commands(run: Run, tiny_bundle: Path, order: Path) -> None:
    slots = {"coffeeDrink": "latte", "size": "large"}
    manifest = order.parent / "manifest.jsonl"
    manifest.write_text(json.dumps({"path": order.name, "slots": slots}) + "\n")
    words = ["eval", "commands", "--data", manifest, "--bundle", tiny_bundle, "--workers", "1"]
    status, out, _ = run(*words, "--other", order.parent)
    assert status == 0
    assert "command acceptance" in out
    assert "false orders" in out
    status, out, _ = run(*words, "--json", "--details", "clips.jsonl")
    made = json.loads(out)
    assert made["acceptance"]["share"] == 1
    assert json.loads(Path("clips.jsonl").read_text())["heard"] == slots
    status, _, err = run(*words, "--snr", "12")
    assert status == 2
    assert "belong together" in err


def _bad_files(folder: Path) -> dict[str, Path]:
    rng = np.random.default_rng(0)
    made = {"missing": folder / "missing.wav", "folder": folder}
    for name, content in {
        "empty": b"",
        "text": b"no audio in here\n" * 100,
        "noise": rng.bytes(5000),
    }.items():
        made[name] = folder / f"{name}.wav"
        made[name].write_bytes(content)
    write(folder / "good.wav", rng.normal(0, 0.1, 16_000))
    made["truncated"] = folder / "truncated.wav"
    made["truncated"].write_bytes((folder / "good.wav").read_bytes()[:9000])
    made["nan"] = folder / "nan.wav"
    soundfile.write(made["nan"], np.full(16_000, np.nan), 16_000, subtype="FLOAT")
    made["no samples"] = folder / "none.wav"
    soundfile.write(made["no samples"], np.zeros(0), 16_000)
    made["eight hours"] = folder / "long.wav"
    soundfile.write(made["eight hours"], np.zeros(8 * 3600 * 100, dtype=np.int16), 100)
    return made


def _one_sentence(status: int, err: str) -> None:
    assert status == 2
    assert err.startswith("antiphon: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["talk", "transcribe"])
def test_bad_recordings_are_one_sentence(
    run: Run, tiny_bundle: Path, tmp_path: Path, command: str
) -> None:
    for name, path in _bad_files(tmp_path).items():
        status, out, err = run(command, path, "--bundle", tiny_bundle)
        assert (name, out) == (name, "")
        _one_sentence(status, err)
    assert not list(Path().iterdir())


def test_odd_but_usable_recordings_are_answered(
    run: Run, tiny_bundle: Path, tmp_path: Path, spoken: Caller
) -> None:
    odd = {
        "one.wav": (np.zeros(1), 16_000),
        "silent.wav": (np.zeros(16_000), 16_000),
        "fast.wav": (np.repeat(spoken(), 12), 192_000),
        "six.wav": (np.repeat(spoken()[:, None], 6, axis=1), 16_000),
    }
    for name, (samples, rate) in odd.items():
        soundfile.write(tmp_path / name, samples, rate)
        status, out, err = run("talk", tmp_path / name, "--bundle", tiny_bundle, "--json")
        assert (name, status, err) == (name, 0, "")
        heard = "a large latte please" if name in ("fast.wav", "six.wav") else ""
        assert json.loads(out)["caller_text"] == heard


@pytest.mark.parametrize("words", [["info"], ["talk", "x.wav", "-b"], ["say", "hello", "-b"]])
def test_bad_bundles_are_one_sentence(run: Run, own_bundle: Path, words: Sequence[str]) -> None:
    (own_bundle / "step.onnx").write_bytes(b"cut")
    for bundle in (own_bundle, own_bundle / "nowhere", "nobody"):
        status, _, err = run(*words, bundle)
        _one_sentence(status, err)


def test_unsayable_text_is_one_sentence(run: Run, tiny_bundle: Path) -> None:
    status, _, err = run("say", "?!", "--bundle", tiny_bundle)
    _one_sentence(status, err)


def test_an_unwritable_target_is_one_sentence(run: Run, tiny_bundle: Path, order: Path) -> None:
    Path("taken").write_text("mine")
    status, _, err = run("talk", order, "--bundle", tiny_bundle, "--out", "taken")
    _one_sentence(status, err)
    assert Path("taken").read_text() == "mine"
    status, _, err = run("say", "hello", "--bundle", tiny_bundle, "--out", "no/such/folder.wav")
    _one_sentence(status, err)


class _Card(types.ModuleType):
    """A sound card that plays a recording into the microphone as fast as it is read."""

    class PortAudioError(Exception):
        pass

    def __init__(self, samples: np.ndarray | None) -> None:
        super().__init__("sounddevice")
        self.samples, self.played = samples, []
        self.Stream = self._open

    def _open(self, *, callback: Callable[..., None], blocksize: int, **_: Any) -> Any:
        if self.samples is None:
            raise self.PortAudioError("Error querying device -1")
        for start in range(0, len(self.samples) - blocksize, blocksize):
            out = np.zeros((blocksize, 1), dtype=np.float32)
            callback(self.samples[start : start + blocksize, None], out, blocksize, None, None)
            self.played.append(out)
        return open(os.devnull)  # noqa: PTH123 - any context manager


def test_live_without_a_device_is_one_sentence(
    run: Run, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", _Card(None))
    status, _, err = run("live", "--bundle", tiny_bundle)
    _one_sentence(status, err)
    assert "no sound device" in err
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    status, _, err = run("live", "--bundle", tiny_bundle)
    _one_sentence(status, err)
    assert "antiphon[live]" in err


def test_live_hears_and_tells(
    run: Run, tiny_bundle: Path, spoken: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = _Card(spoken(after=4.0))
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    status, out, _ = run("live", "--bundle", tiny_bundle, "--seconds", "4", "--seed", "1")
    assert status == 0
    assert "latte" in out
    assert "place_order" in out
    assert converse.__module__ == "antiphon.runtime.soundcard"
