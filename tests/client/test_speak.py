"""A recording spoken to a server in real time, and what a listener would have heard."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from antiphon.client import AgentWords, CallEnded, Client, ToolCall
from antiphon.client import speak as speaking
from antiphon.client.speak import Exchange, speak
from tests.client.fake import Fake

RATE = 16_000
SPEECH = 0.3  # s


def recording() -> np.ndarray:
    buzz = 0.3 * np.sin(np.arange(round(SPEECH * RATE)) / 3)
    return np.concatenate([buzz, np.zeros(round(0.25 * RATE))]).astype(np.float32)


@pytest.fixture(autouse=True)
def soon_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaking, "SETTLE", 0.4)


def spoken_to(server: Fake, *, buffer: float = 0.2, patience: float = 4.0) -> Exchange:
    async def work() -> Exchange:
        async with asyncio.timeout(12), Client(server.url).call(rate=RATE) as call:
            return await speak(call, recording(), SPEECH, buffer=buffer, patience=patience)

    return asyncio.run(work())


def test_an_answer_is_heard_out_and_the_tools_are_answered() -> None:
    with Fake() as server:
        heard = spoken_to(server)
    assert [call.arguments for call in heard.calls] == [
        {"items": [{"size": "large", "drink": "latte"}]}
    ]
    assert server.of("conversation.item.create")[0]["item"]["output"] == '{"ok": true}'
    assert heard.playback.seconds == pytest.approx(0.32, abs=0.02)
    # 0.1 s of quiet, the buffer, and what this machine took.
    assert heard.first_audible is not None
    assert 0.28 < heard.first_audible < 2.0
    plays = [time for time, words in heard.sounding if isinstance(words, AgentWords)]
    assert len(plays) == 4


def test_what_was_sent_is_the_recording_and_then_silence_in_real_time() -> None:
    with Fake() as server:
        heard = spoken_to(server)
    sent = np.concatenate(heard.chunks)
    assert np.array_equal(sent[: len(recording())], recording())
    assert not sent[len(recording()) :].any()
    assert len(heard.late) == len(heard.chunks)
    assert all(late >= 0 for late in heard.late)
    # What was sent is as long as the call: the generator makes up for what it was late with.
    assert len(sent) / RATE == pytest.approx(heard.playback.end + 0.4, abs=1.0)


def test_sound_that_comes_late_is_a_gap_of_so_many_seconds() -> None:
    with Fake(pause=(2, 0.6)) as server:
        heard = spoken_to(server)
    assert heard.playback.gaps
    # 80 ms were paused for anyway, and the buffer bore 200.
    assert max(heard.playback.gaps) == pytest.approx(0.4, abs=0.25)


def test_no_answer_is_waited_for_so_long_and_no_longer() -> None:
    with Fake(fault="silent") as server:
        heard = spoken_to(server, patience=0.5)
    assert heard.first_audible is None
    assert len(np.concatenate(heard.chunks)) / RATE == pytest.approx(SPEECH + 0.5, abs=0.3)


def test_a_server_that_ends_the_call_first_is_no_answer() -> None:
    with Fake(fault="later 1000") as server, pytest.raises(CallEnded):
        spoken_to(server)
    with Fake(fault="later 1011") as server, pytest.raises(CallEnded, match="the engine failed"):
        spoken_to(server)


def test_a_call_that_comes_while_nobody_speaks_is_told_with_its_time() -> None:
    with Fake() as server:
        heard = spoken_to(server)
    (call,) = [event for event in heard.events if isinstance(event, ToolCall)]
    assert SPEECH < call.time < 3.0
