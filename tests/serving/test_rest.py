from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import soundfile as sf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon.serving.rest import Bench, lines, subtitles
from tests.serving.served import Served, served

Caller = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def _servers() -> Iterator[dict[str, Any]]:
    opened: dict[str, Any] = {}
    yield opened
    for context, _, client in opened.values():
        client.close()
        context.__exit__(None, None, None)


@pytest.fixture
def server(tiny_bundle: Path, _servers: dict[str, Any]) -> Served:
    if "it" not in _servers:
        context = served(tiny_bundle, text_letters=200, upload_bytes=1 << 20, upload_seconds=20)
        found = context.__enter__()
        client = openai.OpenAI(base_url=f"{found.http}/v1", api_key="x", max_retries=0)
        _servers["it"] = (context, found, client)
    return _servers["it"][1]


@pytest.fixture
def client(server: Served, _servers: dict[str, Any]) -> openai.OpenAI:
    return _servers["it"][2]


def recording(samples: np.ndarray, form: str = "WAV") -> bytes:
    out = io.BytesIO()
    sf.write(out, samples, 16_000, format=form)
    return out.getvalue()


def error(call: Callable[[], Any]) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        call()
    return caught.value


# -- models -----------------------------------------------------------------------------------


def test_the_model_is_listed(client: openai.OpenAI) -> None:
    (model,) = client.models.list().data
    assert (model.id, model.owned_by) == ("tiny", "antiphon")
    assert client.models.retrieve("tiny").id == "tiny"
    problem = error(lambda: client.models.retrieve("gpt-5"))
    assert problem.status_code == 404
    assert "'tiny'" in problem.message


# -- speech -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["wav", "flac", "mp3", "opus"])
def test_a_text_is_spoken(client: openai.OpenAI, form: Any) -> None:
    answer = client.audio.speech.create(
        model="tiny", voice="alloy", input="hello there", response_format=form
    )
    samples, rate = sf.read(io.BytesIO(answer.read()))
    assert np.abs(samples).max() > 0.1
    assert 0.2 < len(samples) / rate < 5


def test_pcm_is_24_khz_without_a_header(client: openai.OpenAI) -> None:
    def said(form: Any) -> bytes:
        return client.audio.speech.create(
            model="tiny", voice="alloy", input="hello", response_format=form
        ).read()

    wav, rate = sf.read(io.BytesIO(said("wav")))
    pcm = np.frombuffer(said("pcm"), "<i2")
    assert len(pcm) / 24_000 == pytest.approx(len(wav) / rate, abs=0.01)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"speed": 2.0}, "speed"),
        ({"response_format": "aac"}, "response_format"),
        ({"response_format": "exe"}, "response_format"),
        ({"stream_format": "sse"}, "stream_format"),
        ({"input": "x" * 201}, "input"),
    ],
)
def test_what_speech_cannot_do_is_named(client: openai.OpenAI, change: Any, param: str) -> None:
    body = {"model": "tiny", "voice": "alloy", "input": "hello", **change}
    problem = error(lambda: client.audio.speech.create(**body))
    assert (problem.status_code, problem.param) == (400, param)


def test_a_text_with_nothing_to_say_is_refused(client: openai.OpenAI) -> None:
    problem = error(lambda: client.audio.speech.create(model="tiny", voice="alloy", input="?!"))
    assert problem.status_code == 400
    assert "nothing to say" in problem.message


# -- transcriptions ---------------------------------------------------------------------------


def test_a_recording_is_transcribed(client: openai.OpenAI, spoken: Caller) -> None:
    file = ("a.wav", recording(spoken(after=1.5)))
    assert client.audio.transcriptions.create(model="x", file=file).text == "a large latte please"
    text = client.audio.transcriptions.create(model="x", file=file, response_format="text")
    assert text == "a large latte please\n"


def test_verbose_json_has_words_with_times(client: openai.OpenAI, spoken: Caller) -> None:
    heard = client.audio.transcriptions.create(
        model="x",
        file=("a.flac", recording(spoken(after=1.5), "FLAC")),
        response_format="verbose_json",
        timestamp_granularities=["word"],
    )
    assert heard.words is not None
    assert [word.word for word in heard.words] == ["a", "large", "latte", "please"]
    times = [time for word in heard.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert heard.duration == pytest.approx(2.9)
    assert heard.segments


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_subtitles(client: openai.OpenAI, spoken: Caller, form: Any) -> None:
    file = ("a.wav", recording(spoken(after=1.5)))
    text = client.audio.transcriptions.create(model="x", file=file, response_format=form)
    assert "-->" in text
    assert "latte" in text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no audio", "not audio"),
        (b"", "empty"),
        (recording(np.zeros(16_000 * 21)), "are transcribed at most"),
    ],
)
def test_files_that_cannot_be_heard(client: openai.OpenAI, content: bytes, says: str) -> None:
    problem = error(lambda: client.audio.transcriptions.create(model="x", file=("a.wav", content)))
    assert problem.status_code == 400
    assert says in problem.message
    assert "/tmp" not in problem.message


def test_a_file_that_is_too_large_is_refused(client: openai.OpenAI) -> None:
    problem = error(
        lambda: client.audio.transcriptions.create(model="x", file=("a.wav", bytes(2 << 20)))
    )
    assert problem.status_code == 413


def test_a_body_without_a_length_is_refused_when_it_grows(server: Served) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield bytes(100_000)

    answer = httpx.post(f"{server.http}/v1/audio/speech", content=endless(), timeout=20)
    assert answer.status_code == 413


def test_formats_that_are_none_are_named(server: Served) -> None:
    files = {"file": ("a.wav", b"x")}
    url = f"{server.http}/v1/audio/transcriptions"
    for data, param in [
        ({"response_format": "xml"}, "response_format"),
        ({"stream": "true"}, "stream"),
        ({"stream": "perhaps"}, "stream"),
    ]:
        answer = httpx.post(url, files=files, data=data)
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == param
    answer = httpx.post(url, data={"model": "x"})
    assert answer.json()["error"]["param"] == "file"


# -- secrets, errors --------------------------------------------------------------------------


def test_a_secret_by_the_stock_client(client: openai.OpenAI) -> None:
    made = client.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 60},
        session={"type": "realtime", "audio": {"output": {"voice": "marin"}}},
    )
    assert made.value.startswith("ek_")
    assert made.session.type == "realtime"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"expires_after": {"seconds": 5}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": 7201}}, "expires_after.seconds"),
        ({"session": {"foo": 1}}, "session.foo"),
        (
            {"session": {"audio": {"input": {"format": {"type": "x"}}}}},
            "session.audio.input.format.type",
        ),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_wrong_secrets_are_named(server: Served, body: Any, param: str) -> None:
    answer = httpx.post(f"{server.http}/v1/realtime/client_secrets", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("PUT", "/v1/models", 405), ("GET", "/v1/audio/speech", 405)],
)
def test_errors_have_openais_shape(server: Served, method: str, path: str, status: int) -> None:
    answer = httpx.request(method, f"{server.http}{path}")
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    path=st.sampled_from(["/v1/audio/speech", "/v1/realtime/client_secrets"]),
    body=st.binary(max_size=60)
    | st.dictionaries(
        st.sampled_from(["input", "speed", "session", "expires_after", "voice", "x"]),
        st.none() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2),
    ),
)
def test_no_body_breaks_it(server: Served, path: str, body: Any) -> None:
    content = {"content": body} if isinstance(body, bytes) else {"json": body}
    answer = httpx.post(f"{server.http}{path}", **content, timeout=20)  # type: ignore[arg-type]
    assert answer.status_code in (200, 400, 413, 503)
    if answer.status_code == 400:
        assert answer.json()["error"]["message"]


# -- the threads beside the calls -------------------------------------------------------------


def test_only_so_much_work_waits() -> None:
    import asyncio

    from antiphon.serving.admission import Refused

    async def test() -> None:
        bench = Bench(jobs=1, waiting=1, retry=3)
        gate = threading.Event()
        one = asyncio.create_task(bench.do(lambda: gate.wait(10)))
        two = asyncio.create_task(bench.do(lambda: 2))
        await asyncio.sleep(0.05)
        with pytest.raises(Refused) as caught:
            await bench.do(lambda: 3)
        assert caught.value.retry == 3
        gate.set()
        assert (await one, await two) == (True, 2)
        assert await bench.do(lambda: 3) == 3
        bench.close()

    asyncio.run(test())


def test_lines_are_parted_where_the_voice_rests() -> None:
    words = [("a", 0.0, 0.5), ("b", 0.6, 1.0), ("c", 3.0, 3.5)]
    assert [len(line) for line in lines(words)] == [2, 1]
    assert "00:00:03,000 --> 00:00:03,500" in subtitles(words, "srt")
    assert subtitles(words, "vtt").startswith("WEBVTT")
