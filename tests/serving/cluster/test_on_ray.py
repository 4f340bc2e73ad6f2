"""A real Ray cluster on this machine, with replicas in processes of their own."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.quick_resample import QuickResampler
from antiphon.serving.cluster.gateway import ClusterClock
from antiphon.serving.cluster.leases import LeaseError
from antiphon.serving.cluster.on_ray import Cluster, ClusterError, connected, local
from antiphon.serving.cluster.replica import ReplicaConfig
from tests.serving.served import Served, agent_of, served

# Ray itself is loaded by `on_ray`, which first says how it is to authenticate.
pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")

RATE = 24_000


class Caller:
    """A client of Realtime that speaks, and notes all that it is told."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket, self.told, self.closed = socket, list[dict[str, Any]](), asyncio.Event()
        self.code, self.reason = 0, ""
        self._hears = asyncio.create_task(self._hear())

    async def _hear(self) -> None:
        try:
            while True:
                self.told.append(json.loads(await self.socket.recv()))
        except ConnectionClosed as closed:
            if closed.rcvd is not None:
                self.code, self.reason = closed.rcvd.code, closed.rcvd.reason
        finally:
            self.closed.set()

    async def speak(self, samples: np.ndarray) -> None:
        """16 kHz, in real time."""
        resample, due = QuickResampler(SAMPLE_RATE, RATE), asyncio.get_running_loop().time()
        for start in range(0, len(samples), 1280):
            piece = resample(samples[start : start + 1280])
            pcm = (np.clip(piece, -1, 1) * 32767).astype("<i2").tobytes()
            sound = base64.b64encode(pcm).decode()
            await self.socket.send(
                json.dumps({"type": "input_audio_buffer.append", "audio": sound})
            )
            due += 0.08
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))

    def of(self, type: str) -> list[dict[str, Any]]:
        return [event for event in self.told if event["type"] == type]

    async def wait(self, type: str, seconds: float = 20.0) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while not (found := self.of(type)):
            assert time.monotonic() < end, f"no {type}; there were {[e['type'] for e in self.told]}"
            await asyncio.sleep(0.05)
        return found[-1]

    async def orders(self, sound: np.ndarray) -> None:
        """The tiny agent's order, spoken and taken."""
        before = len(self.of("response.function_call_arguments.done"))
        await self.speak(sound)
        end = time.monotonic() + 20
        while len(self.of("response.function_call_arguments.done")) == before:
            assert time.monotonic() < end, [event["type"] for event in self.told]
            await asyncio.sleep(0.05)
        done = self.of("response.function_call_arguments.done")[-1]
        assert json.loads(done["arguments"]) == {"items": [{"size": "large", "drink": "latte"}]}


def slot(bundle: Path) -> ReplicaConfig:
    return ReplicaConfig(bundle=str(bundle), slots=1, group=1, cores=0)


async def scenario(cluster: Cluster, server: Served, bundle: Path, sound: np.ndarray) -> None:
    url = f"{server.ws}/v1/realtime"
    async with connect(url) as first, connect(url) as second:
        callers = [Caller(first), Caller(second)]
        for caller in callers:
            await caller.wait("session.created")
        # Two orders at once, on two replicas.
        await asyncio.gather(*(caller.orders(sound) for caller in callers))
        shown = await asyncio.to_thread(cluster.show)
        assert [each.used for each in shown] == [1, 1]

        # A third under load: it is used as soon as it is there.
        (third,) = await asyncio.to_thread(cluster.add, slot(bundle))
        await asyncio.to_thread(server.wait, lambda: server.house.clock.slots == 3)
        async with connect(url) as socket:
            late = Caller(socket)
            await late.orders(sound)

            # One is killed: its call ends with the reason, the others go on.
            lines = {line.lease.replica: line for line in server.house.clock._used.values()}  # type: ignore[attr-defined]
            victim = next(name for name in lines if name != third)
            cluster._ray.kill(cluster._actor(victim))  # type: ignore[attr-defined]
            began = time.monotonic()
            ended = [asyncio.create_task(each.closed.wait()) for each in (*callers, late)]
            await asyncio.wait(ended, timeout=10, return_when=asyncio.FIRST_COMPLETED)
            print(f"noticed after {time.monotonic() - began:.2f} s")
            (gone,) = (each for each in (*callers, late) if each.closed.is_set())
            assert gone in callers
            assert (gone.code, gone.reason) == (1011, f"engine: {victim} was lost")
            assert gone.of("error")[-1]["error"]["code"] == "session_ended"
            shown = await asyncio.to_thread(cluster.show)
            assert victim not in {each.replica for each in shown}
            (other,) = (each for each in callers if each is not gone)
            await other.orders(sound)

            # A drain: the replica's call goes on, and it goes when that has ended.
            drained = asyncio.create_task(asyncio.to_thread(cluster.remove, third, seconds=30.0))
            await late.orders(sound)
            assert not drained.done()
        assert await asyncio.wait_for(drained, 20)
        assert not other.closed.is_set()
    left = {each.replica for each in await asyncio.to_thread(cluster.show)}
    assert left == {name for name in lines if name not in (victim, third)}


@pytest.mark.slow
def test_calls_on_replicas_that_come_and_go(tiny_bundle: Path, spoken: Any) -> None:
    with local(2) as address, connected(address) as cluster:
        assert len(cluster.add(slot(tiny_bundle), 2)) == 2
        with pytest.raises(LeaseError, match="no replica 'nobody'"):
            cluster.drain("nobody")
        places = ClusterClock(agent_of(tiny_bundle), cluster)
        with served(tiny_bundle, places=places) as server:
            server.wait(lambda: places.slots == 2)
            story = scenario(cluster, server, tiny_bundle, spoken(0.8))
            asyncio.run(asyncio.wait_for(story, 90))
            server.wait_empty()
        with pytest.raises(ClusterError, match="no bundle here"):
            cluster.add(slot(tiny_bundle / "nowhere"))
