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
from antiphon.corpus.delivery import SPEEDS, STYLES, Delivery
from antiphon.corpus.grammar import Slots, Spoken, join
from antiphon.corpus.scenario import DialogueShape, Scenario

__all__ = [
    "Beside",
    "Call",
    "Dialogue",
    "Turn",
    "agent_sentences",
    "caller_sentences",
    "sample_dialogue",
]

_SOMEWHERE = 0.2  # share of pauses that fall between any two words
_MURMURS = (0.5, 0.62)  # s from a word to a backchannel of the agent's: later than answers
_CLOSED = 0.8  # words after which so many callers stop are answered like those all stop at
_SIDE_TALK = 0.4  # of what a caller says beside a turn, where the scenario has any


class Beside(BaseModel):
    """What the other side says during a turn without wanting the floor, or without meaning the
    line at all (side talk).

    word: index of the turn's word after whose end it comes, `delay` seconds later.
    """

    model_config = ConfigDict(frozen=True)

    by: Literal["agent", "caller"]
    kind: Literal["backchannel", "side_talk"]
    text: str
    word: int
    delay: float


class Turn(BaseModel):
    """One speaker's turn.

    gap: seconds from the end of the turn before to the start of this one (from 0 for the first).
    pauses: (index of the word after which to pause, seconds). calls: those this reply makes.
    breaks_in: a caller's turn that does not wait: it begins after this share of the agent's turn
    before it, which goes on for `yields` seconds and stops.
    """

    model_config = ConfigDict(frozen=True)

    speaker: Literal["agent", "caller"]
    text: str
    intent: str
    gap: float
    tone: str = "neutral"
    style: str = "neutral"
    calls: tuple[Call, ...] = ()
    pauses: tuple[tuple[int, float], ...] = ()
    breaks_in: float | None = None
    yields: float = 0.0
    beside: tuple[Beside, ...] = ()


class Dialogue(BaseModel):
    """Turns in order, and the seconds of silence after the last; no turns: silence only.

    directed: the agent is told its style and speed; else they follow the caller.
    """

    model_config = ConfigDict(frozen=True)

    turns: tuple[Turn, ...]
    tail: float
    directed: Delivery | None = None


def sample_dialogue(scenario: Scenario, rng: random.Random) -> Dialogue:
    """One dialogue; the same generator state gives the same dialogue."""
    shape = scenario.dialogue
    if rng.random() < shape.silent:
        return _nobody(scenario, rng)
    tone = rng.choices(list(shape.tones), list(shape.tones.values()))[0]
    count = rng.choices(range(1, len(shape.exchanges) + 1), shape.exchanges)[0]
    held: list[Slots] = []
    turns: list[Turn] = []
    for index in range(count):
        intent = _choose(scenario, rng, index, count, len(held), turns)
        turns.extend(_exchange(scenario, rng, intent, held, tone, first=not turns))
    turns = [_beside(scenario, turn, rng) for turn in _breaking_in(turns, shape, rng)]
    if shape.missed:
        turns = _missing_its_moment(scenario, turns, rng)
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
    directed: Delivery | None = None
    if shape.directed and rng.random() < shape.directed:
        directed = Delivery(rng.choice(STYLES), rng.choice(SPEEDS))
        turns = [turn.model_copy(update={"style": directed.style}) for turn in turns]
    return Dialogue(turns=tuple(turns), tail=tail, directed=directed)


def _nobody(scenario: Scenario, rng: random.Random) -> Dialogue:
    """Nobody speaks: the agent asks once and then ends the call, where the scenario has words."""
    shape = scenario.dialogue
    if scenario.silence is None or rng.random() < shape.silent_short:
        return Dialogue(turns=(), tail=_seconds(rng, shape.silent_length))
    said = [scenario.silence.prompt, scenario.silence.goodbye]
    turns = [
        Turn(
            speaker="agent",
            text=scenario.phrase_of(template, rng),
            intent="silence",
            gap=_seconds(rng, shape.patience),
        )
        for template in said[: rng.choice((1, 2))]
    ]
    return Dialogue(turns=tuple(turns), tail=_seconds(rng, shape.tail))


def _breaking_in(turns: list[Turn], shape: DialogueShape, rng: random.Random) -> list[Turn]:
    """Some of the caller's turns begin while the agent still speaks."""
    out = list(turns)
    for index in range(1, len(out)):
        before, turn = out[index - 1], out[index]
        if turn.speaker != "caller" or before.speaker != "agent":
            continue
        chance = shape.barge_in
        if shape.barge_in_short is not None and len(turn.text.split()) <= shape.short_turn:
            chance = shape.barge_in_short
        if rng.random() < chance:
            share, yields = round(rng.uniform(0.1, 0.85), 3), _seconds(rng, shape.yields)
            if shape.late and rng.random() < shape.late:
                yields = _seconds(rng, shape.late_yields)
            out[index] = turn.model_copy(update={"breaks_in": share, "yields": yields})
    return out


def _beside(scenario: Scenario, turn: Turn, rng: random.Random) -> Turn:
    """The turn with what is said beside it, if anything is."""
    shape, words = scenario.dialogue, turn.text.split()
    if scenario.beside is None:
        return turn
    by: Literal["agent", "caller"] = "caller" if turn.speaker == "agent" else "agent"
    kind: Literal["backchannel", "side_talk"] = "backchannel"
    template = scenario.beside.agent
    if turn.speaker == "agent":
        if len(words) < 4 or rng.random() >= shape.beside:
            return turn
        template = scenario.beside.caller
        if scenario.beside.side_talk is not None and rng.random() < _SIDE_TALK:
            kind, template = "side_talk", scenario.beside.side_talk
        places = [rng.randrange(0, len(words) - 1)]
        delays = [rng.uniform(0.0, 0.3)]
    else:
        # The listener speaks into the speaker's pauses, and only in a turn that takes its time.
        after = [i for i, seconds in turn.pauses if seconds >= shape.room and i >= shape.long_turn]
        apart = [i for n, i in enumerate(after) if not n or i - after[n - 1] > 2]
        places = [i for i in apart if rng.random() < shape.agent_backchannel]
        delays = [rng.uniform(*_MURMURS) for _ in places]
    said = [
        Beside(
            by=by,
            kind=kind,
            text=scenario.phrase_of(template, rng),
            word=place,
            delay=round(delay, 3),
        )
        for place, delay in zip(places, delays, strict=True)
    ]
    return turn.model_copy(update={"beside": tuple(said)})


def _missing_its_moment(scenario: Scenario, turns: list[Turn], rng: random.Random) -> list[Turn]:
    """Some replies come late, half of them after a backchannel where the caller had finished."""
    shape, out = scenario.dialogue, list(turns)
    for index in range(1, len(out)):
        asked, reply = out[index - 1], out[index]
        if (asked.speaker, reply.speaker) != ("caller", "agent") or rng.random() >= shape.missed:
            continue
        out[index] = reply.model_copy(update={"gap": _seconds(rng, shape.missed_gap)})
        if scenario.beside is not None and rng.random() < 0.5:
            murmur = Beside(
                by="agent",
                kind="backchannel",
                text=scenario.phrase_of(scenario.beside.agent, rng),
                word=len(asked.text.split()) - 1,
                delay=_seconds(rng, _MURMURS),
            )
            out[index - 1] = asked.model_copy(update={"beside": (*asked.beside, murmur)})
    return out


def agent_sentences(scenario: Scenario, rng: random.Random) -> Iterator[str]:
    """What the agent says, reply after reply, without end."""
    return _sentences(scenario, rng, "agent")


def caller_sentences(scenario: Scenario, rng: random.Random) -> Iterator[str]:
    """What callers say, turn after turn, without end."""
    return _sentences(scenario, rng, "caller")


def _sentences(scenario: Scenario, rng: random.Random, speaker: str) -> Iterator[str]:
    while True:
        for turn in sample_dialogue(scenario, rng).turns:
            if turn.speaker == speaker:
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
    scenario: Scenario,
    rng: random.Random,
    intent: str,
    held: list[Slots],
    tone: str,
    *,
    first: bool,
) -> list[Turn]:
    """The caller's turn and the reply; `held` is changed as the caller asks."""
    shape = scenario.dialogue
    spec = scenario.intents[intent]
    spoken = scenario.say(intent, rng)
    text, pauses = _hesitate(spoken, shape, rng)
    gap = _seconds(rng, shape.first_gap if first else shape.caller_gap)
    turns = [Turn(speaker="caller", text=text, intent=intent, gap=gap, tone=tone, pauses=pauses)]
    call: Call | None = None
    if not held and spec.reply_empty:
        reply: str | None = scenario.reply_to_nothing(intent, rng, tone)
    else:
        _apply(scenario, spec.effect, spoken, held)
        call = scenario.call(intent, spoken.slots, spoken.items)
        reply = scenario.reply(intent, spoken.slots, spoken.items, held, rng, tone)
    if reply is not None:
        turns.append(
            Turn(
                speaker="agent",
                text=reply,
                intent=intent,
                gap=_wait(shape, scenario.floor.finished(text), spec.wait, rng),
                tone=tone,
                style=shape.styles.get(tone, "neutral"),
                calls=(call,) if call else (),
            )
        )
    return turns


def _wait(
    shape: DialogueShape,
    finished: float,
    own: tuple[float, float, float] | None,
    rng: random.Random,
) -> float:
    """Seconds before the agent answers words after which callers stop so often; `own`: the
    intent's own wait."""
    if own is not None:
        low, likely, high = own
        return round(rng.triangular(low, high, likely), 3)
    drawn = [
        rng.triangular(low, high, likely) for low, likely, high in (shape.agent_gap, shape.open_gap)
    ]
    closed = min(1.0, finished / _CLOSED)
    return round(closed * drawn[0] + (1.0 - closed) * drawn[1], 3)


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
    """The turn's text, with pauses, at times filled, where they would come naturally."""
    words = join(spoken.tokens).split()
    if len(words) > shape.long_turn:
        return " ".join(words), _breaths(words, shape, rng)
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


def _breaths(
    words: list[str], shape: DialogueShape, rng: random.Random
) -> tuple[tuple[int, float], ...]:
    """A pause at every comma of a turn that is too long for one breath."""
    commas = [i for i, word in enumerate(words[:-1]) if word.endswith(",")]
    return tuple((i, _seconds(rng, shape.breath)) for i in commas)


def _seconds(rng: random.Random, span: tuple[float, float]) -> float:
    return round(rng.uniform(*span), 3)
