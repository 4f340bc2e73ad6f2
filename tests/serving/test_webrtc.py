"""Calls by WebRTC: an aiortc client on this machine speaks to the server, by both protocols."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from aioice.ice import get_host_addresses
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from antiphon.serving import webrtc
from antiphon.serving.webrtc import make_router
from antiphon.serving.webrtc_voice import TICK, Voice, mono
from tests.serving.served import served

WITHIN = 60.0  # seconds for a whole call: machines are busy
pytestmark = pytest.mark.skipif(
    not get_host_addresses(use_ipv4=True, use_ipv6=True), reason="WebRTC needs a network interface"
)


@pytest.fixture
def address(tiny_bundle: Path) -> Iterator[str]:
    """http://host:port of a server with one line."""
    with served(tiny_bundle, slots=1, group=1, retry_seconds=7, routers=[make_router()]) as server:
        yield server.http


class Mouth(MediaStreamTrack):
    """Says samples (float32 at 16 kHz) at the pace of speech, then is silent."""

    kind = "audio"

    def __init__(self, samples: np.ndarray) -> None:
        super().__init__()
        self._samples, self._at = samples, 0
        self._began: float | None = None

    async def recv(self) -> AudioFrame:
        loop = asyncio.get_running_loop()
        self._began = loop.time() if self._began is None else self._began
        await asyncio.sleep(self._began + self._at / 16_000 - loop.time())
        part = self._samples[self._at : self._at + 320]
        part = np.pad(part, (0, 320 - len(part)))
        frame = AudioFrame.from_ndarray((part * 32767).astype("<i2")[None], layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16_000, self._at, Fraction(1, 16_000)
        self._at += 320
        return frame


class Client:
    """A peer that speaks, keeps all events, and listens for a voice."""

    def __init__(self, mouth: MediaStreamTrack | None) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.events: list[dict[str, Any]] = []
        self.loudest = 0.0
        self._news = asyncio.Event()
        self._ears: set[asyncio.Task[None]] = set()
        if mouth is not None:
            self.connection.addTrack(mouth)
        self.channel = self.connection.createDataChannel("oai-events")
        self.channel.on("message", self._take)
        self.connection.on("track", self._listen)

    def _take(self, text: str) -> None:
        self.events.append(json.loads(text))
        self._news.set()

    def _listen(self, track: MediaStreamTrack) -> None:
        async def listen() -> None:
            try:
                while True:
                    frame = await track.recv()
                    assert isinstance(frame, AudioFrame)
                    self.loudest = max(self.loudest, float(np.abs(mono(frame)).max()))
            except MediaStreamError:
                pass

        self._ears.add(asyncio.create_task(listen()))

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def accept(self, sdp: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def until(self, type_: str, count: int = 1) -> list[dict[str, Any]]:
        """All events of a type, when there are `count`."""
        async with asyncio.timeout(WITHIN):
            while True:
                found = [event for event in self.events if event["type"] == type_]
                if len(found) >= count:
                    return found
                self._news.clear()
                await self._news.wait()

    def send(self, type_: str, **fields: Any) -> None:
        self.channel.send(json.dumps({"type": type_, **fields}))

    async def close(self) -> None:
        await self.connection.close()
        for task in self._ears:
            task.cancel()


Spoken = Callable[..., np.ndarray]
ALL = 5  # words that the scripted agent says


def test_openais_client_opens_a_live_call_and_is_answered(address: str, spoken: Spoken) -> None:
    openai = pytest.importorskip("openai")

    async def run() -> Client:
        client = Client(Mouth(spoken(before=2.0)))
        try:
            stock = openai.AsyncOpenAI(api_key="any", base_url=f"{address}/v1", max_retries=0)
            made = await stock.live.create(
                session={"model": "tiny", "delegation": {"type": "client"}},
                transport={"type": "webrtc", "sdp": await client.offer()},
            )
            await client.accept(made.transport.sdp)
            (started,) = await client.until("session.started")
            assert started["session"]["id"] == made.session.id
            await client.until("session.output_transcript.delta", ALL)
            await asyncio.sleep(0.5)
            client.send("session.input_audio.append", audio="AAA=")
            (error,) = await client.until("error")
            assert error["error"]["code"] == "unsupported_event"
            client.send("session.close")
            (closed,) = await client.until("session.closed")
            assert closed["reason"] == "close_requested"
        finally:
            await client.close()
        return client

    client = asyncio.run(run())
    types = {event["type"] for event in client.events}
    assert "session.output_audio.delta" not in types  # the track has it
    assert client.loudest > 0.05
    (delegated,) = [e for e in client.events if e["type"] == "session.delegation.created"]
    assert json.loads(delegated["delegation"]["call"]["arguments"]) == {
        "items": [{"size": "large", "drink": "latte"}]
    }


def test_a_realtime_call_is_answered_and_hung_up(address: str, spoken: Spoken) -> None:
    async def run() -> Client:
        client = Client(Mouth(spoken(before=2.0)))
        session = {"type": "realtime", "instructions": "x"}
        form = {"sdp": (None, await client.offer()), "session": (None, json.dumps(session))}
        try:
            async with httpx.AsyncClient(base_url=address, timeout=WITHIN) as http:
                answer = await http.post("/v1/realtime/calls", files=form)
                assert answer.status_code == 201, answer.text
                assert answer.headers["content-type"].startswith("application/sdp")
                await client.accept(answer.text)
                (created,) = await client.until("session.created")
                assert created["session"]["instructions"] == "x"
                (done,) = await client.until("response.done")
                assert done["response"]["status"] == "completed"
                await client.until("output_audio_buffer.started")
                (call,) = await client.until("response.function_call_arguments.done")
                assert "latte" in call["arguments"]
                place = answer.headers["location"]
                assert (await http.post(f"{place}/hangup")).status_code == 200
                async with asyncio.timeout(WITHIN):
                    while (await http.post(f"{place}/hangup")).status_code != 404:
                        await asyncio.sleep(0.05)
                # The line is free again.
                other = Client(Mouth(np.zeros(0, dtype=np.float32)))
                again = await http.post(
                    "/v1/realtime/calls",
                    content=await other.offer(),
                    headers={"Content-Type": "application/sdp"},
                )
                assert again.status_code == 201
                full = await http.post(
                    "/v1/realtime/calls",
                    content=await other.offer(),
                    headers={"Content-Type": "application/sdp"},
                )
                assert (full.status_code, full.headers["retry-after"]) == (503, "7")
                await other.close()
        finally:
            await client.close()
        return client

    client = asyncio.run(run())
    assert client.loudest > 0.05
    types = {event["type"] for event in client.events}
    assert "response.output_audio.delta" not in types
    assert "response.output_audio_transcript.delta" in types


def test_a_secret_opens_the_call_that_it_was_made_for(address: str) -> None:
    async def run() -> None:
        client = Client(Mouth(np.zeros(0, dtype=np.float32)))
        async with httpx.AsyncClient(base_url=address, timeout=WITHIN) as http:
            bound = {"session": {"type": "realtime", "instructions": "as bound"}}
            made = (await http.post("/v1/realtime/client_secrets", json=bound)).json()
            http.headers["Authorization"] = f"Bearer {made['value']}"
            sdp = await client.offer()
            transport = {"type": "webrtc", "sdp": sdp}
            refused = await http.post("/v1/live/sessions", json={"transport": transport})
            assert refused.status_code == 403
            answer = await http.post("/v1/realtime/calls", content=sdp, headers=SDP)
            await client.accept(answer.text)
            (created,) = await client.until("session.created")
            assert created["session"]["instructions"] == "as bound"
        await client.close()

    asyncio.run(run())


def test_a_client_that_goes_frees_the_line(address: str) -> None:
    async def run() -> None:
        client = Client(Mouth(np.zeros(0, dtype=np.float32)))
        async with httpx.AsyncClient(base_url=address, timeout=WITHIN) as http:
            body = {"session": {}, "transport": {"type": "webrtc", "sdp": await client.offer()}}
            answer = await http.post("/v1/live/sessions", json=body)
            assert answer.status_code == 201, answer.text
            await client.accept(answer.json()["transport"]["sdp"])
            await client.until("session.started")
            place = f"/v1/live/sessions/{answer.json()['session']['id']}/hangup"
            await client.close()
            other = Client(Mouth(np.zeros(0, dtype=np.float32)))
            body = {"session": {}, "transport": {"type": "webrtc", "sdp": await other.offer()}}
            async with asyncio.timeout(WITHIN):
                while (await http.post("/v1/live/sessions", json=body)).status_code != 201:
                    await asyncio.sleep(0.1)
            assert (await http.post(place)).status_code == 404
            await other.close()

    asyncio.run(run())


def test_a_caller_who_never_connects_is_let_go(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webrtc, "CONNECT_WITHIN", 0.3)

    async def run() -> None:
        client = Client(Mouth(np.zeros(0, dtype=np.float32)))
        body = {"session": {}, "transport": {"type": "webrtc", "sdp": await client.offer()}}
        async with httpx.AsyncClient(base_url=address, timeout=WITHIN) as http:
            assert (await http.post("/v1/live/sessions", json=body)).status_code == 201
            assert (await http.post("/v1/live/sessions", json=body)).status_code == 503
            async with asyncio.timeout(WITHIN):
                while (await http.post("/v1/live/sessions", json=body)).status_code != 201:
                    await asyncio.sleep(0.05)
        await client.close()

    asyncio.run(run())


def test_many_calls_leave_nothing_behind(tiny_bundle: Path) -> None:
    async def run(base: str) -> None:
        async with httpx.AsyncClient(base_url=base, timeout=WITHIN) as http:
            client = Client(Mouth(np.zeros(0, dtype=np.float32)))
            body = {"session": {}, "transport": {"type": "webrtc", "sdp": await client.offer()}}
            answer = await http.post("/v1/live/sessions", json=body)
            await client.accept(answer.json()["transport"]["sdp"])
            await client.until("session.started")
            await client.close()

    with served(tiny_bundle, routers=[make_router()]) as server:
        asyncio.run(run(server.http))
        server.wait_empty()
        threads = threading.active_count()
        for _ in range(5):
            asyncio.run(run(server.http))
            server.wait(lambda: not server.house.reception.calls, WITHIN)
        server.wait(lambda: threading.active_count() <= threads, WITHIN)


def test_a_server_that_stops_tells_its_callers_and_is_gone(tiny_bundle: Path) -> None:
    async def run() -> list[dict[str, Any]]:
        client = Client(Mouth(np.zeros(0, dtype=np.float32)))
        with ExitStack() as stack:
            server = stack.enter_context(served(tiny_bundle, routers=[make_router()]))
            async with httpx.AsyncClient(base_url=server.http, timeout=WITHIN) as http:
                body = {"session": {}, "transport": {"type": "webrtc", "sdp": await client.offer()}}
                answer = await http.post("/v1/live/sessions", json=body)
                await client.accept(answer.json()["transport"]["sdp"])
                await client.until("session.started")
            await asyncio.to_thread(stack.pop_all().close)
            closed = await client.until("session.closed")
        await client.close()
        return closed

    (closed,) = asyncio.run(run())
    assert closed["reason"] == "connection_lost"


SDP = {"Content-Type": "application/sdp"}
FORM = {"Content-Type": "multipart/form-data; boundary=x"}


@pytest.mark.parametrize(
    ("path", "content", "headers", "status", "param"),
    [
        ("/v1/realtime/calls", b"", SDP, 400, "sdp"),
        ("/v1/realtime/calls", b"v=0\r\nnonsense", SDP, 400, "sdp"),
        ("/v1/realtime/calls", b"\xff\xfe", SDP, 400, None),
        ("/v1/realtime/calls", b"x", {"Content-Type": "text/plain"}, 415, None),
        ("/v1/realtime/calls", b"not a form", FORM, 400, None),
        ("/v1/realtime/calls", b"--x--\r\n", FORM, 400, "sdp"),
        ("/v1/realtime/calls", b"x", {"Content-Type": "multipart/form-data"}, 400, None),
        ("/v1/live/sessions", b"{", {"Content-Type": "application/json"}, 400, "body"),
        ("/v1/live/sessions", b"{}", {"Content-Type": "application/json"}, 400, "transport"),
        ("/v1/live/sessions", b"a" * 300_000, {"Content-Type": "application/json"}, 413, None),
    ],
)
def test_a_bad_offer_is_refused_with_a_sentence(
    address: str, path: str, content: bytes, headers: dict[str, str], status: int, param: str | None
) -> None:
    answer = httpx.post(address + path, content=content, headers=headers, timeout=WITHIN)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["param"] == param
    assert answer.json()["error"]["message"]


def test_a_bad_session_is_refused_with_its_field(address: str) -> None:
    transport = {"type": "webrtc", "sdp": "v=0"}
    for session, param in (
        ({"voice": "x"}, "session.voice"),
        ({"audio": {"format": {"type": "audio/pcm", "rate": 24_000}}}, "session.audio.format"),
        (5, "session"),
    ):
        body = {"session": session, "transport": transport}
        answer = httpx.post(f"{address}/v1/live/sessions", json=body, timeout=WITHIN)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_an_offer_without_sound_is_refused_and_takes_no_line(address: str) -> None:
    async def offer() -> str:
        client = Client(None)
        sdp = await client.offer()
        await client.close()
        return sdp

    sdp = asyncio.run(offer())
    for _ in range(3):
        answer = httpx.post(
            f"{address}/v1/realtime/calls", content=sdp, headers=SDP, timeout=WITHIN
        )
        assert answer.status_code == 400
        assert "audio" in answer.json()["error"]["message"]


# -- the voice -----------------------------------------------------------------------------


def test_the_voice_comes_whole_and_a_little_later() -> None:
    async def run() -> np.ndarray:
        voice = Voice()
        voice.push(np.ones(1280, dtype=np.float32))  # nobody is there: it is not kept
        heard = [await voice.recv()]
        ramp = np.linspace(0.1, 0.5, 2560, dtype=np.float32)
        for start in (0, 1280):
            voice.push(ramp[start : start + 1280])
        heard += [await voice.recv() for _ in range(12)]
        assert [frame.pts for frame in heard] == [TICK * index for index in range(13)]
        return np.concatenate([mono(frame) for frame in heard])

    heard = asyncio.run(run())
    loud = np.flatnonzero(heard)
    assert loud[0] == TICK + 640  # 40 ms in hand
    assert len(loud) == 2560
    assert np.allclose(heard[loud], np.linspace(0.1, 0.5, 2560), atol=1e-4)


def test_silence_is_left_out_where_too_much_is_in_hand() -> None:
    async def run() -> int:
        voice = Voice()
        await voice.recv()
        for _ in range(20):
            voice.push(np.zeros(1280, dtype=np.float32))
        voice.push(np.ones(1280, dtype=np.float32))
        for count in range(100):
            if mono(await voice.recv()).any():
                return count
        return -1

    assert 0 < asyncio.run(run()) < 20


def test_an_interrupted_voice_is_silent_at_once() -> None:
    async def run() -> bool:
        voice = Voice()
        await voice.recv()
        voice.push(np.ones(12_800, dtype=np.float32))
        for _ in range(5):
            await voice.recv()
        voice.clear()
        return bool(mono(await voice.recv()).any())

    assert not asyncio.run(run())


def test_stereo_and_planar_frames_become_one_channel() -> None:
    both = np.array([[8192, -8192, 16_384, 16_384]], dtype="<i2")
    packed = AudioFrame.from_ndarray(both, format="s16", layout="stereo")
    assert mono(packed).tolist() == [0.0, 0.5]
    lanes = np.array([[0.5, 0.0], [0.0, 0.5]], dtype=np.float32)
    planar = AudioFrame.from_ndarray(lanes, format="fltp", layout="stereo")
    assert mono(planar).tolist() == [0.25, 0.25]
