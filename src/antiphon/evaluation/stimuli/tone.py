"""Tone: the same words in several tones, and the same words twice in one as the control."""

from __future__ import annotations

import random
from typing import Any, get_args

from antiphon.evaluation.script import Stimulus
from antiphon.evaluation.stimuli.maker import Maker, Said
from antiphon.evaluation.stimuli.task import Script
from antiphon.runtime.events import Tone

TONES: tuple[str, ...] = get_args(Tone)


def pair(maker: Maker, name: str) -> Stimulus | None:
    """One of the tones of some words: number n is words n // 4 in tone n % 4."""
    number = int(name.rpartition("/")[2])
    tone = TONES[number % len(TONES)]
    return _spoken(maker, name, f"tone/pair/{number // len(TONES):03d}", tone, take=0)


def control(maker: Maker, name: str) -> Stimulus | None:
    """The same words in one tone, said twice: nothing may tell the two apart."""
    number = int(name.rpartition("/")[2])
    tone = TONES[number // 2 % len(TONES)]
    return _spoken(maker, name, f"tone/control/{number // 2:03d}", tone, take=number % 2)


def _spoken(maker: Maker, name: str, words: str, tone: str, take: int) -> Stimulus | None:
    rng = maker.rng(words)
    person = maker.person(rng)
    said = _words(maker, rng)
    if said is None:
        return None
    # One generator for all tones: but for the tone, the prosody is drawn alike.
    script = Script(maker, name, person, maker.rng(f"{words} take {take}"))
    clip = maker.clip(f"{name}.0", person, said.text, script.rng, tone=tone)
    script.put(clip, said)
    spec = maker.scenario.intents[said.intent]
    replies_differ = len(spec.reply) > 1
    facts: dict[str, Any] = {
        "pair": words,
        "words": said.text,
        "tone": tone,
        "tones": list(TONES),
        "take": take,
        "intent": said.intent,
        "slots": said.spoken.slots,
        "items": said.spoken.items,
        # Where replies do not depend on tone, only the tone that the system tells can be judged.
        "judged": "reply" if replies_differ else "event",
        "reply_class": tone if tone in spec.reply else "neutral",
    }
    return Stimulus(
        id=name,
        suite="tone",
        kind=name.split("/")[1],
        steps=tuple(script.steps),
        goal=script.goal,
        group=words,
        facts=facts,
    )


def _words(maker: Maker, rng: random.Random) -> Said | None:
    """Words to say: of intents whose replies know tones, if there are such.

    Nothing is on order yet, so what needs something is not asked for.
    """
    wants, known = maker.wants, maker.scenario.intents
    first = wants.first([*wants.add, *wants.other, *wants.ask])
    intents = [name for name in first if not known[name].reply_empty] or first
    toned = [name for name in intents if len(known[name].reply) > 1]
    return maker.say(toned or intents, rng) if intents else None
