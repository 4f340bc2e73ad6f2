"""Duplex: who holds the floor. Turns, pauses inside them, and what breaks in on the agent."""

from __future__ import annotations

import random
from typing import Any

from antiphon.corpus.order import effects
from antiphon.evaluation.noises import NOISES
from antiphon.evaluation.script import Clip, Kind, Step, Stimulus
from antiphon.evaluation.stimuli.apart import of_test
from antiphon.evaluation.stimuli.maker import Maker, Said, numpy_rng, seconds
from antiphon.evaluation.stimuli.task import Script, begin, differs, order

_PAUSE = (0.4, 1.2)  # s: in a pause as long as this people still hold the floor
_LONG = 11  # words of a reply that lasts about three seconds, so that one can break in on it
_SIDE_DB = (-14.0, -8.0)  # of side talk against the caller's own voice
_NOISE_DB = (-8.0, 0.0)
_FILLED = 1 / 3  # share of pauses that follow a filler
_DRAWS = 400


def turn(maker: Maker, name: str) -> Stimulus | None:
    """One whole turn: when does the agent take over?"""
    script = begin(maker, name)
    said = order(maker, script.rng, several=False) or _question(maker, script.rng)
    if said is None:
        return None
    script.add(said)
    return _finish(script, "turn", {"right": "answer"})


def pause(maker: Maker, name: str) -> Stimulus | None:
    """A pause inside a turn, where what was said so far is no sentence of the scenario's."""
    script = begin(maker, name)
    rng = script.rng
    fillers = maker.scenario.dialogue.fillers
    for _ in range(_DRAWS):
        said = order(maker, rng, several=rng.random() < 0.3) or _question(maker, rng)
        if said is None:
            return None
        words = said.text.split()
        places = [
            i
            for i in range(len(words) - 1)
            if (i in said.spoken.places or words[i].endswith(","))
            and not maker.reader.intents(" ".join(words[: i + 1]))
        ]
        if not places:
            continue
        at = rng.choice(places)
        filled = bool(fillers) and rng.random() < _FILLED
        if filled:
            words.insert(at + 1, rng.choice(fillers) + ",")
            at += 1
        text = " ".join(words)
        if not of_test([text]):
            continue
        length = seconds(rng, *_PAUSE)
        clip = maker.clip(f"{name}.0", script.person, text, rng, pauses=[(at, length)])
        script.put(clip, said)
        facts = {"right": "wait", "pause": length, "filled": filled, "after_word": at}
        return _finish(script, "pause", facts)
    return None


def barge_in(maker: Maker, name: str) -> Stimulus | None:
    """The caller breaks in on a long reply with a change, or with an order."""
    script = begin(maker, name)
    first = _long_reply(maker, script.rng)
    if first is None:
        return None
    script.add(first)
    wants = maker.wants
    held = bool(script.goal.order)
    changes = wants.later([*wants.change, *wants.clear]) if held else wants.first(wants.add)
    changes = changes or wants.first(wants.ask)
    fits = differs(maker.scenario, script.calls) if held else None
    said = maker.say(changes, script.rng, script.texts, fits)
    script.add(said, when="agent_speaking")
    step = script.steps.pop()
    after = seconds(script.rng, 0.5, 1.3)
    script.steps.append(step.model_copy(update={"kind": "barge_in", "after": after}))
    return _finish(script, "barge_in", {"right": "yield", "intent": said.intent})


def backchannel(maker: Maker, name: str) -> Stimulus | None:
    """The caller says "uh huh" while the agent speaks, and wants it to go on."""
    script = begin(maker, name)
    text = maker.words(maker.generic.backchannels, script.rng)
    clip = maker.clip(f"{name}.1", script.person, text, script.rng)
    return _over_reply(maker, script, clip, "backchannel", {"right": "go on"})


def side_talk(maker: Maker, name: str) -> Stimulus | None:
    """Somebody in the caller's room talks to somebody else while the agent speaks."""
    script = begin(maker, name)
    rng = script.rng
    mine = rng.random() < 0.5  # the caller, turned away, or somebody else
    person = script.person if mine else maker.person(rng, other_than=script.person)
    text = maker.words(maker.generic.side_talk, rng)
    clip = maker.aside(f"{name}.1", person, text, rng, rng.uniform(*_SIDE_DB))
    facts = {"right": "go on", "speaker": person.name}
    return _over_reply(maker, script, clip, "side_talk", facts)


def noise(maker: Maker, name: str) -> Stimulus | None:
    """A cough, a door, music or crockery while the agent speaks."""
    script = begin(maker, name)
    rng = script.rng
    sound = list(NOISES)[int(name.rpartition("/")[2]) % len(NOISES)]
    gain = 10 ** (rng.uniform(*_NOISE_DB) / 20)
    clip = maker.noise(f"{name}.1", NOISES[sound](numpy_rng(rng)) * gain)
    return _over_reply(maker, script, clip, "noise", {"right": "go on", "noise": sound})


def monologue(maker: Maker, name: str) -> Stimulus | None:
    """A long turn: a story in clauses with short rests, and at its end what the caller wants."""
    script = begin(maker, name)
    rng, generic = script.rng, maker.generic
    said = order(maker, rng, several=False) or _question(maker, rng)
    if said is None:
        return None
    story = rng.sample(generic.story, 4)
    clauses = [maker.words([template], rng) for template in story]
    opening = maker.words(generic.story_opens, rng)
    closing = maker.words(generic.story_closes, rng)
    parts = [opening, *clauses, closing, said.text]
    text = ", ".join(parts)
    pauses: list[tuple[int, float]] = []
    word = -1
    for part in parts[:-1]:
        word += len(part.split())
        pauses.append((word, seconds(rng, 0.3, 0.8)))
    clip = maker.clip(f"{name}.0", script.person, text, rng, pauses=pauses)
    script.put(clip, said)
    return _finish(script, "monologue", {"right": "listen"})


def _over_reply(
    maker: Maker, script: Script, clip: Clip, kind: Kind, facts: dict[str, Any]
) -> Stimulus | None:
    """A turn with a long reply, and the clip while it sounds."""
    first = _long_reply(maker, script.rng)
    if first is None:
        return None
    script.add(first)
    after = seconds(script.rng, 0.4, 1.2)
    script.steps.append(Step(clip=clip, kind=kind, when="agent_speaking", after=after))
    return _finish(script, kind, facts)


def _long_reply(maker: Maker, rng: random.Random) -> Said | None:
    """A first turn that a right agent answers at length."""
    wants = maker.wants
    intents = wants.first([*wants.add, *wants.ask])

    def long(said: Said) -> bool:
        return len(_reply(maker, said).split()) >= _LONG

    long_ones = maker.chosen("long reply", intents, long)
    return maker.say(long_ones, rng, fits=long) if long_ones else None


def _reply(maker: Maker, said: Said) -> str:
    held = list(said.spoken.items)
    if maker.scenario.intents[said.intent].reply_empty:
        return ""
    spoken, rng = said.spoken, random.Random(0)
    reply = maker.scenario.reply(said.intent, spoken.slots, spoken.items, held, rng)
    return reply or ""


def _question(maker: Maker, rng: random.Random) -> Said | None:
    wants = maker.wants
    intents = wants.first([*wants.other, *wants.ask])
    return maker.say(intents, rng) if intents else None


def _finish(script: Script, kind: str, facts: dict[str, Any]) -> Stimulus:
    does = effects(script.maker.scenario)
    return Stimulus(
        id=script.name,
        suite="duplex",
        kind=kind,
        steps=tuple(script.steps),
        goal=script.goal if does else None,
        group=script.person.name,
        facts=facts,
    )
