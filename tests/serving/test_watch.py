"""A whole server with everything that watches it: one spoken order, seen from every side."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile as sf
from websockets.asyncio.client import connect

from antiphon.audio.resample import resample
from antiphon.serving.logs import LogConfig
from antiphon.serving.store import StoreConfig
from antiphon.serving.watch import WatchConfig, watching
from tests.serving.served import served


async def order(url: str, sound: np.ndarray) -> None:
    """Speak, and wait for the answer."""
    audio = (resample(sound, 16_000, 24_000) * 32767).astype("<i2").tobytes()
    async with connect(url) as socket:
        event = {"type": "input_audio_buffer.append", "audio": base64.b64encode(audio).decode()}
        await socket.send(json.dumps(event))
        while json.loads(await asyncio.wait_for(socket.recv(), 30))["type"] != "response.done":
            pass


def until(found: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What `found` gives, once it gives something."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return value


def test_a_call_is_kept_counted_and_logged(
    tiny_bundle: Path,
    tmp_path: Path,
    spoken: Callable[..., np.ndarray],
    capsys: pytest.CaptureFixture[str],
) -> None:
    wanted = WatchConfig(
        store=StoreConfig(folder=tmp_path / "store"), log=LogConfig(json_lines=True)
    )
    with watching(wanted) as watch:
        parts = {"observers": watch.observers, "routers": watch.routers}
        with (
            served(tiny_bundle, **parts) as server,
            httpx.Client(base_url=server.http, timeout=20) as client,
        ):
            watch.attach(server.app)
            assert client.get("/healthz").status_code == 200
            ready = client.get("/readyz").json()
            assert ready["checks"]["calls"] == []
            sound = spoken(after=4.0)
            speaking = order(f"{server.ws}/v1/realtime?model=tiny", sound)
            asyncio.run(asyncio.wait_for(speaking, 60))

            def over() -> dict[str, Any] | None:
                calls = client.get("/v1/antiphon/calls").json()["data"]
                return calls[0] if calls and calls[0]["recording"] == "whole" else None

            call = until(over)
            record = client.get(f"/v1/antiphon/calls/{call['id']}").json()
            audio = client.get(f"/v1/antiphon/calls/{call['id']}/audio").content
            figures = client.get("/metrics").text
    texts = {turn["speaker"]: turn["text"] for turn in record["turns"]}
    assert texts == {"caller": "a large latte please", "agent": "a large latte coming up"}
    assert record["tool_calls"][0]["name"] == "place_order"
    assert call["seconds"] == pytest.approx(call["recording_seconds"], abs=0.5)
    samples, _ = sf.read(io.BytesIO(audio))
    assert samples[:, 0].any()
    assert samples[:, 1].any()
    # The agent's first sound lies where its turn says that it is.
    answer = next(turn for turn in record["turns"] if turn["speaker"] == "agent")
    first = np.flatnonzero(np.abs(samples[:, 1]) > 0.01)[0] / 16_000
    assert first == pytest.approx(answer["start"], abs=0.25)
    assert "antiphon_turns_total" in figures
    assert "antiphon_slots 2.0" in figures
    logged = [json.loads(line) for line in capsys.readouterr().err.splitlines() if "{" in line]
    assert {line["message"] for line in logged if line.get("call") == call["id"]} >= {
        "the call begins",
        "a turn is finished",
        "the call is over",
    }
