from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from antiphon.audio.io import write
from antiphon.errors import AntiphonError, AudioError
from antiphon.runtime.agent import Agent

Caller = Callable[..., np.ndarray]


@pytest.fixture
def agent(tiny_bundle: Path) -> Agent:
    return Agent.load(tiny_bundle)


def test_a_file_is_answered_until_the_agent_is_still(
    agent: Agent, spoken: Caller, tmp_path: Path
) -> None:
    path = tmp_path / "order.wav"
    write(path, spoken())
    answer = agent.answer(path)
    assert answer.caller_text == "a large latte please"
    assert answer.agent_text == "a large latte coming up"
    assert answer.order == {"items": [{"size": "large", "drink": "latte"}]}
    assert [call.name for call in answer.calls] == ["place_order"]
    assert len(answer.audio) == len(answer.caller)
    assert not answer.audio[-12_000:].any()  # a second of silence, less the last frame
    latency = answer.latency_ms
    # Speech ends at 1.4 s, in frame 17; after three quiet ones frame 21 sounds, played from 1.76 s.
    assert latency.first_audible == pytest.approx(360, abs=30)
    assert latency.frame_p50 > 0
    assert 0 < latency.real_time_factor < 1


def test_the_json_has_the_promised_keys(agent: Agent, spoken: Caller) -> None:
    made = agent.answer(spoken()).as_json("reply.wav")
    assert set(made) == {"caller_text", "agent_text", "calls", "order", "latency_ms", "audio"}
    assert made["calls"][0]["name"] == "place_order"


def test_the_same_seed_the_same_answer(agent: Agent, spoken: Caller) -> None:
    first, again = agent.answer(spoken(), seed=4), agent.answer(spoken(), seed=4)
    assert (first.audio == again.audio).all()


@pytest.mark.parametrize("length", [1, 1279, 16_000])
def test_silence_and_scraps_get_no_answer_and_no_error(agent: Agent, length: int) -> None:
    answer = agent.answer(np.zeros(length, dtype=np.float32))
    assert answer.agent_text == ""
    assert answer.order is None
    assert answer.latency_ms.first_audible is None


def test_a_given_tail_is_kept_to(agent: Agent, spoken: Caller) -> None:
    caller = spoken()
    answer = agent.answer(caller, tail=0.8)
    assert len(answer.audio) / 16_000 == pytest.approx(len(caller) / 16_000 + 0.8 + 0.08, abs=0.09)


def test_realtime_keeps_the_clock(agent: Agent, spoken: Caller) -> None:
    started = time.perf_counter()
    agent.answer(spoken(speech=0.3, before=0.1, after=0.1), tail=0.2, realtime=True)
    assert time.perf_counter() - started >= 0.7


def test_a_file_is_transcribed_without_an_answer(agent: Agent, spoken: Caller) -> None:
    transcript = agent.transcribe(spoken())
    assert str(transcript) == "a large latte please"
    assert len(transcript.words) == 4


def test_a_text_is_said_and_trimmed(agent: Agent) -> None:
    audio = agent.say("hello there")
    assert audio.dtype == np.float32
    assert np.abs(audio).max() >= 0.1
    assert len(audio) < 3 * 16_000
    assert (agent.say("hello there") == audio).all()


def test_bad_input_is_one_sentence(agent: Agent, tmp_path: Path) -> None:
    with pytest.raises(AudioError):
        agent.answer(tmp_path / "missing.wav")
    with pytest.raises(AudioError):
        agent.answer(np.zeros(0, dtype=np.float32))
    with pytest.raises(AntiphonError, match="nothing to say"):
        agent.say("!")


def test_running_an_agent_loads_no_torch(tiny_bundle: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from antiphon.runtime.agent import Agent\n"
        f"Agent.load({str(tiny_bundle)!r}).answer(np.zeros(2000, np.float32), tail=0.2)\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
