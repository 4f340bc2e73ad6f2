from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

pytest.importorskip("pocketsphinx", reason="the cascade's extra is not installed")

from antiphon.cascade import Cascade, Out
from antiphon.evaluation.protocol import TICK
from antiphon.evaluation.script import Clip, ScriptedCaller, Step, Stimulus
from antiphon.evaluation.systems.cascade import CascadeSystem
from antiphon.evaluation.trial import hold
from antiphon.runtime.events import AgentWordEvent
from antiphon.runtime.latency import replies


class Echo:
    """A session that answers 40 ms of sound once it has heard a loud tick."""

    def __init__(self, seed: int) -> None:
        self.seed, self.left, self.ticks = seed, 0, 0

    def push(self, caller: np.ndarray) -> Out:
        self.ticks += 1
        told: tuple[AgentWordEvent, ...] = ()
        if self.left == 0 and np.abs(caller).max() > 0.1:
            self.left, now = 2, self.ticks * TICK / 16_000
            told = (AgentWordEvent(time=now, text=f"seed {self.seed}", start=now),)
        self.left, loud = max(0, self.left - 1), self.left > 0
        return Out(np.full(TICK, 0.5 * loud, np.float32), told)


class Shop:
    """A cascade that gives out echoes."""

    @contextmanager
    def session(self, seed: int = 0) -> Iterator[Echo]:
        yield Echo(seed)


def test_a_trial_has_the_cascades_voice_and_words_on_the_trials_clock() -> None:
    cascade: Cascade = Shop()  # type: ignore[assignment]
    system = CascadeSystem(cascade)
    clip = Clip(path="beep", start=0.0, end=0.02)
    stimulus = Stimulus(id="a", suite="task", kind="order", steps=(Step(clip=clip, after=0.5),))
    caller = ScriptedCaller(stimulus, lambda _: np.full(TICK, 0.5, np.float32))
    trial = hold(system, caller, seed=7)
    assert (system.name, system.live) == ("cascade", False)
    assert trial.agent_text == "seed 7"
    ((start, _),) = replies(trial.agent)
    assert start == pytest.approx(0.52, abs=1e-6)  # the tick after the one that was heard
    assert isinstance(trial.told[0], AgentWordEvent)
    assert trial.told[0].start == pytest.approx(start)
