"""Calls as they are read: lists of them by filters, and one with all that hangs on it."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from antiphon.audio import SAMPLE_RATE
from antiphon.serving.store.errors import BadFilter, NoSuchCall
from antiphon.serving.store.models import CallRow, EventRow, PauseRow, ToolCallRow, TurnRow

MOST = 200  # calls a page
_FIRST_WORDS = 120  # letters of a call's first turn that a list shows


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class CallSummary(_View):
    """A call in a list."""

    id: str
    bundle: str
    protocol: str
    key: str
    caller: str | None
    metadata: dict[str, str]
    started: datetime
    ended: datetime | None
    """None while the call goes on."""
    reason: str | None
    seconds: float | None
    recording: Literal["none", "writing", "whole", "salvaged", "failed", "erased"]
    recording_seconds: float | None
    turn_count: int
    tool_call_count: int
    first_words: str
    """Of the caller's first turn."""


class TurnView(_View):
    """A turn; times in seconds of the call."""

    index: int
    speaker: Literal["caller", "agent"]
    text: str
    words: list[tuple[str, float, float | None]]
    start: float
    end: float
    tone: str | None
    gap_ms: float | None
    interrupted: bool


class ToolCallView(_View):
    """A tool call and the turn that made it."""

    turn: int
    id: str
    name: str
    arguments: Any
    result: Any


class EventView(_View):
    """An event of the runtime or of the guard."""

    time: float
    type: str
    data: dict[str, Any]


class PauseView(_View):
    """A span of which nothing was kept; an open end lasted to the end of the call."""

    start: float
    end: float | None


class Latencies(_View):
    """From the caller's last word to the agent's first sound, in milliseconds."""

    answers: int
    p50_ms: float | None
    p95_ms: float | None
    longest_ms: float | None


class CallRecord(_View):
    """A call with everything that is kept of it but its sound."""

    call: CallSummary
    turns: list[TurnView]
    tool_calls: list[ToolCallView]
    events: list[EventView]
    pauses: list[PauseView]
    latencies: Latencies


class Filter(BaseModel):
    """Which calls: all conditions hold at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    q: str | None = Field(default=None, max_length=200)
    """Words that were said, in a turn of either side, whatever their case; or a call's id."""
    since: datetime | None = None
    until: datetime | None = None
    bundle: str | None = Field(default=None, max_length=200)
    key: str | None = Field(default=None, max_length=200)
    caller: str | None = Field(default=None, max_length=200)
    ids: tuple[str, ...] = ()
    limit: int = Field(default=50, ge=1, le=MOST)
    cursor: str | None = Field(default=None, max_length=400)


class Page(_View):
    """Calls, the newest first, and where the next page begins."""

    calls: list[CallSummary]
    next_cursor: str | None


def page(session: Session, chosen: Filter) -> Page:
    """One page of the calls that a filter chooses. Raises StoreError for a bad cursor."""
    query = _chosen(chosen).limit(chosen.limit + 1)
    rows = session.scalars(query).all()
    shown = rows[: chosen.limit]
    more = _cursor(shown[-1]) if len(rows) > chosen.limit else None
    return Page(calls=_summaries(session, shown), next_cursor=more)


def ids(session: Session, chosen: Filter) -> Iterator[str]:
    """The ids of all calls that a filter chooses, the newest first, whatever its limit."""
    for row in session.scalars(_chosen(chosen).execution_options(yield_per=200)):
        yield row.id


def find(session: Session, call_id: str) -> CallRow:
    """A call's row. Raises NoSuchCall."""
    row = session.get(CallRow, call_id) if _possible(call_id) else None
    if row is None:
        raise NoSuchCall(f"there is no call {call_id[:128]!r}; antiphon store list shows them")
    return row


def record(session: Session, call_id: str) -> CallRecord:
    """A call with everything but its sound. Raises NoSuchCall."""
    call = find(session, call_id)
    turns = session.scalars(
        sa.select(TurnRow).where(TurnRow.call_id == call_id).order_by(TurnRow.number)
    ).all()
    tools = session.scalars(
        sa.select(ToolCallRow)
        .where(ToolCallRow.call_id == call_id)
        .order_by(ToolCallRow.number, ToolCallRow.position)
    )
    events = session.scalars(
        sa.select(EventRow).where(EventRow.call_id == call_id).order_by(EventRow.id)
    )
    pauses = session.scalars(
        sa.select(PauseRow).where(PauseRow.call_id == call_id).order_by(PauseRow.number)
    )
    return CallRecord(
        call=_summaries(session, [call])[0],
        turns=[_turn(turn) for turn in turns],
        tool_calls=[
            ToolCallView(
                turn=t.number, id=t.id, name=t.name, arguments=t.arguments, result=t.result
            )
            for t in tools
        ],
        events=[EventView(time=e.time, type=e.type, data=e.data) for e in events],
        pauses=[PauseView(start=p.start, end=p.end) for p in pauses],
        latencies=latencies(turns),
    )


def latencies(turns: Sequence[TurnRow]) -> Latencies:
    """How quickly the agent answered."""
    gaps = [turn.gap_ms for turn in turns if turn.gap_ms is not None and turn.speaker == "agent"]
    if not gaps:
        return Latencies(answers=0, p50_ms=None, p95_ms=None, longest_ms=None)
    half, most = np.percentile(gaps, (50, 95))
    return Latencies(
        answers=len(gaps),
        p50_ms=round(float(half), 1),
        p95_ms=round(float(most), 1),
        longest_ms=round(max(gaps), 1),
    )


def _chosen(chosen: Filter) -> sa.Select[CallRow]:
    query = sa.select(CallRow).order_by(CallRow.started.desc(), CallRow.id.desc())
    for column, value in (
        (CallRow.bundle, chosen.bundle),
        (CallRow.key, chosen.key),
        (CallRow.caller, chosen.caller),
    ):
        if value is not None:
            query = query.where(column == value if _possible(value) else sa.false())
    if chosen.ids:
        query = query.where(CallRow.id.in_([name for name in chosen.ids if _possible(name)]))
    if chosen.since is not None:
        query = query.where(CallRow.started >= moment(chosen.since, "since"))
    if chosen.until is not None:
        query = query.where(CallRow.started < moment(chosen.until, "until"))
    if chosen.q:
        query = query.where(_says(chosen.q))
    if chosen.cursor is not None:
        started, last = _place(chosen.cursor)
        earlier = (CallRow.started == started) & (CallRow.id < last)
        query = query.where((CallRow.started < started) | earlier)
    return query


def _says(words: str) -> sa.ColumnElement[bool]:
    if not _possible(words):
        return sa.false()
    turns = sa.select(TurnRow.call_id).where(TurnRow.text.icontains(words, autoescape=True))
    return (CallRow.id == words) | CallRow.id.in_(turns)


def _summaries(session: Session, rows: Sequence[CallRow]) -> list[CallSummary]:
    names = [row.id for row in rows]
    turns = _counts(session, TurnRow.call_id, names)
    calls = _counts(session, ToolCallRow.call_id, names)
    first = sa.select(TurnRow.call_id, sa.func.min(TurnRow.number).label("number"))
    first = first.where(TurnRow.call_id.in_(names), TurnRow.speaker == "caller")
    begun = first.group_by(TurnRow.call_id).subquery()
    same = (TurnRow.call_id == begun.c.call_id) & (TurnRow.number == begun.c.number)
    words = {t.call_id: t.text for t in session.scalars(sa.select(TurnRow).join(begun, same))}
    return [
        CallSummary(
            id=row.id,
            bundle=row.bundle,
            protocol=row.protocol,
            key=row.key,
            caller=row.caller,
            metadata=row.facts,
            started=row.started,
            ended=row.ended,
            reason=row.reason,
            seconds=row.duration,
            recording=row.recording,  # type: ignore[arg-type]  # checked by pydantic
            recording_seconds=None if row.samples is None else row.samples / SAMPLE_RATE,
            turn_count=turns.get(row.id, 0),
            tool_call_count=calls.get(row.id, 0),
            first_words=words.get(row.id, "")[:_FIRST_WORDS],
        )
        for row in rows
    ]


def _counts(session: Session, column: Any, names: list[str]) -> dict[str, int]:
    query = sa.select(column, sa.func.count()).where(column.in_(names)).group_by(column)
    return {row[0]: row[1] for row in session.execute(query)}


def _turn(turn: TurnRow) -> TurnView:
    return TurnView(
        index=turn.number,
        speaker="agent" if turn.speaker == "agent" else "caller",
        text=turn.text,
        words=turn.words,
        start=turn.start,
        end=turn.end,
        tone=turn.tone,
        gap_ms=turn.gap_ms,
        interrupted=turn.interrupted,
    )


def _cursor(row: CallRow) -> str:
    place = json.dumps([row.started.astimezone(UTC).isoformat(), row.id])
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[datetime, str]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        started, last = json.loads(text)
        if not isinstance(last, str) or not _possible(last):
            raise ValueError
        return moment(datetime.fromisoformat(started), "cursor"), last
    except (binascii.Error, ValueError, TypeError, UnicodeError, OverflowError):
        raise BadFilter(
            "cursor", "not one of this list; take next_cursor of the page before, as it is"
        ) from None


def moment(value: datetime, field: str) -> datetime:
    """In UTC; a moment without a zone is meant so. Raises BadFilter out of the calendar."""
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise BadFilter(field, f"{value.isoformat()} lies outside of the calendar") from None


def _possible(value: str) -> bool:
    """Whether a database can hold the text at all."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in value
