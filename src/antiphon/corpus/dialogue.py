"""Samples dialogues from a scenario: who says what, when, and which calls follow.

In: a scenario and a random generator. Out: turns of text with gaps and pauses in seconds.
The agent keeps one small state, the list of what the caller has asked for so far. Knows
nothing of voices or audio.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

from antiphon.corpus.calls import Call
from antiphon.corpus.grammar import Slots, Spoken, join
from antiphon.corpus.scenario import DialogueShape, Scenario

__all__ = ["Call", "Dialogue", "Turn", "agent_sentences", "sample_dialogue"]

_SOMEWHERE = 0.2  # share of pauses that fall between any two words


class Turn(BaseModel):
    """One speaker's turn.

    gap: seconds from the end of the turn before to the start of this one (from 0 for the first).
    pauses: (index of the word after which to pause, seconds). calls: those this reply makes.
    """

    model_config = ConfigDict(frozen=True)

    speaker: Literal["agent", "caller"]
    text: str
    intent: str
    gap: float
    tone: str = "neutral"
    calls: tuple[Call, ...] = ()
    pauses: tuple[tuple[int, float], ...] = ()


class Dialogue(BaseModel):
    """Turns in order, and the seconds of silence after the last; no turns: silence only."""

    model_config = ConfigDict(frozen=True)

    turns: tuple[Turn, ...]
    tail: float


def sample_dialogue(scenario: Scenario, rng: random.Random) -> Dialogue:
    """One dialogue; the same generator state gives the same dialogue."""
    shape = scenario.dialogue
    if rng.random() < shape.silent:
        return Dialogue(turns=(), tail=_seconds(rng, shape.silent_length))
    count = rng.choices(range(1, len(shape.exchanges) + 1), shape.exchanges)[0]
    held: list[Slots] = []
    turns: list[Turn] = []
    for index in range(count):
        intent = _choose(scenario, rng, index, count, len(held), turns)
        turns.extend(_exchange(scenario, rng, intent, held, first=not turns))
    tail = _seconds(rng, shape.tail)
    if rng.random() < shape.long_silence:
        extra = _seconds(rng, shape.long_silence_length)
        # before one of the caller's turns, or after everything: the agent never waits so long
        places = [i for i, turn in enumerate(turns) if turn.speaker == "caller"]
        at = rng.choice([*places, -1])
        if at < 0:
            tail = round(tail + extra, 3)
        else:
            turns[at] = turns[at].model_copy(update={"gap": round(turns[at].gap + extra, 3)})
    return Dialogue(turns=tuple(turns), tail=tail)


def agent_sentences(scenario: Scenario, rng: random.Random) -> Iterator[str]:
    """What the agent says, reply after reply, without end."""
    while True:
        for turn in sample_dialogue(scenario, rng).turns:
            if turn.speaker == "agent":
                yield turn.text


def _choose(
    scenario: Scenario, rng: random.Random, index: int, count: int, held: int, turns: list[Turn]
) -> str:
    state: Literal["held", "empty"] = "held" if held else "empty"
    names: list[str] = []
    weights: list[float] = []
    previous = next((turn.intent for turn in reversed(turns)), None)
    for name, intent in scenario.intents.items():
        fits = intent.place == "any" or index == (0 if intent.place == "first" else count - 1)
        weight = intent.weight.get(state, 0.0)
        if count > 1 and intent.place == ("first" if index == 0 else "last"):
            weight *= 4  # a dialogue of several exchanges often opens and closes properly
        if held > scenario.dialogue.longest_recital and scenario.reads_back(name):
            weight = 0.0
        if fits and weight > 0 and (name != previous or intent.effect != "none"):
            names.append(name)
            weights.append(weight)
    if not names:  # the only intent that fits was just said
        names = [n for n, i in scenario.intents.items() if i.weight.get(state, 0.0) > 0]
        weights = [1.0] * len(names)
    return rng.choices(names, weights)[0]


def _exchange(
    scenario: Scenario, rng: random.Random, intent: str, held: list[Slots], first: bool
) -> list[Turn]:
    """The caller's turn and the reply; `held` is changed as the caller asks."""
    shape = scenario.dialogue
    spec = scenario.intents[intent]
    spoken = scenario.say(intent, rng)
    text, pauses = _hesitate(spoken, shape, rng)
    gap = _seconds(rng, shape.first_gap if first else shape.caller_gap)
    turns = [Turn(speaker="caller", text=text, intent=intent, gap=gap, pauses=pauses)]
    call: Call | None = None
    if not held and spec.reply_empty:
        reply: str | None = scenario.reply_to_nothing(intent, rng)
    else:
        _apply(scenario, spec.effect, spoken, held)
        call = scenario.call(intent, spoken.slots, spoken.items)
        reply = scenario.reply(intent, spoken.slots, spoken.items, held, rng)
    if reply is not None:
        low, likely, high = shape.agent_gap
        turns.append(
            Turn(
                speaker="agent",
                text=reply,
                intent=intent,
                gap=round(rng.triangular(low, high, likely), 3),
                calls=(call,) if call else (),
            )
        )
    return turns


def _apply(scenario: Scenario, effect: str, spoken: Spoken, held: list[Slots]) -> None:
    if effect == "add":
        held.extend(dict(item) for item in spoken.items or [spoken.slots])
    elif effect == "clear":
        held.clear()
    elif effect == "change":
        scenario.merge(held[-1], spoken.slots)


def _hesitate(
    spoken: Spoken, shape: DialogueShape, rng: random.Random
) -> tuple[str, tuple[tuple[int, float], ...]]:
    """The turn's text, at times with a pause, and a filler, where one would come naturally."""
    words = join(spoken.tokens).split()
    chance = rng.random()
    if chance >= shape.pause + shape.long_pause or len(words) < 2:
        return " ".join(words), ()
    long = chance < shape.long_pause
    length = _seconds(rng, shape.long_pause_length if long else shape.pause_length)
    last = len(words) - 1
    natural = spoken.places | {i for i, word in enumerate(words) if word.endswith(",")}
    places = sorted(i for i in natural if 0 <= i < last)
    if not places or rng.random() < _SOMEWHERE:
        places = list(range(last))
    at = rng.choice(places)
    if shape.fillers and rng.random() < shape.filled:
        words.insert(at + 1, rng.choice(shape.fillers) + ",")
        at += rng.random() < 0.5  # the silence lies before or after the filler
    return " ".join(words), ((at, length),)


def _seconds(rng: random.Random, span: tuple[float, float]) -> float:
    return round(rng.uniform(*span), 3)
