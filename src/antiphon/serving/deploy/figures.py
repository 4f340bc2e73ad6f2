"""What went wrong in a call, as yes or no, from what the store keeps of it.

One call counts once in each figure: turns of a call go wrong together, and counting them would
make a few bad calls look like proof. Nobody knows what the caller truly wanted, so a figure says
little of one call and much of two versions whose callers were drawn by lot.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, ConfigDict

from antiphon.corpus.edits import distance
from antiphon.serving.store.reading import CallRecord

VERSION = "antiphon.version"
"""The entry of a call's metadata that names the version which answers it."""
SHADOW_OF = "antiphon.shadow_of"
"""The entry of a shadow's metadata that names the call which it heard."""
SHADOW = "shadow"
"""The protocol of a shadow's own call."""

_LEAST = 8  # letters of a turn that can be said again
_ALIKE = 0.2  # share of letters in which a turn may differ from the one that it repeats
_OURS = ("server: going down", "server: it was stopped", "server: it stopped")
_FAILED = ("engine", "server")


class Outcome(BaseModel):
    """A finished call, as it counts."""

    model_config = ConfigDict(frozen=True)

    call: str
    version: str
    shadow: bool
    started: datetime
    ended: datetime
    failed: dict[str, bool]
    """Every figure of FIGURES."""


def outcome(record: CallRecord) -> Outcome | None:
    """How a call counts; None where it goes on, has no version, or the server's end was its own."""
    call = record.call
    version = call.metadata.get(VERSION)
    if call.ended is None or version is None or (call.reason or "").startswith(_OURS):
        return None
    return Outcome(
        call=call.id,
        version=version,
        shadow=call.protocol == SHADOW,
        started=call.started,
        ended=call.ended,
        failed={name: wrong(record) for name, wrong in FIGURES.items()},
    )


def _faults(record: CallRecord) -> bool:
    """The engine or the server failed."""
    reason = (record.call.reason or "").partition(":")[0]
    return reason in _FAILED or _guarded(record, "fault")


def _blocked(record: CallRecord) -> bool:
    """The guard replaced a sentence, or dropped, mended or made a tool call."""
    return _guarded(record, "blocked", "call_blocked", "corrected", "answered")


def _handover(record: CallRecord) -> bool:
    """Somebody else had to answer: the cascade or a person."""
    away = any(
        _data(event.data).get("after") in ("cascade", "handover")
        for event in record.events
        if event.type == "guard" and event.data.get("action") == "level"
    )
    return away or _guarded(record, "handover")


def _undone(record: CallRecord) -> bool:
    """No tool was called."""
    return not record.tool_calls


def _unasked(record: CallRecord) -> bool:
    """A tool was called before the caller had said a word."""
    asked = [turn.start for turn in record.turns if turn.speaker == "caller"]
    begun = {turn.index: turn.start for turn in record.turns}
    first = min(asked, default=float("inf"))
    return any(begun.get(call.turn, 0.0) < first for call in record.tool_calls)


def _unanswered(record: CallRecord) -> bool:
    """The agent said nothing."""
    return not any(turn.speaker == "agent" and turn.text for turn in record.turns)


def _repeats(record: CallRecord) -> bool:
    """The caller had to say the same again."""
    said = [turn.text for turn in record.turns if turn.speaker == "caller"]
    return any(
        len(now) >= _LEAST and distance(now, before) <= _ALIKE * max(len(now), len(before))
        for before, now in pairwise(said)
    )


FIGURES: dict[str, Callable[[CallRecord], bool]] = {
    "faults": _faults,
    "blocked": _blocked,
    "handover": _handover,
    "undone": _undone,
    "unasked": _unasked,
    "unanswered": _unanswered,
    "repeats": _repeats,
}
"""Risk first, then task."""


def _guarded(record: CallRecord, *actions: str) -> bool:
    return any(e.type == "guard" and e.data.get("action") in actions for e in record.events)


def _data(data: dict[str, Any]) -> dict[str, Any]:
    return data.get("data") or {}
