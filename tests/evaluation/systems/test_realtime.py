"""Servers over WebSocket, judged by the echo of `echo_server.py` on loopback."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np
import pytest

from antiphon.corpus.scenario import load_scenario
from antiphon.errors import AntiphonError
from antiphon.evaluation import script, trial
from antiphon.evaluation.protocol import SECONDS, TICK
from antiphon.evaluation.script import Clip, ScriptedCaller, Step, Stimulus
from antiphon.evaluation.systems import open_system, realtime
from antiphon.evaluation.systems.realtime import RealtimeSystem, instructions
from antiphon.evaluation.systems.realtime_events import UNREADABLE
from antiphon.runtime.events import AgentWordEvent, CallerWordEvent
from antiphon.runtime.latency import replies
from tests.conftest import SCENARIO
from tests.evaluation.systems.echo_server import QUIET, EchoServer

CAFE = Path(__file__).parents[3] / "scenarios" / "cafe.yaml"
TURN = 0.4  # s of sound
QUIET_TICK = np.zeros(TICK, np.float32)


def chirp(seconds: float = TURN) -> np.ndarray:
    """A sound that fits itself in one place only."""
    time = np.arange(round(seconds * 16_000)) / 16_000
    return (0.3 * np.sin(2 * np.pi * (300 * time + 900 * time**2))).astype(np.float32)


def stimulus() -> Stimulus:
    clip = Clip(path="chirp", text="pretty polly", start=0.0, end=TURN)
    step = Step(clip=clip, when="start", after=0.1)
    return Stimulus(id="t/1", suite="task", kind="order", steps=(step,))


def hold(system: RealtimeSystem, monkeypatch: pytest.MonkeyPatch) -> trial.Trial:
    monkeypatch.setattr(script, "TAIL", 0.8)
    monkeypatch.setattr(script, "SETTLED", 0.4)
    return trial.hold(system, ScriptedCaller(stimulus(), lambda path: chirp()))


def place(sound: np.ndarray, line: np.ndarray) -> tuple[float, float]:
    """(seconds, correlation) of where `sound` fits best in `line`."""
    fit = np.correlate(line, sound, "valid")
    at = int(fit.argmax())
    there = line[at : at + len(sound)]
    return at / 16_000, float(fit[at] / np.linalg.norm(sound) / np.linalg.norm(there))


@pytest.fixture
def scenario(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(SCENARIO)
    return load_scenario(path)


# -- Realtime ------------------------------------------------------------------------------


def test_a_trial_with_a_server_of_others_is_measured_as_played(monkeypatch, scenario) -> None:
    with EchoServer(tool='{"times": 2}') as server:
        system = open_system(server.url, scenario)
        assert system.live
        assert system.name == f"127.0.0.1:{server.port}/v1/realtime?model=parrot"
        found = hold(system, monkeypatch)

    # The server hears the turn's end when its last tick is over, answers QUIET later, and what it
    # says waits for the next tick; two ways over loopback and a busy machine get 60 ms more.
    (start, _end), *more = replies(found.agent)
    assert not more
    gap = start - (0.1 + TURN)
    assert QUIET - 0.03 <= gap <= QUIET + 0.10
    at, likeness = place(chirp(), found.agent)
    assert likeness > 0.98
    assert at == pytest.approx(start, abs=0.03)

    (call,) = found.calls
    assert (call.name, call.arguments) == ("repeat", {"times": 2})
    assert call.time == pytest.approx(0.1 + TURN + QUIET, abs=0.1)
    (result,) = server.of("conversation.item.create")
    assert result["item"]["call_id"] == "call_1"
    assert result["item"]["type"] == "function_call_output"
    assert len(server.of("response.create")) == 1
    assert server.received.index(result) < server.received.index(server.of("response.create")[0])

    words = [event for event in found.told if isinstance(event, AgentWordEvent)]
    assert [word.text for word in words] == ["pretty", "polly!"]
    assert words[0].start == pytest.approx(start, abs=0.03)
    assert words[1].start > words[0].start + TURN - 0.05  # it came after all of the sound
    heard = [event for event in found.told if isinstance(event, CallerWordEvent)]
    assert [word.text for word in heard] == ["pretty", "polly."]
    assert heard[1].end == pytest.approx(0.1 + TURN, abs=0.03)
    assert heard[0].end == pytest.approx(0.1 + TURN / 2, abs=0.03)


def test_the_session_is_the_scenarios(scenario) -> None:
    with EchoServer() as server, RealtimeSystem(server.url, scenario).call(0):
        pass
    (update,) = server.of("session.update")
    session = update["session"]
    assert session["type"] == "realtime"
    assert [tool["name"] for tool in session["tools"]] == [tool.name for tool in scenario.tools]
    assert session["tools"][0]["parameters"] == scenario.tools[0].parameters
    assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}
    assert session["audio"]["output"]["format"] == {"type": "audio/pcm", "rate": 24_000}
    assert "turn_detection" not in session["audio"]["input"]  # the server's own


def test_a_tick_lasts_as_long_as_its_sound() -> None:
    with EchoServer() as server, RealtimeSystem(server.url).call(0) as line:
        began = time.perf_counter()
        for _ in range(25):
            line.push(QUIET_TICK)
        lasted = time.perf_counter() - began
    assert 0.49 < lasted < 0.9
    appends = server.of("input_audio_buffer.append")
    assert len(appends) == 25
    assert all(len(a["audio"]) == 480 * 2 * 4 // 3 for a in appends)


def test_a_machine_that_was_busy_moves_the_clock_and_sends_no_heap() -> None:
    with EchoServer() as server, RealtimeSystem(server.url).call(0) as line:
        line.push(QUIET_TICK)
        time.sleep(0.3)
        began = time.perf_counter()
        for _ in range(5):
            line.push(QUIET_TICK)
        assert time.perf_counter() - began > 0.09


def test_when_the_caller_begins_the_rest_is_dropped_and_the_item_cut_to_what_was_played() -> None:
    played, told = [], []
    with EchoServer(repeat=6) as server, RealtimeSystem(server.url).call(0) as line:
        turn = np.concatenate([chirp(0.3), np.zeros(9600, np.float32), chirp(0.2), np.zeros(8000)])
        for tick in turn[: len(turn) // TICK * TICK].reshape(-1, TICK).astype(np.float32):
            heard = line.push(tick)
            played.append(heard.agent)
            told += heard.told
            if server.of("conversation.item.truncate"):
                break
        rest = [line.push(QUIET_TICK).agent for _ in range(3)]
    (cut,) = server.of("conversation.item.truncate")
    assert cut["item_id"] == "agent_1"
    assert cut["content_index"] == 0
    sound = np.concatenate(played)
    # The voice falls silent at once, though a second more of it had been received.
    assert np.abs(np.concatenate([*played[-1:], *rest])).max() < 0.01
    (start, end), *_ = replies(sound, gap=0.2)
    assert cut["audio_end_ms"] / 1e3 == pytest.approx(end - start, abs=0.03)
    assert 0.2 < end - start < 0.6
    # The last word stood at the end of the sound that was dropped.
    assert [e.text for e in told if isinstance(e, AgentWordEvent)] == ["pretty"]


def test_a_call_without_an_object_of_arguments_is_told_as_it_is(monkeypatch) -> None:
    with EchoServer(tool="times: 2") as server:
        found = hold(RealtimeSystem(server.url), monkeypatch)
    (call,) = found.calls
    assert call.arguments == {UNREADABLE: "times: 2"}
    (result,) = server.of("conversation.item.create")
    assert "error" in result["item"]["output"]
    assert len(server.of("response.create")) == 1


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("garbage", "no JSON"),
        ("typeless", "without a type"),
        ("error", "the parrot is dead"),
        ("fails", "could not respond: insufficient_quota"),
        ("bad audio", "delta: .*not base64"),
        ("half a sample", "half a sample"),
        ("closes", r"closed the call after 0\.\d s .*1011.*out of seed"),
        ("hangs up", "closed the call after"),
    ],
)
def test_what_goes_wrong_in_a_call_is_one_sentence(fault: str, sentence: str) -> None:
    def talk() -> None:
        with EchoServer(fault=fault) as server, RealtimeSystem(server.url).call(0) as line:
            for _ in range(50):
                line.push(QUIET_TICK)

    began = time.perf_counter()
    with pytest.raises(AntiphonError, match=sentence) as error:
        talk()
    assert "127.0.0.1" in str(error.value)
    assert "\n" not in str(error.value)
    assert time.perf_counter() - began < 3


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("http 401", "refuses the key.*ANTIPHON_REALTIME_KEY"),
        ("http 404", "nothing at this path"),
        ("http 503", "no more calls"),
        ("http 500", "refuses the call"),
        ("dumb", "did not answer within"),
        ("idle", "did not set up a session"),
        ("refuses", "Incorrect API key"),
    ],
)
def test_a_call_that_cannot_begin_is_one_sentence(fault: str, sentence: str) -> None:
    def talk() -> None:
        with (
            EchoServer(fault=fault) as server,
            RealtimeSystem(server.url, patience=0.3).call(0) as line,
        ):
            line.push(QUIET_TICK)

    began = time.perf_counter()
    with pytest.raises(AntiphonError, match=sentence):
        talk()
    assert time.perf_counter() - began < 3


def test_a_server_that_takes_no_more_sound_does_not_hold_the_call(monkeypatch) -> None:
    monkeypatch.setattr(realtime, "SECONDS", 0.0)  # as fast as it can: sockets hold much

    def talk() -> None:
        with (
            EchoServer(fault="stalls") as server,
            RealtimeSystem(server.url, patience=0.3).call(0) as line,
        ):
            line._up = lambda samples: np.zeros(200_000, np.float32)
            for _ in range(100):
                line.push(QUIET_TICK)

    began = time.perf_counter()
    with pytest.raises(AntiphonError, match="takes no more sound"):
        talk()
    assert time.perf_counter() - began < 4


def test_no_server_is_one_sentence() -> None:
    with EchoServer() as server:
        url = server.url
    with (
        pytest.raises(AntiphonError, match="cannot be reached"),
        RealtimeSystem(url, patience=0.5).call(0),
    ):
        pass


@pytest.mark.parametrize("url", ["ws://", "http://host/v1/realtime", "ws://host:port/", "ws://[a"])
def test_an_address_that_is_none_is_one_sentence(url: str) -> None:
    with pytest.raises(AntiphonError, match=r"ws://host:port/path"):
        RealtimeSystem(url)


# -- the key -------------------------------------------------------------------------------


def test_the_key_is_sent_and_never_written(monkeypatch, caplog) -> None:
    monkeypatch.setenv("ANTIPHON_REALTIME_KEY", "sk-secret-1")
    caplog.set_level(logging.DEBUG)
    with (
        EchoServer(fault="refuses", key="sk-secret-1") as server,
        pytest.raises(AntiphonError, match="Incorrect API key") as error,
        RealtimeSystem(server.url).call(0),
    ):
        pass
    assert "Bearer sk-secret-1" in server.headers
    assert "sk-secret-1" not in str(error.value) + caplog.text


def test_openais_key_is_shown_to_openai_alone(monkeypatch) -> None:
    monkeypatch.delenv("ANTIPHON_REALTIME_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-2")
    with EchoServer() as server, RealtimeSystem(server.url).call(0):
        pass
    assert "secret" not in server.headers
    assert realtime._key("api.openai.com") == "sk-secret-2"
    assert realtime._key("api.openai.com.example.org") is None
    assert realtime._key("notopenai.com") is None


def test_a_password_in_the_address_is_not_in_the_name() -> None:
    system = RealtimeSystem("wss://me:pw@host/v1/realtime?model=a&api_key=b")
    assert system.name == "host/v1/realtime?model=a"


def test_a_model_is_told_the_facts_of_the_scenario() -> None:
    said = instructions(load_scenario(CAFE))
    assert said.startswith("A café's telephone line")
    assert "saturday | sunday: from eight to four" in said
    assert "otherwise, twenty ounce: five dollars" in said


# -- Live ----------------------------------------------------------------------------------


def test_a_live_session_plays_what_comes_and_takes_times_from_the_server(
    monkeypatch, scenario
) -> None:
    with EchoServer(path="/v1/live/sessions", tool='{"times": 1}') as server:
        found = hold(RealtimeSystem(server.url, scenario), monkeypatch)
        time.sleep(0.1)  # for the goodbye to come in
    assert "GET /v1/live/sessions HTTP" in server.headers  # no query
    (start,) = server.of("session.start")
    assert start["session"]["model"] == "parrot"
    backend = start["session"]["delegation"]["responses"]
    assert [tool["name"] for tool in backend["tools"]] == [tool.name for tool in scenario.tools]

    # Sent when its 20 ms are over, back within the next 20 ms, played in the ones after them. A
    # busy machine may tear a hole of a tick into a voice that comes as slowly as it plays.
    at, likeness = place(chirp(), found.agent)
    assert likeness > 0.5
    assert at - 0.1 == pytest.approx(2 * SECONDS + 0.003, abs=0.065)

    (call,) = found.calls
    assert call.arguments == {"times": 1}
    assert server.of("response.item.create")[0]["item"]["call_id"] == "c"
    assert len(server.of("response.create")) == 1
    (word,) = [event for event in found.told if isinstance(event, AgentWordEvent)]
    assert (word.text, word.start) == ("hello", pytest.approx(0.1, abs=0.021))
    (heard,) = [event for event in found.told if isinstance(event, CallerWordEvent)]
    assert (heard.text, heard.end) == ("hello", pytest.approx(0.12, abs=0.021))
    assert server.of("session.close")


@pytest.mark.parametrize(
    ("fault", "sentence"), [("expires", "ended the session: expired"), ("error", "is dead")]
)
def test_a_live_session_that_ends_is_one_sentence(fault: str, sentence: str) -> None:
    def talk() -> None:
        with (
            EchoServer(path="/v1/live/sessions", fault=fault) as server,
            RealtimeSystem(server.url).call(0) as line,
        ):
            for _ in range(50):
                line.push(QUIET_TICK)

    with pytest.raises(AntiphonError, match=sentence):
        talk()
