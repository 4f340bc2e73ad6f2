"""What the guard says of a call: findings of its checks, and events for who watches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from antiphon.runtime.events import Samples

Action = Literal["block", "flag"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found wrong with a sentence, a call or the sound."""

    check: str
    """The check's name."""
    reason: str
    """A sentence."""
    first: int = 0
    """The first wrong word of the sentence, counted from 0."""
    open: bool = False
    """Whether the words that follow may show that nothing is wrong."""
    action: Action = "block"
    """flag: it is only told, and goes on."""
    passes: bool = False
    """Whether an open one is let through when the next word does not come in time."""


class GuardEvent(BaseModel):
    """Something that the guard found or did; beside the runtime's events, with their clock."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["guard"] = "guard"
    time: float
    """Seconds of the call."""
    action: Literal[
        "blocked",  # the rest of a sentence was replaced
        "flagged",  # something was found, and nothing done
        "call_blocked",  # a tool call was dropped
        "call_kept",  # a tool call waits for the caller's yes
        "call_released",  # ... and went on
        "corrected",  # a tool call was replaced by what the caller's words ask for
        "answered",  # a turn that the agent left unanswered was answered
        "resumed",  # the agent is heard again
        "fault",  # the engine or its sound cannot be trusted
        "level",  # who answers has changed: data has "before" and "after"
        "handover",  # a person is asked to take the call
    ]
    check: str = ""
    reason: str = ""
    text: str = ""
    """The sentence up to and with the wrong word; personal data is taken out."""
    phrase: str = ""
    """What is said instead."""
    heard: bool = False
    """Whether any of the wrong word was played before it was found."""
    data: dict[str, Any] = {}


class Judge(Protocol):
    """Whoever writes down what is said: lower-case words of float32 [N] at 16 kHz."""

    def __call__(self, samples: Samples, /) -> str: ...


class Say(Protocol):
    """Makes the agent say given words from its next frame on: `Session.say`, `LiveCall.say`."""

    def __call__(self, text: str, /) -> None: ...
