"""`talk --url` and `live --url`: an agent behind a server does what one in process does."""

from __future__ import annotations

import json
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.client.fake import Fake
from tests.client.real import running
from tests.conftest import CALLER

from antiphon.audio.io import read, write
from antiphon.cli.main import main
from antiphon.cli.remote import Remote
from antiphon.client import speak
from antiphon.runtime.events import AgentWordEvent, CallerWordEvent
from antiphon.serving.app import create_app
from antiphon.serving.config import ServerConfig

Run = Callable[..., tuple[int, str, str]]
KEY = "ak_secret"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs the command line in an empty folder: status, stdout, stderr."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.delenv("ANTIPHON_REALTIME_KEY", raising=False)
    monkeypatch.setattr(speak, "SETTLE", 0.4)

    def call(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["antiphon", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


@pytest.fixture
def order(tmp_path: Path, spoken: Callable[..., np.ndarray]) -> Path:
    path = tmp_path / "order.wav"
    write(path, spoken())
    return path


def test_talk_to_our_server_says_what_talk_in_process_says(
    run: Run, tiny_bundle: Path, order: Path
) -> None:
    words = ("talk", order, "--bundle", tiny_bundle, "--json")
    status, out, _ = run(*words)
    local = json.loads(out)
    config = ServerConfig(bundle=str(tiny_bundle), slots=1, group=1, threads=1)
    with running(create_app(config)) as host:
        status, out, err = run(*words, "--url", f"ws://{host}", "--patience", "30", "--out", "far")
    assert (status, err) == (0, "")
    remote = json.loads(out)
    for same in ("caller_text", "agent_text", "calls", "order"):
        assert remote[same] == local[same]
    assert remote["caller_text"] == CALLER
    assert set(remote["latency_ms"]) >= {"first_audible", "setup", "gaps", "gap_total"}
    assert remote["latency_ms"]["first_audible"] > 0
    assert soundfile.info(remote["audio"]).samplerate == 16_000
    assert np.abs(read(remote["audio"])).max() > 0.1
    call = read("far/call.wav", mono=False)
    assert np.allclose(call[1, 6400:7000], read(order)[6400:7000], atol=1e-3)


def test_talk_to_any_server_prints_and_writes_the_same_things(
    run: Run, tiny_bundle: Path, order: Path
) -> None:
    with Fake() as server:
        status, out, err = run("talk", order, "--bundle", tiny_bundle, "--url", server.url)
        assert (status, err) == (0, "")
    for said in (
        "a large latte",
        '"items"',
        "place_order",
        "session was ready",
        "gaps in the voice",
    ):
        assert said in out
    assert "real-time factor" not in out
    for written in ("reply.wav", "call.wav", "call.png"):
        assert Path(written).is_file()


def test_a_general_model_is_told_what_the_scenario_is(
    run: Run, tiny_bundle: Path, order: Path
) -> None:
    with Fake(tools=[]) as server:
        status, _, _ = run("talk", order, "--bundle", tiny_bundle, "--url", server.url, "--json")
        assert status == 0
    told = server.of("session.update")[-1]["session"]
    assert "place_order" in {tool["name"] for tool in told["tools"]}
    assert told["instructions"]
    with Fake() as server:
        run("talk", order, "--bundle", tiny_bundle, "--url", server.url, "--json")
    assert len(server.of("session.update")) == 1


def test_the_key_and_the_model_reach_the_server(
    run: Run, tiny_bundle: Path, order: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTIPHON_REALTIME_KEY", KEY)
    with Fake() as server:
        words = ("--bundle", tiny_bundle, "--url", server.url, "--model", "m", "--json")
        assert run("talk", order, *words)[0] == 0
    assert server.keys == [f"Bearer {KEY}"]
    assert server.paths == ["/v1/realtime?model=m"]


def test_words_stand_where_they_were_spoken(tiny_bundle: Path, order: Path) -> None:
    with Fake() as server:
        answer = Remote(server.url, bundle=str(tiny_bundle)).answer(order)
    heard = [e for e in answer.events if isinstance(e, CallerWordEvent)]
    assert [word.text for word in heard] == ["a", "large", "latte"]
    # The buzz is at 0.4 to 1.4 s.
    assert heard[-1].end == pytest.approx(1.4, abs=0.1)
    assert 0.4 < heard[0].end < heard[1].end < heard[2].end
    said = [e for e in answer.events if isinstance(e, AgentWordEvent)]
    assert [word.text for word in said] == ["a", "latte"]
    first = float(np.flatnonzero(np.abs(answer.audio) > 0.01)[0]) / 16_000
    assert said[0].start == pytest.approx(first, abs=0.05)
    assert len(answer.audio) == len(answer.caller)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--url", "ws://127.0.0.1:9"), "nobody answers at ws://127.0.0.1:9"),
        (("--url", "what"), "is like ws://"),
        (("--url", "ws://127.0.0.1:9", "--seed", "3"), "leave out --seed"),
    ],
)
def test_what_cannot_be_called_is_one_sentence(run: Run, order: Path, words, said) -> None:
    status, out, err = run("talk", order, *words)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


# -- live ---------------------------------------------------------------------------------------


class _Card(types.ModuleType):
    """A sound card: its microphone hears `sound`, and what it plays is kept."""

    class PortAudioError(Exception):
        pass

    def __init__(self, sound: np.ndarray) -> None:
        super().__init__("sounddevice")
        self.sound = sound
        self.played: list[np.ndarray] = []

    def Stream(self, *, callback: Callable[..., Any], blocksize: int, **_: Any) -> Any:
        import threading
        import time

        def run() -> None:
            for at in range(0, len(self.sound) - blocksize, blocksize):
                out = np.zeros((blocksize, 1), np.float32)
                callback(self.sound[at : at + blocksize, None], out)
                self.played.append(out[:, 0].copy())
                time.sleep(blocksize / 16_000)

        threading.Thread(target=run, daemon=True).start()
        return open(os.devnull)  # noqa: PTH123 - any context manager


def test_live_talks_to_a_server(
    run: Run, spoken: Callable[..., np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without quiet before it: what is said last is heard last.
    card = _Card(spoken(speech=0.5, after=4.0))
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    with Fake(paced=False, reply=0.6) as server:
        status, out, err = run("live", "--url", server.url, "--seconds", "3")
        assert (status, err) == (0, "")
        assert f"Calling {server.url}" in out
    for said in ("you    a", "latte", "place_order"):
        assert said in out
    played = np.concatenate(card.played)
    # All at once it came, and at the pace of speech it was given out.
    assert np.count_nonzero(np.abs(played) > 0.01) > 0.4 * 16_000


def test_live_without_a_server_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", _Card(np.zeros(16_000, np.float32)))
    status, _, err = run("live", "--url", "ws://127.0.0.1:9")
    assert status == 2
    assert "nobody answers" in err
    with Fake(fault="later 1011") as server:
        status, _, err = run("live", "--url", server.url, "--seconds", "5")
    assert status == 2
    assert "the engine failed" in err


def test_an_agent_that_is_cut_off_is_not_played_on() -> None:
    from antiphon.cli.remote_session import RemoteSession
    from antiphon.client import Client
    from antiphon.client.events import Audio, Turn

    session = RemoteSession(Client("ws://127.0.0.1:9"))
    sound = np.ones(16_000, np.float32)
    list(session._told(Audio(time=0.0, samples=sound, item="a")))
    first = list(session._due(1280))
    assert sum(len(event.samples) for event in first) == 1280  # type: ignore[union-attr]
    turn = Turn(time=0.1, speaker="caller", state="started", item="c")
    list(session._told(turn))
    assert list(session._due(1280)) == []
