"""The evaluation's own client judges our server like anybody's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from antiphon.corpus.scenario import load_scenario
from antiphon.evaluation.protocol import TICK
from antiphon.evaluation.systems.realtime import RealtimeSystem
from antiphon.runtime.events import AgentWordEvent, CallerWordEvent, CallEvent
from tests.serving.served import served


def test_a_trial_over_the_wire(tiny_bundle: Path, spoken: Callable[..., np.ndarray]) -> None:
    samples = spoken(after=3.0)
    voice: list[np.ndarray] = []
    told: list[object] = []
    with served(tiny_bundle) as server:
        scenario = load_scenario(tiny_bundle / "scenario.yaml")
        system = RealtimeSystem(f"{server.ws}/v1/realtime?model=tiny", scenario)
        with system.call(seed=0) as line:
            for start in range(0, len(samples) - TICK, TICK):
                heard = line.push(samples[start : start + TICK])
                voice.append(heard.agent)
                told += heard.told
        server.wait_empty()
    assert np.abs(np.concatenate(voice)).max() > 0.1
    (call,) = [event for event in told if isinstance(event, CallEvent)]
    assert call.arguments == {"items": [{"size": "large", "drink": "latte"}]}
    words = [event.text for event in told if isinstance(event, CallerWordEvent)]
    assert " ".join(words) == "a large latte please"
    said = [event.text for event in told if isinstance(event, AgentWordEvent)]
    assert said[:3] == ["a", "large", "latte"]
