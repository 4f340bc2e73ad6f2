"""What a call tells: small frozen events, in the order in which they came.

`time` is when it came: seconds since the call was set up, by this client's clock.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, SkipValidation

Samples = npt.NDArray[np.float32]
Speaker = Literal["caller", "agent"]


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    time: float
    """Seconds."""


class Audio(_Event):
    """The agent's next sound: float32 [N] at the call's rate, to play after what came before."""

    type: Literal["audio"] = "audio"
    samples: Annotated[Samples, SkipValidation] = Field(repr=False)
    item: str
    """What it is part of: sound of one item follows without a gap."""


class CallerWords(_Event):
    """What the caller was heard to say: a piece of it, or, when `final`, all of the item."""

    type: Literal["caller_words"] = "caller_words"
    text: str
    item: str
    final: bool = False


class AgentWords(_Event):
    """What the agent says: a piece of it, or, when `final`, all of the item. Ahead of its sound."""

    type: Literal["agent_words"] = "agent_words"
    text: str
    item: str
    final: bool = False


class ToolCall(_Event):
    """The agent calls a tool; it is to be answered with `Call.tool_result`."""

    type: Literal["tool_call"] = "tool_call"
    id: str
    name: str
    arguments: dict[str, Any]


class Turn(_Event):
    """A side began or ended to speak.

    When the caller starts, or the agent ends `interrupted`, what has not been played yet of the
    agent's sound is not to be played.
    """

    type: Literal["turn"] = "turn"
    speaker: Speaker
    state: Literal["started", "ended"]
    item: str
    at: float | None = None
    """The caller's: where in the sound that was sent, in seconds."""
    interrupted: bool = False


class Problem(_Event):
    """The server could not do what was asked of it; the call goes on."""

    type: Literal["problem"] = "problem"
    message: str
    code: str | None = None
    param: str | None = None
    """The field at fault."""


class Extra(_Event):
    """An Antiphon server's own event ("tone", "turn", "state"), if `extras` were asked for."""

    type: Literal["extra"] = "extra"
    name: str
    fields: dict[str, Any]


Event = Audio | CallerWords | AgentWords | ToolCall | Turn | Problem | Extra
