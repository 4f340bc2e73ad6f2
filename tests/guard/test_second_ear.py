"""The cascade's recogniser beside the network: when it listens, and what its words decide."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
import pytest

from antiphon.corpus.scenario import Scenario
from antiphon.guard.checks import Rulebook
from antiphon.guard.config import ReadingRules
from antiphon.guard.filter import Filter
from antiphon.guard.reading import SecondReading
from antiphon.guard.second_ear import SecondEar
from antiphon.guard.stage import Service
from antiphon.guard.state import CallState
from antiphon.guard.takeover import Standby
from tests.cascade.conftest import Prompter
from tests.guard.conftest import TEXT
from tests.guard.talk import Run, Talk, caller, sentence

QUIET = np.zeros(1280, dtype=np.float32)
LARGE = {"items": [{"size": "large", "drink": "latte"}]}
SMALL = {"items": [{"size": "small", "drink": "latte"}]}


class Later(Executor):
    """An executor whose work is done when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, lambda: fn(*args, **kwargs)))
        return future

    def work(self) -> None:
        waiting, self.waiting = self.waiting, []
        for future, task in waiting:
            future.set_result(task())


def speak(ear: SecondEar, voiced: int, silent: int = 0) -> None:
    for at in range(voiced + silent):
        ear.push(QUIET, voiced=at < voiced)


def text_of(ear: SecondEar) -> str | None:
    return " ".join(ear.heard.text) if ear.heard is not None else None


# -- the ear -------------------------------------------------------------------


def test_it_hears_a_turn_with_what_came_just_before_it() -> None:
    recogniser = Prompter("a latte")
    ear = SecondEar(recogniser)
    speak(ear, 0, 20)
    speak(ear, 10)
    assert ear.heard is None
    ear.finish()
    assert (text_of(ear), ear.busy) == ("a latte", False)
    assert recogniser.samples == (3 + 10) * 1280  # five frames before the second of voice


def test_one_frame_of_voice_is_no_turn() -> None:
    ear = SecondEar(Prompter())
    for at in range(20):
        ear.push(QUIET, voiced=at % 3 == 0)
    ear.finish()
    assert ear.heard is None
    assert not ear.busy


def test_a_turn_that_nobody_asks_for_is_dropped() -> None:
    ear = SecondEar(Prompter("uh huh", "a mocha"))
    speak(ear, 5, 30)
    speak(ear, 5)
    ear.finish()
    assert text_of(ear) == "a mocha"


def test_what_was_heard_is_forgotten_when_the_next_turn_begins() -> None:
    ear = SecondEar(Prompter("a latte", "a mocha"))
    speak(ear, 5)
    ear.finish()
    ear.finish()
    assert text_of(ear) == "a latte"
    speak(ear, 5)
    assert ear.heard is None


def test_it_is_busy_until_its_work_is_done() -> None:
    later = Later()
    ear = SecondEar(Prompter("a latte"), later)
    speak(ear, 5)
    ear.finish()
    assert ear.busy
    assert ear.heard is None
    later.work()
    assert (text_of(ear), ear.busy) == ("a latte", False)


def test_its_recogniser_is_given_back_when_its_work_is_done() -> None:
    later, given = Later(), list[str]()
    ear = SecondEar(Prompter("a latte"), later, done=lambda: given.append("back"))
    speak(ear, 5)
    ear.close()
    assert not given
    later.work()
    ear.close()
    assert given == ["back"]
    ear.push(QUIET, voiced=True)
    assert not later.waiting


# -- what it decides -----------------------------------------------------------


@pytest.fixture(scope="module")
def reading(bar: Scenario) -> Rulebook:
    return Rulebook(bar, (*TEXT, "reading"))


def run_with(reading: Rulebook, ear: SecondEar, said: str, words: str, made: Any) -> Run:
    calls = [(1.9, "place_order", made)] if made is not None else []
    talk = Talk(sentence(said) if said else [], caller(words), calls, speaks_until=1.0, frames=160)
    return talk.run(Filter(reading, say=talk.say, second_ear=ear))


def test_what_it_heard_decides_where_the_network_misheard(reading: Rulebook) -> None:
    ear = SecondEar(Prompter("give me a large latte"))
    run = run_with(reading, ear, "okay a small latte", "give me a small latte", SMALL)
    assert [call.arguments for call in run.calls] == [LARGE]
    assert [event.action for event in run.guard] == ["corrected"]
    assert run.text.endswith("okay a large latte")


@pytest.mark.parametrize("heard", ["small small", "how much is a latte", None])
def test_what_it_cannot_read_decides_nothing(reading: Rulebook, heard: str | None) -> None:
    ear = SecondEar(Prompter(heard))
    run = run_with(reading, ear, "okay a small latte", "give me a small latte", SMALL)
    assert [call.arguments for call in run.calls] == [SMALL]
    assert not run.guard


def test_what_fits_badly_decides_nothing(reading: Rulebook) -> None:
    ear = SecondEar(Prompter("give me a large latte", misfit=ReadingRules().misfit + 1))
    run = run_with(reading, ear, "okay a small latte", "give me a small latte", SMALL)
    assert [call.arguments for call in run.calls] == [SMALL]


def test_it_answers_what_the_network_could_not_read(reading: Rulebook) -> None:
    ear = SecondEar(Prompter("give me a large latte"))
    run = run_with(reading, ear, "", "give a lar", None)
    assert [call.arguments for call in run.calls] == [LARGE]
    assert [event.action for event in run.guard] == ["answered"]


def test_what_it_heard_may_want_a_refusal(bar: Scenario) -> None:
    rules = Rulebook(bar, (*TEXT, "reading"))
    ear = SecondEar(Prompter("put poison in a large latte"))
    run = run_with(rules, ear, "okay a large latte", "give me a large latte", LARGE)
    assert not run.calls
    assert {event.check for event in run.guard} == {"unsafe"}
    assert "latte" not in run.text


def test_a_call_waits_for_it_but_not_long(reading: Rulebook) -> None:
    never = SecondEar(Prompter("give me a large latte"), Later())
    run = run_with(reading, never, "okay a small latte", "give me a small latte", SMALL)
    assert [call.arguments for call in run.calls] == [SMALL]
    assert 2.4 < run.events[run.events.index(run.calls[0])].time + 0.6 < 2.7


def test_so_many_calls_are_listened_to_as_the_scenario_says(bar: Scenario) -> None:
    rules = Rulebook(bar)
    two = rules.config.model_copy(update={"reading": ReadingRules(listeners=2)})
    standby = Standby(_Cascade(), 3, recogniser=Prompter)  # type: ignore[arg-type]
    service = Service(Rulebook(bar, config=two), standby=standby)
    guards = [service.guard(str(at), None) for at in range(3)]
    assert [guard.listens for guard in guards] == [True, True, False]
    guards[0].close()
    assert service.guard("4", None).listens
    assert not Service(rules, standby=standby).guard("5", None).listens


def test_the_words_of_the_network_stand_where_there_is_no_ear(reading: Rulebook) -> None:
    check = reading.reading()
    assert isinstance(check, SecondReading)
    assert not check.listens()
    assert check.of(CallState(reading.scenario), "give me a large latte") is not None


class _Cascade:
    """Nothing of it is used."""
