"""An answered call as a `Conversation`, so that it can be drawn, kept and trained on."""

from __future__ import annotations

import numpy as np

from antiphon.audio import SAMPLE_RATE
from antiphon.corpus.conversation import Conversation, Event, Speaker, Word, turns_of
from antiphon.runtime.agent import Answer
from antiphon.runtime.events import AgentWordEvent, CallerWordEvent, CallEvent

LETTER = 0.075  # seconds a letter: streams tell one end of a word, this guesses the other
BREATH = 0.08


def as_conversation(answer: Answer) -> Conversation:
    """The call as it was played: both voices on the caller's clock, words, turns and calls.

    Word times are the streams' own, good to a frame or two of 80 ms.
    """
    agent: list[Word] = []
    caller: list[Word] = []
    events: list[Event] = []
    for event in answer.events:
        if isinstance(event, AgentWordEvent):
            end = event.start + BREATH + LETTER * len(event.text)
            agent.append(_word(event.text, event.start, end, "agent"))
        elif isinstance(event, CallerWordEvent):
            start = max(0.0, event.end - BREATH - LETTER * len(event.text))
            caller.append(_word(event.text, start, event.end, "caller"))
        elif isinstance(event, CallEvent):
            data = {"name": event.name, "arguments": event.arguments}
            events.append(
                Event(kind="call", speaker="agent", start=event.time, end=event.time, data=data)
            )
    words = sorted([*_apart(agent), *_apart(caller)], key=lambda word: word.start)
    events = sorted([*events, *turns_of(words)], key=lambda event: event.start)
    audio = np.stack([answer.audio, answer.caller])
    length = audio.shape[1] / SAMPLE_RATE
    inside = tuple(word for word in words if word.start < length)
    return Conversation(audio=audio, words=inside, events=tuple(events))


def _word(text: str, start: float, end: float, speaker: Speaker) -> Word:
    return Word(text=text, start=start, end=max(end, start), speaker=speaker)


def _apart(words: list[Word]) -> list[Word]:
    """Guessed bounds moved back to where a neighbour's begin."""
    out: list[Word] = []
    for index, word in enumerate(words):
        end = word.end
        if word.speaker == "agent" and index + 1 < len(words):
            end = min(end, max(words[index + 1].start, word.start))
        start = word.start
        if word.speaker == "caller" and out:
            start = min(max(start, out[-1].end), end)
        out.append(word.model_copy(update={"start": start, "end": end}))
    return out
