"""Logs: one line an occurrence, readable or JSON, with the call's id on every line that has one.

`configure` sets up Python's logging for the process; `of_call` names the call for everything that
is logged inside of it, in this task and those that it starts. What was said is not logged unless
`words` asks for it, and never what was said in a recording pause.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.runtime.events import Samples

if TYPE_CHECKING:
    from antiphon.serving.call import CallInfo, Observer
    from antiphon.serving.turns import Turn

_CALL: ContextVar[str | None] = ContextVar("antiphon_call", default=None)
_BEAT = FRAME / SAMPLE_RATE
# What every record has; all else was given with `extra=` and is shown.
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "call",
    "taskName",
    "color_message",
}

Level = Literal["debug", "info", "warning", "error"]


class LogConfig(BaseModel):
    """How a server logs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Level = "info"
    json_lines: bool = False
    """One JSON object a line instead of text for people."""
    words: bool = False
    """Also what was said, turn by turn. It is personal data: the log must be kept accordingly."""


@contextmanager
def of_call(call_id: str) -> Generator[None]:
    """Whatever is logged inside is about this call."""
    token = _CALL.set(call_id)
    try:
        yield
    finally:
        _CALL.reset(token)


class _CallName(logging.Filter):
    """Puts the call's id on every record that does not name one itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "call"):
            record.call = _CALL.get()
        return True


class JsonLines(logging.Formatter):
    """{"time", "level", "logger", "message", "call", and what else was given} as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        call = getattr(record, "call", None)
        if call:
            line["call"] = call
        line |= _given(record)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class Readable(logging.Formatter):
    """12:00:01.250 info  serving.store  call_1f...  the message  name=value"""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback of an error below it."""
        at = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        parts = [at, f"{record.levelname.lower():<7}", record.name.removeprefix("antiphon.")]
        call = getattr(record, "call", None)
        parts += [call] if call else []
        # A line is a line: what comes from outside must not be able to begin another one.
        parts.append(record.getMessage().replace("\r", "\\r").replace("\n", "\\n"))
        parts += [f"{name}={_short(value)}" for name, value in _given(record).items()]
        text = "  ".join(parts)
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def configure(config: LogConfig, stream: IO[str] | None = None) -> logging.Handler:
    """Log to `stream` (stderr), uvicorn's lines as well; gives the handler."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if config.json_lines else Readable())
    handler.addFilter(_CallName())
    root = logging.getLogger()
    for old in [h for h in root.handlers if any(isinstance(f, _CallName) for f in h.filters)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("antiphon").setLevel(config.level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        theirs = logging.getLogger(name)
        theirs.handlers.clear()
        theirs.propagate = True
    # Its beginning and end are told by the server itself; access lines carry callers' URLs.
    chatty = config.level == "debug"
    logging.getLogger("uvicorn").setLevel(logging.INFO if chatty else logging.WARNING)
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    return handler


def observer(config: LogConfig) -> Observer:
    """An observer that logs calls: their beginning, turns, pauses and end."""
    return CallLog(words=config.words)


class CallLog:
    """Writes what it is told to the logger `antiphon.calls`."""

    def __init__(self, *, words: bool = False) -> None:
        self._words = words
        self._log = logging.getLogger("antiphon.calls")
        self._frames: dict[str, int] = {}

    def opened(self, call: CallInfo) -> None:
        """A call begins."""
        self._frames[call.id] = 0
        about = {"bundle": call.bundle, "protocol": call.protocol, "key": call.key}
        self._say(call.id, "the call begins", about)

    def heard(self, call_id: str, samples: Samples) -> None:
        """A frame of the caller."""
        if call_id in self._frames:
            self._frames[call_id] += 1

    def played(self, call_id: str, samples: Samples) -> None:
        """A frame of the agent."""

    def event(self, call_id: str, event: BaseModel) -> None:
        """What the guard did; all else is in the turns."""
        if getattr(event, "type", "") == "guard":
            about: dict[str, Any] = {
                "action": getattr(event, "action", ""),
                "check": getattr(event, "check", ""),
            }
            self._say(call_id, "the guard acted", about)

    def turn(self, call_id: str, turn: Turn) -> None:
        """A finished turn."""
        about: dict[str, Any] = {
            "turn": turn.index,
            "speaker": turn.speaker,
            "start": round(turn.start, 2),
            "end": round(turn.end, 2),
            "words": len(turn.words),
        }
        if turn.gap_ms is not None:
            about["gap_ms"] = round(turn.gap_ms)
        if turn.interrupted:
            about["interrupted"] = True
        if turn.calls:
            about["tools"] = [call.name for call in turn.calls]
        if self._words:
            about["text"] = turn.text
        self._say(call_id, "a turn is finished", about)

    def paused(self, call_id: str, on: bool) -> None:
        """A recording pause begins or ends."""
        self._say(call_id, "the recording pauses" if on else "the recording goes on", {})

    def closed(self, call_id: str, reason: str) -> None:
        """The call is over."""
        seconds = round(self._frames.pop(call_id, 0) * _BEAT, 2)
        self._say(call_id, "the call is over", {"reason": reason, "seconds": seconds})

    def _say(self, call_id: str, message: str, about: dict[str, Any]) -> None:
        self._log.info(message, extra={"call": call_id, **about})


def _given(record: logging.LogRecord) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(record).items()
        if name not in _USUAL and not name.startswith("_")  # other libraries mark records so
    }


def _short(value: Any) -> str:
    text = str(value)
    plain = text.isprintable() and " " not in text and text
    return text if plain else json.dumps(text, ensure_ascii=False)
