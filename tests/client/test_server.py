"""The client and the project's own server, over loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.audio.io import read
from antiphon.client import AgentWords, CallerWords, Client, Extra, Problem, Refused, Turn, WrongKey
from antiphon.client.errors import ClientError
from antiphon.client.speak import Exchange, speak
from antiphon.client.words import texts
from antiphon.runtime.latency import speech_end
from antiphon.serving.app import create_app
from antiphon.serving.auth import KeyFile
from antiphon.serving.config import ServerConfig
from tests.client.real import running
from tests.conftest import AGENT, CALLER, ORDER

EXAMPLE = Path(__file__).parents[2] / "examples" / "order.flac"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    return path, KeyFile(path).add("test")[0]


@pytest.fixture(scope="module")
def url(_tiny_once: Path, keys: tuple[Path, str]) -> Generator[str]:
    config = ServerConfig(bundle=str(_tiny_once), slots=1, group=1, threads=1, key_file=keys[0])
    with running(create_app(config)) as host:
        yield f"ws://{host}"


@pytest.fixture
def client(url: str, keys: tuple[Path, str]) -> Client:
    return Client(url, keys[1])


def run(work: Any) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(60):
            return await work

    return asyncio.run(bounded())


def test_a_call_is_heard_answered_and_ordered(
    client: Client, spoken: Callable[..., np.ndarray]
) -> None:
    async def work() -> Exchange:
        async with client.call(extras=True) as call:
            assert call.session["tools"][0]["name"] == "place_order"
            return await speak(call, spoken(), 1.4, patience=20)

    heard = run(work())
    assert list(texts(heard.events, CallerWords).values()) == [CALLER]
    assert list(texts(heard.events, AgentWords).values()) == [AGENT]
    assert [(call.name, call.arguments) for call in heard.calls] == [
        (ORDER.name, dict(ORDER.arguments))
    ]
    assert heard.first_audible is not None
    assert {e.name for e in heard.events if isinstance(e, Extra)} >= {"turn", "state"}
    assert not any(isinstance(e, Problem) for e in heard.events)


def test_given_words_are_said(client: Client) -> None:
    async def work() -> list[Any]:
        async with client.call() as call:
            await call.say("hello there")
            events: list[Any] = []
            async for event in call:
                events.append(event)
                if isinstance(event, Turn) and event.state == "ended":
                    break
            return events

    events = run(work())
    assert list(texts(events, AgentWords).values()) == ["hello there"]
    sound = np.concatenate([e.samples for e in events if e.type == "audio"])
    assert np.abs(sound).max() > 0.1


def test_a_second_caller_is_refused_and_told_when_to_come_back(client: Client) -> None:
    async def work() -> None:
        async with client.call(), client.call():
            pass

    with pytest.raises(Refused, match="all 1 lines are taken") as failed:
        run(work())
    assert failed.value.retry_after == 10


def test_a_wrong_key_is_told_in_calls_and_in_questions(url: str) -> None:
    async def call(key: str | None) -> None:
        async with Client(url, key).call():
            pass

    for key in ("ak_wrong", None):
        with pytest.raises(WrongKey) as failed:
            run(call(key))
        assert "ak_wrong" not in str(failed.value)
        with pytest.raises(WrongKey):
            run(Client(url, key).models())


def test_a_session_that_the_server_does_not_take_says_which_field(client: Client) -> None:
    async def work() -> None:
        async with client.call(session={"audio": {"output": {"speed": 2.0}}}):
            pass

    with pytest.raises(ClientError, match="speed"):
        run(work())


def test_questions_by_http(client: Client, spoken: Callable[..., np.ndarray], tmp_path) -> None:
    assert run(client.models()) == ("tiny",)
    voice = run(client.speech("hello there", rate=8_000))
    assert len(voice) > 800
    assert np.abs(voice).max() > 0.1
    assert run(client.transcribe(spoken())) == CALLER
    with pytest.raises(Refused, match="HTTP 4"):
        run(client.speech("!!!"))
    nothing = tmp_path / "nothing.wav"
    nothing.write_bytes(b"no sound")
    with pytest.raises(Refused, match="HTTP 4"):
        run(client.transcribe(nothing))


@pytest.mark.slow
def test_the_bundled_cafe_takes_the_shipped_order() -> None:
    caller = read(EXAMPLE)

    async def work(host: str) -> Exchange:
        # A busy machine may be slower than speech: the answer is waited for.
        async with asyncio.timeout(400), Client(f"ws://{host}").call() as call:
            return await speak(call, caller, speech_end(caller) or 0.0, patience=60)

    with running(create_app(ServerConfig(slots=1, group=1, seed=1))) as host:
        heard = asyncio.run(work(host))
    (call,) = heard.calls
    assert call.name == "place_order"
    assert call.arguments["items"] == [
        {
            "size": "large",
            "drink": "cappuccino",
            "milk_amount": "some",
            "milk": "soy milk",
            "sugar": "brown sugar",
        }
    ]
    assert "cappuccino" in " ".join(texts(heard.events, AgentWords).values())
    assert heard.playback.seconds > 1
