"""Calls that an agent really answers, on a clock that the test beats, kept in a store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.audio import FRAME
from antiphon.runtime.clock import Clock
from antiphon.serving.call import CallInfo, LiveCall, MakeStage, Observer
from antiphon.serving.store import Store
from tests.serving.served import agent_of


def keep_call(
    store: Store,
    bundle: Path | str,
    sound: np.ndarray,
    *,
    seed: int = 5,
    during: Callable[[LiveCall, int], Any] | None = None,
    stages: Sequence[MakeStage] = (),
    also: Callable[[Observer], Sequence[Observer]] = lambda _: (),
    **info: Any,
) -> str:
    """One call with `sound` (float32 at 16 kHz) as its caller; gives its id.

    during: called before each beat with the call and the beat's number. also: further observers,
    given the store's.
    """
    agent = agent_of(bundle)
    facts = {"bundle": agent.bundle.manifest.name, "protocol": "realtime"} | info

    async def go() -> str:
        with store.serving() as observer:
            clock = Clock(agent, 1, group=1)
            observers = [observer, *also(observer)]
            call = LiveCall(clock, CallInfo(**facts), observers=observers, stages=stages, seed=seed)
            call.push(sound)
            for number in range(len(sound) // FRAME):
                if during is not None:
                    during(call, number)
                clock.beat()
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            call.close("client")
            return call.id

    return asyncio.run(asyncio.wait_for(go(), 60))
