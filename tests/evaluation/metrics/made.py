"""Trials made by hand: tones at known times for voices, so that every figure is known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.corpus.calls import Call
from antiphon.corpus.conversation import Conversation, Event
from antiphon.corpus.scenario import Scenario, load_scenario
from antiphon.evaluation.figures import Figure, Measured
from antiphon.evaluation.metrics import SUITES, Tools
from antiphon.evaluation.script import Clip, Goal, Step, Stimulus
from antiphon.evaluation.trial import Costs, Trial
from antiphon.runtime.events import AgentWordEvent, CallEvent, ToneEvent

RATE = 16_000
Span = tuple[float, float]

FILE = """
name: shop
slots:
  size: [small, large]
  tea:
    - green tea
    - black tea: black tea *3 | cuppa
    - tea
  digits:
    digits: [4, 6]
object:
  say:
    item: "@a [{size}] {tea}"
  reply: "@a [{size}] {tea}"
facts:
  price:
    by: [tea, size]
    rows:
      green tea:
        small: two dollars
        "*": three dollars
      "*":
        "*": five fifty
tools:
  place_order:
    parameters:
      type: object
      additionalProperties: false
      required: [items]
      properties:
        items:
          type: array
          minItems: 1
          maxItems: 3
          items:
            type: object
            additionalProperties: false
            required: [tea]
            properties:
              size: {slot: size}
              tea: {slot: tea}
  change_order:
    parameters:
      type: object
      additionalProperties: false
      minProperties: 1
      properties:
        size: {slot: size}
        tea: {slot: tea}
  cancel_order:
    parameters: {type: object, additionalProperties: false, properties: {}}
  card:
    parameters:
      type: object
      additionalProperties: false
      required: [digits]
      properties:
        digits: {slot: digits}
intents:
  order:
    say: i want <item>
    weight: 3
    call: place_order
    effect: add
    reply:
      neutral: okay , {said} .
      annoyed: so sorry for the wait , {said} .
  change:
    say: make it {size}
    weight: {empty: 0, held: 2}
    call: change_order
    effect: change
    reply: now {size} .
  cancel:
    say: cancel it
    weight: {empty: 0, held: 1}
    call: cancel_order
    effect: clear
    reply: your order is cancelled.
  card:
    say: my card is {digits}
    weight: 1
    call: card
    reply: thank you , {digits} .
  price:
    say: how much is @a [{size}] {tea}
    weight: 1
    reply: "{said} is {fact.price} ."
  other:
    say: (what is the weather | tell me a joke)
    weight: 1
    reply: (we only serve tea. | that is for somebody else to say.)
"""


@lru_cache(maxsize=1)
def shop() -> Scenario:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shop.yaml"
        path.write_text(FILE, encoding="utf-8")
        return load_scenario(path)


def tools(**more: Any) -> Tools:
    return Tools(scenario=shop(), **more)


def event(kind: str, start: float, end: float, /, **data: Any) -> Event:
    return Event(kind=kind, speaker="caller", start=start, end=end, data=data)


def words(text: str, start: float, end: float) -> list[AgentWordEvent]:
    """The words of a text, evenly over a stretch."""
    each = text.split()
    step = (end - start) / max(1, len(each))
    return [
        AgentWordEvent(time=start + i * step, text=word, start=start + i * step)
        for i, word in enumerate(each)
    ]


def tone(at: float, name: Any) -> ToneEvent:
    return ToneEvent(time=at, tone=name, probability=0.9)


def call(name: str, at: float = 2.0, **arguments: Any) -> CallEvent:
    return CallEvent(time=at, name=name, arguments=arguments)


def voice(spans: Sequence[Span], seconds: float, *, hertz: float = 200.0) -> np.ndarray:
    samples = np.zeros(round(seconds * RATE), np.float32)
    for start, end in spans:
        a, b = round(start * RATE), round(end * RATE)
        # A square wave: audible from its first sample to its last.
        time = np.arange(b - a)
        samples[a:b] = 0.2 * np.where(time * hertz / RATE % 1 < 0.5, 1.0, -1.0)
        # ... which dies away, as speech does, and is not cut off.
        samples[max(a, b - 240) : b] *= 0.06
    return samples


def trial(
    kind: str = "turn",
    *,
    suite: Any = "duplex",
    agent: Sequence[Span] = (),
    events: Sequence[Event] = (),
    told: Sequence[Any] = (),
    seconds: float = 10.0,
    name: str | None = None,
    group: str = "",
    seed: int = 0,
    condition: str = "clean",
    order: Sequence[dict[str, Any]] | None = None,
    calls: Sequence[Call] | None = None,
    expects: Sequence[Call] = (),
    repairs: int = 0,
    facts: dict[str, Any] | None = None,
    sound: np.ndarray | None = None,
    costs: Costs | None = None,
) -> Trial:
    clip = Clip(path="none", start=0.0, end=1.0)
    goal = None
    if order is not None or calls is not None:
        goal = Goal(
            order=None if order is None else tuple(order),
            calls=None if calls is None else tuple(calls),
        )
    stimulus = Stimulus(
        id=name or f"{suite}/{kind}/0",
        suite=suite,
        kind=kind,
        steps=tuple(Step(clip=clip, expects=c, repairs=(clip,) * repairs) for c in expects),
        goal=goal,
        condition=condition,
        group=group,
        facts=facts or {},
    )
    own = voice(agent, seconds) if sound is None else sound
    caller = voice([(e.start, e.end) for e in events if e.kind != "pause"], len(own) / RATE)
    return Trial(
        stimulus=stimulus,
        system="made",
        seed=seed,
        conversation=Conversation(np.stack([own, caller]), (), tuple(events)),
        told=tuple(told),
        costs=costs or Costs(p50=0.01, p99=0.02, mean=0.012, late=0),
    )


def measured(suite: str, trials: Sequence[Trial], **more: Any) -> Measured:
    return SUITES[suite](trials, tools(**more))


def figures(suite: str, trials: Sequence[Trial], **more: Any) -> dict[str, Figure]:
    return {f.name.partition(".")[2]: f for f in measured(suite, trials, **more).figures}
