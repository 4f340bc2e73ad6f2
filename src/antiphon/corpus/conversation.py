"""What a corpus is made of: two channels of audio, timed words, and events.

Times are seconds from the start of the recording. Knows nothing of files, voices or tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from antiphon.audio import SAMPLE_RATE

Speaker = Literal["agent", "caller"]
SPEAKERS: tuple[Speaker, Speaker] = ("agent", "caller")  # in the order of the channels
SPOKEN = ("turn", "backchannel", "side_talk")  # kinds of events that are speech

_TURN_BREAK = 0.8  # s of silence of one speaker that parts two of their turns


class Word(BaseModel):
    """One spoken word, without punctuation; start and end in seconds."""

    model_config = ConfigDict(frozen=True)

    text: str
    start: float
    end: float
    speaker: Speaker


class Event(BaseModel):
    """Something that happened: "turn", "pause", "call", ...; start and end in seconds.

    turn: data holds "intent", "text", "tone", "voice"; start and end are the bounds of the speech.
    call: data holds "name" and "arguments"; start = end = the end of the turn that asked for it.
    """

    model_config = ConfigDict(frozen=True)

    kind: str
    speaker: Speaker
    start: float
    end: float
    data: dict[str, Any] = Field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Conversation:
    """audio: float32 [2, N] at 16 kHz, +-1 full scale, agent first; words and events by time."""

    audio: npt.NDArray[np.float32] = field(repr=False)
    words: tuple[Word, ...] = ()
    events: tuple[Event, ...] = ()

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.audio.shape[1] / SAMPLE_RATE

    def turns(self, speaker: Speaker | None = None) -> Iterator[Event]:
        """The turns, in order, of one side or of both."""
        for event in self.events:
            if event.kind == "turn" and speaker in (None, event.speaker):
                yield event


def turns_of(words: Iterable[Word], pause: float = _TURN_BREAK) -> tuple[Event, ...]:
    """Turn events for words that came without: a silence longer than `pause` (s) parts two."""
    turns: list[Event] = []
    for speaker in SPEAKERS:
        run: list[Word] = []
        said = sorted((w for w in words if w.speaker == speaker), key=lambda w: w.start)
        for word in said:
            if run and word.start - run[-1].end > pause:
                turns.append(_turn(run))
                run = []
            run.append(word)
        if run:
            turns.append(_turn(run))
    return tuple(sorted(turns, key=lambda turn: turn.start))


def _turn(run: list[Word]) -> Event:
    data = {"intent": "", "text": " ".join(w.text for w in run), "tone": "neutral"}
    end = max(word.end for word in run)
    return Event(kind="turn", speaker=run[0].speaker, start=run[0].start, end=end, data=data)
