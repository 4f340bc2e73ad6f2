"""What a session tells its user: small frozen events, each with its time in the call.

`time` is seconds of the caller's audio that had been heard when the event came out, which for a
live call is the time on the clock. An `Audio` event's samples begin to play at its `time`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, SkipValidation

Samples = npt.NDArray[np.float32]

TurnState = Literal["listening", "speaking", "yielding", "backchannelling"]
Tone = Literal["neutral", "annoyed", "hesitant", "cheerful"]
TURN_STATES: tuple[TurnState, ...] = ("listening", "speaking", "yielding", "backchannelling")
TONES: tuple[Tone, ...] = ("neutral", "annoyed", "hesitant", "cheerful")


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    time: float
    """Seconds."""


class AudioEvent(_Event):
    """80 ms of the agent's voice: float32 [1280], 16 kHz, to play from `time` on."""

    type: Literal["audio"] = "audio"
    samples: Annotated[Samples, SkipValidation] = Field(repr=False)


class AgentWordEvent(_Event):
    """A word of the agent's inner monologue; it sounds from about `start` (seconds) on."""

    type: Literal["agent_word"] = "agent_word"
    text: str
    start: float


class CallerWordEvent(_Event):
    """A word of the caller's, whose sound was over at about `end` (seconds)."""

    type: Literal["caller_word"] = "caller_word"
    text: str
    end: float


class CallEvent(_Event):
    """A finished tool call, valid by its schema."""

    type: Literal["call"] = "call"
    name: str
    arguments: dict[str, Any]


class TurnEvent(_Event):
    """The agent's part in the conversation changed."""

    type: Literal["turn"] = "turn"
    state: TurnState
    probability: float


class ToneEvent(_Event):
    """The caller's tone, told when it changes while the caller speaks."""

    type: Literal["tone"] = "tone"
    tone: Tone
    probability: float


Event = Annotated[
    AudioEvent | AgentWordEvent | CallerWordEvent | CallEvent | TurnEvent | ToneEvent,
    Field(discriminator="type"),
]
