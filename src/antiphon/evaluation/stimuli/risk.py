"""Risk: silence, noise, strangers' talk, what must be refused, and what only sounds like it."""

from __future__ import annotations

from typing import Any

import numpy as np

from antiphon.audio import SAMPLE_RATE
from antiphon.corpus.grammar import join
from antiphon.evaluation.noises import NOISES, clatter, hiss, murmur
from antiphon.evaluation.script import Goal, Step, Stimulus
from antiphon.evaluation.stimuli.maker import Maker, numpy_rng, seconds
from antiphon.evaluation.stimuli.task import Script, begin, goal_of, order

_SILENCE = (6.0, 10.0)  # s
_NOISE = (6.0, 9.0)
_IDLE_DB = (-75.0, -50.0)  # the rush of an idle line, dB of full scale
_LEVEL = (0.01, 0.06)  # RMS of backgrounds: up to that of a voice


def silence(maker: Maker, name: str) -> Stimulus:
    """A line on which nobody speaks: digital silence once in four, else the line's own rush."""
    rng = maker.rng(name)
    length = seconds(rng, *_SILENCE)
    if int(name.rpartition("/")[2]) % 4 == 0:
        return _stimulus(maker, name, (), facts={"right": "silence"}, seconds=length, group=name)
    level = rng.uniform(*_IDLE_DB)
    clip = maker.noise(f"{name}.0", hiss(numpy_rng(rng), length, level))
    facts = {"right": "silence", "level_db": round(level, 1)}
    return _stimulus(maker, name, (Step(clip=clip, kind="noise"),), facts=facts, group=name)


def noise_only(maker: Maker, name: str) -> Stimulus:
    """Noise to which nobody speaks: single sounds, a kitchen, people far away."""
    rng = maker.rng(name)
    made = numpy_rng(rng)
    length = round(rng.uniform(*_NOISE) * SAMPLE_RATE)
    kinds = (*NOISES, "murmur", "clatter")
    sound = kinds[int(name.rpartition("/")[2]) % len(kinds)]
    if sound in NOISES:
        samples = np.zeros(length, np.float32)
        at = int(rng.uniform(0.3, 1.0) * SAMPLE_RATE)
        while at < length:
            one = NOISES[sound](made) * np.float32(rng.uniform(0.3, 1.0))
            part = one[: length - at]
            samples[at : at + len(part)] += part
            at += len(part) + int(rng.uniform(0.5, 2.0) * SAMPLE_RATE)
    else:
        background = murmur(length, made) if sound == "murmur" else clatter(length, made)
        size = np.sqrt(np.mean(np.square(background)))
        samples = background * np.float32(rng.uniform(*_LEVEL) / size)
    clip = maker.noise(f"{name}.0", np.clip(samples, -1.0, 1.0))
    facts = {"right": "silence", "noise": sound}
    return _stimulus(maker, name, (Step(clip=clip, kind="noise"),), facts=facts, group=name)


def out_of_domain(maker: Maker, name: str) -> Stimulus:
    """A question from another world: nothing may be done, and nothing claimed."""
    return _declined(maker, name, maker.generic.out_of_domain, {"right": "decline"})


def unsafe(maker: Maker, name: str) -> Stimulus:
    """What must be refused."""
    categories = list(maker.generic.unsafe)
    category = categories[int(name.rpartition("/")[2]) % len(categories)]
    facts = {"right": "refuse", "category": category}
    return _declined(maker, name, maker.generic.unsafe[category], facts)


def safe_lookalike(maker: Maker, name: str) -> Stimulus | None:
    """An ordinary request in words that sound like something to refuse."""
    script = begin(maker, name)
    rng = script.rng
    wants = maker.wants
    firsts = wants.first([*wants.other, *wants.ask])
    said = order(maker, rng, several=False)
    if said is None:
        if not firsts:
            return None
        said = maker.say(firsts, rng)
    ask = join(said.spoken.tokens).split()
    text = maker.words(maker.generic.safe_lookalike, rng, ask=ask)
    script.put(maker.clip(f"{name}.0", script.person, text, rng), said)
    facts = {"right": "serve", "intent": said.intent}
    goal = goal_of(maker.scenario, script.calls)
    return _stimulus(
        maker, name, tuple(script.steps), facts=facts, group=script.person.name, goal=goal
    )


def _declined(
    maker: Maker, name: str, templates: tuple[str, ...], facts: dict[str, Any]
) -> Stimulus:
    script: Script = begin(maker, name)
    rng = script.rng
    text = maker.words(templates, rng)
    step = Step(
        clip=maker.clip(f"{name}.0", script.person, text, rng), after=seconds(rng, 0.4, 0.7)
    )
    return _stimulus(maker, name, (step,), facts=facts, group=script.person.name)


def _stimulus(
    maker: Maker,
    name: str,
    steps: tuple[Step, ...],
    *,
    facts: dict[str, Any],
    group: str,
    seconds: float = 0.0,
    goal: Goal | None = None,
) -> Stimulus:
    return Stimulus(
        id=name,
        suite="risk",
        kind=name.split("/")[1],
        steps=steps,
        goal=goal or goal_of(maker.scenario, ()),  # nothing may be done
        seconds=seconds,
        group=group,
        facts=facts,
    )
