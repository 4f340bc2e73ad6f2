"""What a session asks of whoever holds it: values, carried out on a call by `carrier`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from antiphon.runtime.events import Samples
from antiphon.serving.live.events import Told

Reason = Literal["close_requested", "expired", "content", "remote_hangup", "connection_lost"]


@dataclass(frozen=True, slots=True)
class Start:
    """Open a call, then `begin`; `keep` False: nothing of it may be kept."""

    keep: bool
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Push:
    """The caller's next samples, float32 [N] at `rate` Hz."""

    samples: Samples = field(repr=False)
    rate: int


@dataclass(frozen=True, slots=True)
class Say:
    """The agent shall say this."""

    text: str
    event_id: str | None


@dataclass(frozen=True, slots=True)
class Result:
    """A tool's result."""

    call_id: str
    output: str


@dataclass(frozen=True, slots=True)
class Press:
    """The caller pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True)
class Close:
    """End the call, then `end`."""

    reason: Reason


Act = Start | Push | Say | Result | Press | Close


@dataclass
class Reaction:
    """What a message leads to: messages for the client first, then acts, each in order."""

    told: list[Told] = field(default_factory=list["Told"])
    acts: list[Act] = field(default_factory=list["Act"])
