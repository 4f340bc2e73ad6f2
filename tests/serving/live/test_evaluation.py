"""The evaluation's own client over Live; stock clients are in `tests/serving/peers`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.corpus.scenario import load_scenario
from antiphon.evaluation.systems.realtime import RealtimeSystem
from antiphon.runtime.events import AgentWordEvent, CallerWordEvent, CallEvent

Spoken = Callable[..., np.ndarray]
ORDER = {"items": [{"size": "large", "drink": "latte"}]}
HEARD, SAID = "a large latte please", "a large latte coming up"
WITHIN = 60.0  # seconds


def test_an_order_over_the_wire(address: str, tiny_bundle: Path, spoken: Spoken) -> None:
    scenario = load_scenario(tiny_bundle / "scenario.yaml")
    system = RealtimeSystem(f"{address}/v1/live/sessions?model=tiny", scenario, patience=WITHIN)
    caller = spoken(after=0.0)
    ticks = [caller[start : start + 320] for start in range(0, len(caller) // 320 * 320, 320)]
    told: list[Any] = []
    loudest = 0.0
    with system.call(seed=0) as line:
        for tick in ticks + [np.zeros(320, dtype=np.float32)] * 1000:
            heard = line.push(tick)
            told += heard.told
            loudest = max(loudest, float(np.abs(heard.agent).max()))
            said = [event.text for event in told if isinstance(event, AgentWordEvent)]
            if len(said) == len(SAID.split()):
                break
    assert " ".join(said) == SAID
    words = [event.text for event in told if isinstance(event, CallerWordEvent)]
    assert HEARD.startswith(" ".join(words))
    (call,) = [event for event in told if isinstance(event, CallEvent)]
    assert call.arguments == ORDER
    assert loudest > 0.05
