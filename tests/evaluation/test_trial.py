from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from antiphon.corpus.calls import Call
from antiphon.errors import AntiphonError, CorpusError
from antiphon.evaluation.protocol import SECONDS, TICK, Heard
from antiphon.evaluation.script import Clip, Goal, ScriptedCaller, Step, Stimulus
from antiphon.evaluation.trial import LONGEST, Trial, hold, load, save
from antiphon.runtime.events import AgentWordEvent, CallEvent, TurnEvent

CALL = Call(name="place_order", arguments={"items": [{"drink": "latte"}]})
CLIP = Clip(path="a", text="a latte", words=(("a", 0.0, 0.4), ("latte", 0.4, 1.0)), start=0, end=1)
STIMULUS = Stimulus(
    id="task/order/000",
    suite="task",
    kind="order",
    steps=(Step(clip=CLIP, after=0.2, expects=CALL),),
    goal=Goal(order=({"drink": "latte"},), calls=()),
    group="somebody",
    facts={"right": "answer"},
)


class Parrot:
    """A system that says back what it hears a second later, and tells what it does."""

    name, live = "parrot", False

    def __init__(self, dies: float = 1e9) -> None:
        self.dies = dies
        self.seeds: list[int] = []
        self.open = 0

    @contextmanager
    def call(self, seed: int) -> Iterator[Parrot]:
        self.seeds.append(seed)
        self.open += 1
        self.heard: list[np.ndarray] = []
        try:
            yield self
        finally:
            self.open -= 1

    def push(self, caller: np.ndarray, /) -> Heard:
        now = len(self.heard) * SECONDS
        if now > self.dies:
            raise AntiphonError("the server hung up")
        self.heard.append(caller)
        late = round(1.0 / SECONDS)
        voice = self.heard[-late] if len(self.heard) >= late else np.zeros(TICK, np.float32)
        told = ()
        if len(self.heard) == 80:
            told = (
                CallEvent(time=now, name=CALL.name, arguments=CALL.arguments),
                AgentWordEvent(time=now, text="latte", start=now),
                TurnEvent(time=now, state="speaking", probability=0.9),
            )
        return Heard(voice, told)


def sound(path: str) -> np.ndarray:
    assert path == "a"
    time = np.arange(16_000) / 16_000
    return (0.2 * np.sin(2 * np.pi * 200 * time)).astype(np.float32)


def held(system: Parrot | None = None, effect: object = None) -> Trial:
    return hold(system or Parrot(), ScriptedCaller(STIMULUS, sound), 3, effect)


def test_both_channels_are_as_they_were_heard_on_one_clock() -> None:
    system = Parrot()
    trial = held(system)
    assert system.seeds == [3]
    assert system.open == 0
    assert len(trial.caller) == len(trial.agent)
    assert np.array_equal(trial.caller, np.concatenate(system.heard))
    # What is given in one tick plays in the next: a second late, and one tick.
    said, heard = np.flatnonzero(trial.caller)[0], np.flatnonzero(trial.agent)[0]
    assert heard - said == 16_000
    (turn,) = trial.conversation.events
    assert turn.start == pytest.approx(said / 16_000, abs=1e-3)
    assert [call.name for call in trial.calls] == ["place_order"]
    assert trial.agent_text == "latte"


def test_an_effect_changes_what_the_system_hears_and_sees_the_agent_of_the_same_tick() -> None:
    beside: list[np.ndarray] = []

    def halved(caller: np.ndarray, agent: np.ndarray) -> np.ndarray:
        beside.append(agent)
        return caller / 2

    system = Parrot()
    trial = held(system, halved)
    clean = held()
    length = min(len(trial.caller), len(clean.caller))
    assert np.array_equal(trial.caller[:length], clean.caller[:length] / 2)
    assert np.array_equal(np.concatenate(beside), trial.agent)


def test_a_trial_goes_to_disk_and_back(tmp_path: Path) -> None:
    trial = held()
    path = tmp_path / "task" / "order" / "000.3.flac"
    save(trial, path)
    again = load(path)
    assert again.stimulus == trial.stimulus
    assert (again.system, again.seed, again.told) == ("parrot", 3, trial.told)
    assert again.costs == trial.costs
    assert again.conversation.events == trial.conversation.events
    assert again.conversation.words == trial.conversation.words
    assert np.abs(again.conversation.audio - trial.conversation.audio).max() <= 1 / 32768
    save(again, tmp_path / "again.flac")
    assert (tmp_path / "again.flac").read_bytes() == path.read_bytes()


def test_two_trials_with_a_seed_are_the_same() -> None:
    one, two = held(), held()
    assert np.array_equal(one.conversation.audio, two.conversation.audio)
    assert one.told == two.told
    assert one.conversation.events == two.conversation.events


def test_costs_are_of_frames_and_of_a_live_system_how_late_it_was() -> None:
    trial = held()
    assert 0 <= trial.costs.p50 <= trial.costs.p99
    assert trial.costs.late == 0
    live = Parrot()
    live.live = True
    assert held(live).costs.p99 == 0.0


def test_a_system_that_goes_away_is_an_error_and_its_call_is_closed() -> None:
    system = Parrot(dies=1.0)
    with pytest.raises(AntiphonError, match="hung up"):
        held(system)
    assert system.open == 0


def test_a_trial_has_an_end() -> None:
    endless = STIMULUS.model_copy(update={"steps": (), "seconds": 10 * LONGEST})
    trial = hold(Parrot(), ScriptedCaller(endless, sound))
    assert trial.conversation.duration == pytest.approx(LONGEST, abs=0.1)


def test_what_is_no_trial_is_said_so(tmp_path: Path) -> None:
    save(held(), tmp_path / "a.flac")
    notes = json.loads((tmp_path / "a.json").read_text())
    for missing in ("stimulus", "costs"):
        broken = {key: value for key, value in notes.items() if key != missing}
        (tmp_path / "a.json").write_text(json.dumps(broken))
        with pytest.raises(CorpusError, match="no trial"):
            load(tmp_path / "a.flac")
    with pytest.raises(CorpusError):
        load(tmp_path / "b.flac")
