"""Lays the turns of a dialogue, as speech, on two channels: when each starts, and where they pause.

In: turns with their speech. Out: a Conversation. Knows nothing of voices or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.corpus.conversation import SPEAKERS, Conversation, Event, Word
from antiphon.corpus.dialogue import Turn
from antiphon.corpus.voices.speech import Speech, faded

_SEARCH = 0.06  # s around a word boundary in which a cut looks for quiet
_QUIET = 0.01  # s over which quiet is measured


@dataclass(frozen=True)
class Spoken:
    """A turn, how it sounded, and what else the corpus should know of it (its voice, ...)."""

    turn: Turn
    speech: Speech
    data: dict[str, Any]


def mix(spoken: Sequence[Spoken], tail: float) -> Conversation:
    """The conversation: each turn starts `gap` s after the end of the one before it.

    tail: seconds of silence after the last; the whole is padded to a frame of 80 ms. A negative
    gap makes the two overlap, each in its own channel.
    """
    placed: list[tuple[int, Spoken, Speech]] = []
    words: list[Word] = []
    events: list[Event] = []
    end = asked = 0.0
    for said in spoken:
        turn = said.turn
        speech, pauses = with_pauses(said.speech, turn.pauses)
        at = round(max(end + turn.gap, speech.start) * SAMPLE_RATE) - round(
            speech.start * SAMPLE_RATE
        )
        zero = at / SAMPLE_RATE
        placed.append((at, said, speech))
        words += [
            Word(text=text, start=_ms(zero + a), end=_ms(zero + b), speaker=turn.speaker)
            for text, a, b in speech.words
        ]
        start, end = zero + speech.start, zero + speech.end
        data = {"intent": turn.intent, "text": turn.text, "tone": turn.tone, **said.data}
        if turn.speaker == "caller":
            asked = end
        for call in turn.calls:
            facts = {"name": call.name, "arguments": call.arguments}
            when = _ms(asked or start)
            events.append(Event(kind="call", speaker="agent", start=when, end=when, data=facts))
        events.append(
            Event(kind="turn", speaker=turn.speaker, start=_ms(start), end=_ms(end), data=data)
        )
        events += [
            Event(kind="pause", speaker=turn.speaker, start=_ms(zero + a), end=_ms(zero + b))
            for a, b in pauses
        ]
    longest = max((at + len(speech.samples) for at, _, speech in placed), default=0)
    needed = max(longest, round((end + tail) * SAMPLE_RATE), 1)
    audio = np.zeros((2, -(-needed // FRAME) * FRAME), np.float32)
    for at, said, speech in placed:
        audio[SPEAKERS.index(said.turn.speaker), at : at + len(speech.samples)] += speech.samples
    words.sort(key=lambda word: word.start)
    events.sort(key=lambda event: event.start)
    return Conversation(np.clip(audio, -1, 1), tuple(words), tuple(events))


def with_pauses(
    speech: Speech, pauses: Sequence[tuple[int, float]]
) -> tuple[Speech, list[tuple[float, float]]]:
    """The speech with silence put in after some words: (index of the word, seconds) each.

    The cut is made where the sound is quietest near the boundary. Returns the silences' (start,
    end) in the new speech too. Pauses after a word that is not there or the last are left out.
    """
    silences: list[tuple[float, float]] = []
    for index, seconds in sorted(pauses):
        if not 0 <= index < len(speech.words) - 1:
            continue
        cut = _quietest(speech, index)
        gap = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
        parts = (faded(speech.samples[:cut]), gap, faded(speech.samples[cut:]))
        at, shift = cut / SAMPLE_RATE, len(gap) / SAMPLE_RATE
        before = [(text, a, min(b, at)) for text, a, b in speech.words[: index + 1]]
        after = [(text, max(a, at) + shift, b + shift) for text, a, b in speech.words[index + 1 :]]
        speech = Speech(np.concatenate(parts), (*before, *after), speech.start, speech.end + shift)
        silences.append((before[-1][2], after[0][1]))
    return speech, silences


def _quietest(speech: Speech, index: int) -> int:
    """The sample at which to cut between word `index` and the next."""
    _, start, end = speech.words[index]
    _, following, last = speech.words[index + 1]
    low = max(end - _SEARCH, (start + end) / 2)  # never into the heart of a short word
    high = min(following + _SEARCH, (following + last) / 2)
    width = round(_QUIET * SAMPLE_RATE)
    first = round(low * SAMPLE_RATE)
    power = np.square(speech.samples[first : round(high * SAMPLE_RATE)].astype(np.float64))
    if len(power) <= width:
        return round(end * SAMPLE_RATE)
    sums = np.convolve(power, np.ones(width), mode="valid")
    return first + int(sums.argmin()) + width // 2


def _ms(seconds: float) -> float:
    return round(seconds, 3)
