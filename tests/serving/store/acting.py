"""Calls for the tests of the store: told to an observer as a server would tell them."""

from __future__ import annotations

from typing import Any

import numpy as np

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.runtime.events import AgentWordEvent, CallerWordEvent, Samples
from antiphon.serving.call import CallInfo
from antiphon.serving.turns import ToolCall, Turn

ORDER = ToolCall(id="t1", name="place_order", arguments={"items": [{"drink": "latte"}]})


def tone(frame: int, hertz: float) -> Samples:
    """Frame number `frame` of a sine: float32 [1280], 16 kHz."""
    time = (np.arange(FRAME) + frame * FRAME) / SAMPLE_RATE
    return (0.4 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def info(**given: Any) -> CallInfo:
    """A call to the tiny agent."""
    return CallInfo(**({"bundle": "tiny", "protocol": "realtime", "key": "key_a"} | given))


def turn(index: int, speaker: str, text: str, start: float = 0.0, **given: Any) -> Turn:
    """A turn whose words last 0.2 s each."""
    words = tuple(
        (word, start + 0.2 * place, start + 0.2 * place + 0.15 if speaker == "caller" else None)
        for place, word in enumerate(text.split())
    )
    facts = {"end": start + 0.2 * len(words), "words": words, "start": start} | given
    return Turn(index=index, speaker=speaker, text=text, **facts)  # type: ignore[arg-type]


def beats(observer: Any, call_id: str, count: int, first: int = 0) -> None:
    """`count` beats: the caller hums at 220 Hz, the agent at 440."""
    for frame in range(first, first + count):
        observer.heard(call_id, tone(frame, 220))
        observer.played(call_id, tone(frame, 440))


def whole_call(
    observer: Any, call: CallInfo | None = None, *, words: str = "a latte please"
) -> str:
    """An order of two seconds and its answer; gives the call's id."""
    call = call or info()
    observer.opened(call)
    beats(observer, call.id, 15)
    observer.event(call.id, CallerWordEvent(time=1.2, text="latte", end=0.5))
    observer.turn(call.id, turn(0, "caller", words, 0.1, tone="cheerful"))
    observer.event(call.id, AgentWordEvent(time=1.3, text="coming", start=1.3))
    beats(observer, call.id, 10, 15)
    answer = turn(1, "agent", "a latte coming up", 1.2, gap_ms=340.0, calls=(ORDER,))
    observer.turn(call.id, answer)
    observer.closed(call.id, "client")
    return call.id
