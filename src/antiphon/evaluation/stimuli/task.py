"""Tasks: what callers want done, and the state in which a right agent leaves its tools."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from antiphon.corpus.calls import Call
from antiphon.corpus.order import effects, fold
from antiphon.corpus.scenario import Scenario
from antiphon.evaluation.script import Clip, Goal, Step, Stimulus, When
from antiphon.evaluation.stimuli.maker import Maker, Person, Said, seconds
from antiphon.evaluation.stimuli.wants import Wants

_REPAIRS = 2  # how often somebody says it again before giving up


class Script:
    """A script that grows turn by turn, kept from training at each of them."""

    def __init__(self, maker: Maker, name: str, person: Person, rng: random.Random) -> None:
        self.maker, self.name, self.person, self.rng = maker, name, person, rng
        self.texts: list[str] = []
        self.calls: list[Call] = []
        self.steps: list[Step] = []

    def add(self, said: Said, *, when: When | None = None, repairs: int = 0) -> Step:
        """A turn: the first after half a second, others after the agent's reply."""
        rng, stem = self.rng, f"{self.name}.{len(self.steps)}"
        self.texts.append(said.text)
        if said.call is not None:
            self.calls.append(said.call)
        again: list[Clip] = []
        for number in range(repairs if said.call is not None else 0):
            text = self.maker.again(said, rng, self.texts)
            again.append(self.maker.clip(f"{stem}r{number}", self.person, text, rng))
        step = Step(
            clip=self.maker.clip(stem, self.person, said.text, rng),
            when=when or ("agent_done" if self.steps else "start"),
            after=seconds(rng, 0.8, 1.6) if self.steps else seconds(rng, 0.4, 0.7),
            expects=said.call,
            repairs=tuple(again),
        )
        self.steps.append(step)
        return step

    def put(self, clip: Clip, said: Said) -> None:
        """A first turn of which the clip is made already."""
        self.texts.append(clip.text)
        self.calls += [said.call] if said.call is not None else []
        after = seconds(self.rng, 0.4, 0.7)
        self.steps.append(Step(clip=clip, after=after, expects=said.call))

    @property
    def goal(self) -> Goal:
        """Where all calls so far leave the tools."""
        return goal_of(self.maker.scenario, self.calls)


def goal_of(scenario: Scenario, calls: Sequence[Call]) -> Goal:
    """The state after these calls."""
    order = fold(calls, scenario)
    does = effects(scenario)
    holds = any(effect != "none" for effect in does.values())
    others = tuple(call for call in calls if does.get(call.name, "none") == "none")
    items = tuple(order["items"]) if order else ()
    return Goal(order=items if holds else None, calls=others)


def single(maker: Maker, name: str) -> Stimulus | None:
    """One object ordered in one turn."""
    return _ordered(maker, name, several=False)


def several(maker: Maker, name: str) -> Stimulus | None:
    """Two or more objects in one turn."""
    return _ordered(maker, name, several=True)


def _ordered(maker: Maker, name: str, *, several: bool) -> Stimulus | None:
    wants = maker.wants
    intents = wants.first(wants.add)
    script = begin(maker, name)
    said = order(maker, script.rng, several=several) if intents else None
    if said is None:
        return None
    script.add(said)
    return finish(script, "several" if several else "order", {"intent": said.intent})


def order(maker: Maker, rng: random.Random, *, several: bool) -> Said | None:
    """A first turn that orders one object, or several; None where no intent does."""
    intents = maker.wants.first(maker.wants.add)

    def fits(said: Said) -> bool:
        return (len(said.spoken.items) > 1) == several

    fitting = maker.chosen("several" if several else "single", intents, fits)
    return maker.say(fitting, rng, fits=fits) if fitting else None


def correction(maker: Maker, name: str) -> Stimulus | None:
    """An order, and then a change of it that makes a difference."""
    wants = maker.wants
    changes = wants.later(wants.change)
    script = begin(maker, name)
    said = order(maker, script.rng, several=False)
    if said is None or not changes:
        return None
    script.add(said, repairs=_REPAIRS)
    before = script.goal
    changed = maker.say(changes, script.rng, script.texts, differs(maker.scenario, script.calls))
    script.add(changed, repairs=_REPAIRS)
    return finish(script, "correction", {"before": before.model_dump()["order"]})


def differs(scenario: Scenario, calls: Sequence[Call]) -> Differs:
    """Whether a sentence's call changes what these calls left."""
    return Differs(scenario, tuple(calls))


@dataclass(frozen=True)
class Differs:
    """A test of sentences: does their call make a difference?"""

    scenario: Scenario
    calls: tuple[Call, ...]

    def __call__(self, said: Said) -> bool:
        """True where the state after it is another one."""
        if said.call is None:
            return False
        after = goal_of(self.scenario, [*self.calls, said.call])
        return after != goal_of(self.scenario, self.calls)


def cancel(maker: Maker, name: str) -> Stimulus | None:
    """An order that is taken back as a whole."""
    wants = maker.wants
    clears = wants.later(wants.clear)
    script = begin(maker, name)
    said = order(maker, script.rng, several=False)
    if said is None or not clears:
        return None
    script.add(said, repairs=_REPAIRS)
    script.add(maker.say(clears, script.rng, script.texts))
    return finish(script, "cancel", {})


def other_call(maker: Maker, name: str) -> Stimulus | None:
    """A call that changes no order: a loyalty number, say. The kind is the intent's name."""
    wants = maker.wants
    intents = wants.first(wants.other)
    if not intents:
        return None
    script = begin(maker, name)
    said = maker.say(intents, script.rng)
    script.add(said)
    return finish(script, said.intent, {"intent": said.intent})


def conversation(maker: Maker, name: str) -> Stimulus | None:
    """Two to four exchanges towards a goal, each said again where it is not confirmed."""
    wants = maker.wants
    script = begin(maker, name)
    rng = script.rng
    count = rng.choices((2, 3, 4), (0.35, 0.4, 0.25))[0]
    intents: list[str] = []
    opening = order(maker, rng, several=rng.random() < 0.25) or order(maker, rng, several=False)
    if opening is None:
        firsts = wants.first([*wants.other, *wants.ask])
        if not firsts:
            return None
        opening = maker.say(firsts, rng)
    script.add(opening, repairs=_REPAIRS)
    intents.append(opening.intent)
    while len(script.steps) < count:
        said = _next(maker, wants, script, intents[-1])
        script.add(said, repairs=_REPAIRS)
        intents.append(said.intent)
    return finish(script, "conversation", {"intents": intents})


def _next(maker: Maker, wants: Wants, script: Script, last: str) -> Said:
    """The next turn: as likely as the scenario says, and never one that changes nothing."""
    held = script.goal.order or ()
    names = [*wants.add, *wants.change, *wants.clear, *wants.other, *wants.ask]
    if held:
        fits = wants.later(names)
    else:
        fits = [n for n in wants.first(names) if n not in (*wants.change, *wants.clear)]
    if len(held) >= maker.scenario.dialogue.longest_recital:
        fits = [n for n in fits if n not in wants.add]
    fits = [n for n in fits if n != last or n in wants.add] or fits
    most = maker.scenario.dialogue.longest_recital
    change = differs(maker.scenario, script.calls)

    def sensible(said: Said) -> bool:
        if said.intent in wants.add and len(held) + max(1, len(said.spoken.items)) > most:
            return False
        return said.intent in wants.ask or said.call is None or change(said)

    return maker.say(fits, script.rng, script.texts, sensible)


def begin(maker: Maker, name: str) -> Script:
    """An empty script of one of the callers."""
    rng = maker.rng(name)
    return Script(maker, name, maker.person(rng), rng)


def finish(script: Script, kind: str, facts: dict[str, object]) -> Stimulus:
    """The script as a stimulus."""
    return Stimulus(
        id=script.name,
        suite="task",
        kind=kind,
        steps=tuple(script.steps),
        goal=script.goal,
        group=script.person.name,
        facts=facts,
    )
