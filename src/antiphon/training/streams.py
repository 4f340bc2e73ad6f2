"""A conversation as the network's streams: one value for every 80 ms frame.

Index t is the network's step t: it has just heard the caller's frame t and decides what the
agent does in frame t + 1. So a word whose sound begins in the agent's frame f is sounded by
step f - 1; its text comes `lead` steps earlier, but never before the step that opens the
turn. The caller's words come `lag` steps after their last frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.corpus.calls import Call, CallVocabulary
from antiphon.corpus.conversation import Event, Word
from antiphon.corpus.delivery import OWN, Delivery
from antiphon.corpus.tokenizer import Tokenizer

Ints = npt.NDArray[np.int64]
SECONDS = FRAME / SAMPLE_RATE  # 0.08
LISTENING, SPEAKING, YIELDING, BACKCHANNELLING = 0, 1, 2, 3
TONE_IDS = {"neutral": 0, "annoyed": 1, "rushed": 1, "hesitant": 2, "sad": 2, "cheerful": 3}


class Timing(BaseModel):
    """How far the text streams stand from their audio, in frames of 80 ms."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lead: int = 3
    # The lead of a turn's first piece: with 0 it comes in the step that sounds it. More is silence.
    opening: int = Field(default=1, ge=0)
    stopping: float = 0.42  # s over a caller who breaks in after which going on is no example
    lag: int = 3
    eagerness: float = 1.0  # nats, when running: antiphon.model.step.FrameStep
    yielding: float = 0.0  # likewise
    due: float = Field(default=1.0, gt=0, le=1)  # likewise: when a reply is overdue
    give_way: float = Field(default=1.0, gt=0, le=1)  # likewise: when to stop for a caller


@dataclass(frozen=True)
class Streams:
    """All arrays are [T], int64; `tone` is -1 where the caller says nothing.

    late: 1 where the agent talks on over a caller who broke in, and should have stopped: it is to
        see what it is to get out of, and not to learn to stay there.
    delivery: how the agent speaks, and whether it was `directed` to, whatever the caller's voice.
    """

    text: Ints
    caller_text: Ints
    call: Ints
    voice: Ints
    turn: Ints
    tone: Ints
    late: Ints
    delivery: Delivery = OWN
    directed: bool = False

    @property
    def frames(self) -> int:
        """T."""
        return len(self.text)


def _frame(seconds: float) -> int:
    return int(seconds / SECONDS + 1e-6)


def _put(stream: Ints, ids: Sequence[int], at: int) -> int:
    """Write ids one a frame from `at` on, after whatever stands there; returns the next frame."""
    for i in ids:
        while at < len(stream) and stream[at] != 0:
            at += 1
        if at >= len(stream):
            return at
        if at >= 0:
            stream[at] = i
        at += 1
    return at


def _meant(words: Sequence[Word], turn: Event, timing: Timing) -> list[Word]:
    """The words of an agent's turn, and those that it had begun to mean when it was broken off."""
    cut = _frame(turn.end)
    return [
        *words,
        *(
            Word(text=text, start=start, end=end, speaker="agent")
            for text, start, end in turn.data.get("unsaid", ())
            if _frame(start) - 1 - timing.lead < cut
        ),
    ]


def _agent_text(
    stream: Ints, words: Sequence[Word], turn: Event, tokenizer: Tokenizer, timing: Timing
) -> None:
    opens = _frame(turn.start) - 1 - timing.opening
    at = max(opens, 0)
    for word in words:
        wanted = _frame(word.start) - 1 - timing.lead
        at = _put(stream, tokenizer.pieces(word.text), max(at, wanted, opens, 0))
    # A turn that is broken off ends when it does: nobody knows that three frames before.
    over = _frame(turn.end) - (0 if turn.data.get("unsaid") else timing.lead)
    _put(stream, (1,), max(at, over))


def align(
    frames: int,
    words: Sequence[Word],
    events: Sequence[Event],
    tokenizer: Tokenizer,
    calls: CallVocabulary,
    timing: Timing,
) -> Streams:
    """The streams of a conversation of `frames` frames."""
    zeros = np.zeros(frames, dtype=np.int64)
    text, caller_text, call = zeros.copy(), zeros.copy(), zeros.copy()
    voice, turn_state, tone = zeros.copy(), zeros.copy(), zeros.copy() - 1
    late = zeros.copy()
    turns = [event for event in events if event.kind == "turn"]
    asides = [event for event in events if event.kind in ("backchannel", "side_talk")]
    for turn in [*turns, *asides]:
        inside = [
            w
            for w in words
            if w.speaker == turn.speaker and turn.start - 0.02 <= w.start < turn.end
        ]
        first, last = _frame(turn.start), _frame(turn.end)
        if turn.speaker == "agent":
            _agent_text(text, _meant(inside, turn, timing), turn, tokenizer, timing)
            state = BACKCHANNELLING if turn.kind == "backchannel" else SPEAKING
            turn_state[max(first - 1, 0) : last] = state
            if "broken_at" in turn.data:
                asked = _frame(turn.data["broken_at"])
                turn_state[asked:last] = YIELDING
                if turn.end - turn.data["broken_at"] > timing.stopping:
                    late[asked:last] = 1
        elif turn.kind == "turn" and turn.data.get("voice") != "recorded":
            # A recording that stands in for a caller has a tone that nobody has told.
            tone[first : last + 1] = TONE_IDS.get(str(turn.data.get("tone", "neutral")), 0)
    for word in words:
        if word.speaker == "caller":
            voice[_frame(word.start) : _frame(word.end) + 1] = 1
            _put(caller_text, tokenizer.pieces(word.text), _frame(word.end) + timing.lag)
    for event in events:
        if event.kind == "call":
            reply = next(
                (t for t in turns if t.speaker == "agent" and t.start >= event.start - 0.02), None
            )
            if reply is None:
                continue
            made = Call(name=event.data["name"], arguments=event.data["arguments"])
            at = _frame(reply.start) - 1 - timing.opening
            _put(call, calls.encode(made), max(at, 0))
    reply = next((turn for turn in turns if turn.speaker == "agent"), None)
    said: dict[str, Any] = reply.data if reply is not None else {}
    how = Delivery(said.get("style"), said.get("speed"))
    directed = bool(said.get("directed"))
    return Streams(text, caller_text, call, voice, turn_state, tone, late, how, directed)


CHARACTERS = " abcdefghijklmnopqrstuvwxyz'"


def spell(text: str) -> list[int]:
    """CTC targets of normalised text; 0 is the blank."""
    return [CHARACTERS.index(c) + 1 for c in text if c in CHARACTERS]
