"""Lays the turns of a dialogue, as speech, on two channels: when each starts, where they pause,
where one is broken off, and what the other side says beside it.

In: turns with their speech. Out: a Conversation. Knows nothing of voices or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.corpus.conversation import SPEAKERS, Conversation, Event, Speaker, Word
from antiphon.corpus.dialogue import Turn
from antiphon.corpus.voices.speech import Speech, faded, with_pauses

_ROOM = 0.15  # s from what is said beside a turn to the speaker's own next one, at least
_AUDIBLE = 0.05  # s of a word that must sound for it to have been said
_BREAK = 320  # samples over which a voice that is broken off dies away


@dataclass(frozen=True)
class Spoken:
    """A turn, how it sounded, and what else the corpus should know of it (its voice, ...).

    beside: the sounds of `turn.beside`, one each.
    """

    turn: Turn
    speech: Speech
    data: dict[str, Any]
    beside: tuple[Speech, ...] = ()


def mix(spoken: Sequence[Spoken], tail: float) -> Conversation:
    """The conversation: each turn starts `gap` s after the end of the one before it.

    tail: seconds of silence after the last; the whole is padded to a frame of 80 ms. A turn that
    breaks in cuts the one before it short: what it would still have said is in the data of its
    event ("unsaid"), for an agent has decided on words before they sound. A sound beside a turn
    that would reach the speaker's own next turn is left out.
    """
    desk = _Desk()
    asked: float | None = None  # where the caller's last turn ended
    for index, said in enumerate(spoken):
        following = spoken[index + 1].turn if index + 1 < len(spoken) else None
        asked = desk.lay(said, following, asked)
    return desk.conversation(tail)


@dataclass(frozen=True)
class _Laid:
    """Speech on a channel, from sample `at` on."""

    speaker: Speaker
    at: int
    speech: Speech

    @property
    def zero(self) -> float:
        """Seconds at which the speech's own time begins."""
        return self.at / SAMPLE_RATE

    def words(self) -> list[Word]:
        return [
            Word(text=text, start=_ms(self.zero + a), end=_ms(self.zero + b), speaker=self.speaker)
            for text, a, b in self.speech.words
        ]


class _Desk:
    """A mixing desk: what lies on the two channels so far."""

    def __init__(self) -> None:
        self.laid: list[_Laid] = []
        self.events: list[Event] = []
        self.end = 0.0  # of the turn that was laid last
        self.next_start: float | None = None  # where the next one breaks in

    def lay(self, said: Spoken, following: Turn | None, asked: float | None) -> float | None:
        """Put a turn down; returns where the caller's last turn has ended."""
        turn = said.turn
        speech, pauses = with_pauses(said.speech, turn.pauses)
        start = self.end + turn.gap if self.next_start is None else self.next_start
        at = round(max(start, speech.start) * SAMPLE_RATE) - round(speech.start * SAMPLE_RATE)
        zero, unsaid = at / SAMPLE_RATE, list[tuple[str, float, float]]()
        self.next_start = None
        if following is not None and following.breaks_in is not None:
            onset = speech.start + following.breaks_in * (speech.end - speech.start)
            stop = onset + following.yields
            if stop < speech.end:
                speech, unsaid = _cut(speech, stop)
                pauses = [(a, b) for a, b in pauses if b < stop]
            self.next_start = zero + onset
        laid = _Laid(turn.speaker, at, speech)
        self.laid.append(laid)
        start, end = zero + speech.start, zero + speech.end
        data = {"intent": turn.intent, "text": turn.text, "tone": turn.tone, **said.data}
        if unsaid:
            data["unsaid"] = [[text, _ms(zero + a), _ms(zero + b)] for text, a, b in unsaid]
            data["broken_at"] = _ms(self.next_start or end)
        if turn.breaks_in is not None:
            data["breaks_in"] = True
        if turn.speaker == "caller":
            asked = end
        for call in turn.calls:
            facts = {"name": call.name, "arguments": call.arguments}
            self._note("call", "agent", asked or start, asked or start, facts)
        self._note("turn", turn.speaker, start, end, data)
        for a, b in pauses:
            self._note("pause", turn.speaker, zero + a, zero + b, {})
        if self.next_start is not None:
            room = self.next_start - _ROOM
        elif following is not None:
            room = max(end, end + following.gap - _ROOM)
        else:
            room = end + _ROOM
        self._lay_beside(said, laid, room)
        self.end = end
        return asked

    def _lay_beside(self, said: Spoken, laid: _Laid, room: float) -> None:
        """Put down what is said beside a turn, where it is over by `room` (s)."""
        other: Speaker = "caller" if said.turn.speaker == "agent" else "agent"
        for beside, speech in zip(said.turn.beside, said.beside, strict=True):
            if beside.word >= len(laid.speech.words):
                continue
            start = laid.zero + laid.speech.words[beside.word][2] + beside.delay
            sound = _Laid(other, round((start - speech.start) * SAMPLE_RATE), speech)
            last = sound.zero + speech.end
            if last > room:
                continue
            self.laid.append(sound)
            data = {"text": beside.text, "intent": beside.kind}
            self._note(beside.kind, other, sound.zero + speech.start, last, data)

    def _note(
        self, kind: str, who: Speaker, start: float, end: float, data: dict[str, Any]
    ) -> None:
        self.events.append(Event(kind=kind, speaker=who, start=_ms(start), end=_ms(end), data=data))

    def conversation(self, tail: float) -> Conversation:
        """Everything on its channel."""
        longest = max((laid.at + len(laid.speech.samples) for laid in self.laid), default=0)
        needed = max(longest, round((self.end + tail) * SAMPLE_RATE), 1)
        audio = np.zeros((2, -(-needed // FRAME) * FRAME), np.float32)
        for laid in self.laid:
            sound = laid.speech.samples
            audio[SPEAKERS.index(laid.speaker), laid.at : laid.at + len(sound)] += sound
        words = sorted((w for laid in self.laid for w in laid.words()), key=lambda w: w.start)
        events = sorted(self.events, key=lambda event: event.start)
        return Conversation(np.clip(audio, -1, 1), tuple(words), tuple(events))


def _cut(speech: Speech, stop: float) -> tuple[Speech, list[tuple[str, float, float]]]:
    """The speech up to `stop` (s), its last word as far as it sounds; and the words left out."""
    said = [(text, a, min(b, stop)) for text, a, b in speech.words if a < stop - _AUDIBLE]
    if not said:
        said = [(speech.words[0][0], speech.words[0][1], max(stop, speech.words[0][1]))]
    unsaid = list(speech.words[len(said) :])
    samples = faded(speech.samples[: max(1, round(stop * SAMPLE_RATE))], _BREAK)
    return Speech(samples, tuple(said), speech.start, stop), unsaid


def _ms(seconds: float) -> float:
    return round(seconds, 3)
