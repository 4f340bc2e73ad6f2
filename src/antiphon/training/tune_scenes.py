"""Exchanges to practise: a prepared conversation up to a point, and the caller's sound after it.

Up to the point everything is as it was in the corpus, the agent's part too; from there on the
agent is on its own. So what is right is known, whatever it did in earlier samples. The caller is
scripted: after the turn that is practised nothing more is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from antiphon.corpus.calls import Call
from antiphon.corpus.conversation import SPOKEN, Event
from antiphon.corpus.tokenizer import normalise
from antiphon.model.config import FIRST_PIECE
from antiphon.training.duplex import Example
from antiphon.training.prepare import Flat, Item
from antiphon.training.streams import SECONDS

Kind = Literal["reply", "break", "hold"]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_SLACK = 14  # frames that the agent may take longer than in the corpus
_BEFORE = 4  # frames before a caller's turn at which a shortened past begins
_LEFT = 4  # pieces that must be left to say where the agent is to go on speaking


@dataclass(frozen=True)
class Scene:
    """Frames count from `start`, seconds too; everything before frame `prefix` is given.

    reply: the caller says something; break: while the agent speaks; hold: the caller murmurs
    along, or talks to somebody else, and the agent is to finish its sentence.
    """

    kind: Kind
    example: Example
    start: int  # the conversation's frame with which it begins
    prefix: int
    frames: int
    sound: int  # frames of the caller's sound; silence follows
    onset: float  # where the caller begins
    ends: float  # where the caller has ended
    asked: Event | None  # the caller's turn; hold: none
    answer: Event | None  # the agent's turn in the corpus: the reply, or the one to finish
    calls: tuple[Call, ...]  # those that are right

    @property
    def item(self) -> Item:
        """The conversation."""
        return self.example.item

    @property
    def tone(self) -> str:
        """How the caller says it."""
        return str(self.asked.data.get("tone", "neutral")) if self.asked else "neutral"

    def text(self) -> Ints:
        """The agent's text that is given: [prefix]."""
        return self.example.streams.text[self.start : self.start + self.prefix]

    def call(self) -> Ints:
        """The call tokens that are given: [prefix]."""
        return self.example.streams.call[self.start : self.start + self.prefix]

    def codes(self, flat: Flat, codebooks: int) -> Ints:
        """The codes decided in the given frames, each those of the frame after: [prefix, Q]."""
        return flat.codes(self.item.offset + self.start + 1, self.prefix, codebooks)

    def samples(self, flat: Flat) -> Floats:
        """The caller's sound: [sound * 1280]."""
        return flat.caller(self.item.offset + self.start, self.sound)


def scenes(examples: Iterable[Example], longest: int) -> list[Scene]:
    """Every exchange of prepared conversations that is at most `longest` frames with some past."""
    return [scene for example in examples for scene in _of(example, longest)]


def backchannels(items: Iterable[Item]) -> frozenset[str]:
    """What agents murmur while a caller goes on: not an answer, and not taking the turn."""
    return frozenset(
        normalise(str(event.data.get("text", "")))
        for item in items
        for event in item.events
        if event.kind == "backchannel" and event.speaker == "agent"
    )


def _of(example: Example, longest: int) -> Iterator[Scene]:
    events = sorted(example.item.events, key=lambda e: e.start)
    turns = [e for e in events if e.kind == "turn"]
    for index, turn in enumerate(turns):
        following = turns[index + 1] if index + 1 < len(turns) else None
        if turn.speaker == "caller":
            reply = following if following and following.speaker == "agent" else None
            before = turns[index - 1] if index else None
            broken = before is not None and bool(before.data.get("unsaid"))
            yield from _asked(example, turn, reply, "break" if broken else "reply", longest)
        elif not turn.data.get("unsaid"):
            for aside in events:
                murmured = aside.kind in ("backchannel", "side_talk") and aside.speaker == "caller"
                if murmured and turn.start < aside.start < turn.end:
                    yield from _held(example, turn, aside, longest)


def _asked(
    example: Example, turn: Event, reply: Event | None, kind: Kind, longest: int
) -> Iterator[Scene]:
    calls = tuple(
        Call(name=e.data["name"], arguments=e.data["arguments"])
        for e in example.item.events
        if e.kind == "call" and abs(e.start - turn.end) < 0.02
    )
    last = turn.end + 2.0
    if reply is not None:
        last = max([reply.end, *(end for _, _, end in reply.data.get("unsaid", ()))])
    yield from _cut(example, kind, turn, turn, reply, calls, last, longest)


def _held(example: Example, turn: Event, aside: Event, longest: int) -> Iterator[Scene]:
    rest = example.streams.text[_frame(aside.start) : _frame(turn.end)]
    if (rest >= FIRST_PIECE).sum() >= _LEFT:
        yield from _cut(example, "hold", None, aside, turn, (), turn.end, longest)


def _cut(
    example: Example,
    kind: Kind,
    asked: Event | None,
    heard: Event,
    answer: Event | None,
    calls: tuple[Call, ...],
    last: float,
    longest: int,
) -> Iterator[Scene]:
    """The scene in which `heard` is heard and that is over at `last`, if it is short enough."""
    item = example.item
    until = _frame(last) + _SLACK
    starts = [0, *(max(0, _frame(t.start) - _BEFORE) for t in item.turns("caller"))]
    own = _frame(heard.start)
    start = next((s for s in starts if until - s <= longest and s < own), None)
    if start is None or own >= item.frames - 2:
        return
    later = [
        e.start
        for e in item.events
        if e.speaker == "caller" and e.kind in SPOKEN and e.start >= heard.end - 0.01
    ]
    sound = min([item.frames, *map(_frame, later)])
    zero = start * SECONDS
    yield Scene(
        kind=kind,
        example=example,
        start=start,
        prefix=own - start,
        frames=until - start,
        sound=min(sound, until) - start,
        onset=heard.start - zero,
        ends=heard.end - zero,
        asked=asked,
        answer=answer,
        calls=calls,
    )


def draw(
    found: Sequence[Scene], count: int, shares: dict[Kind, float], rng: np.random.Generator
) -> list[Scene]:
    """`count` scenes of like length, each kind in its share where there is any of it.

    shares: of the kinds but "reply", which gets the rest.
    """
    kinds: dict[Kind, list[Scene]] = {"reply": [], "break": [], "hold": []}
    for scene in found:
        kinds[scene.kind].append(scene)
    for kind in kinds:
        kinds[kind].sort(key=lambda s: s.frames)
    odds: dict[Kind, float] = {name: share for name, share in shares.items() if kinds[name]}
    odds["reply"] = max(0.0, 1.0 - sum(odds.values())) if kinds["reply"] else 0.0
    if not sum(odds.values()):  # there is none of the kinds that were asked for
        odds = {kind: float(len(pool)) for kind, pool in kinds.items()}
    names, chances = list(odds), np.array(list(odds.values())) / sum(odds.values())
    place = float(rng.random())  # scenes of one length, so that little of a batch is padding
    drawn: list[Scene] = []
    for _ in range(count):
        pool = kinds[names[int(rng.choice(len(names), p=chances))]]
        near = np.clip(place + rng.normal() * 0.05, 0, 1)
        drawn.append(pool[min(int(near * len(pool)), len(pool) - 1)])
    return drawn


def _frame(seconds: float) -> int:
    return int(seconds / SECONDS + 1e-6)
