"""What a call leaves behind, step by step, and how each step enters the database.

A step may be applied twice (a journal is read again after a crash): the second time it changes
nothing. Steps of a call that was erased are not applied at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from antiphon.serving.store import audit
from antiphon.serving.store.models import (
    CallRow,
    ErasureRow,
    EventRow,
    PauseRow,
    ToolCallRow,
    TurnRow,
)
from antiphon.serving.store.values import fingerprint


class _Step(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    call_id: str


class Opened(_Step):
    """A call began."""

    kind: Literal["opened"] = "opened"
    server: str
    bundle: str
    protocol: str
    key: str
    caller: str | None
    facts: dict[str, str]
    started: datetime
    path: str | None
    """Of the recording, relative to the store; None if there will be none."""


class Said(_Step):
    """A turn was finished."""

    kind: Literal["turn"] = "turn"
    number: int
    speaker: str
    text: str
    words: list[Any]
    start: float
    end: float
    tone: str | None
    calls: list[dict[str, Any]]
    gap_ms: float | None
    interrupted: bool


class Happened(_Step):
    """An event."""

    kind: Literal["event"] = "event"
    time: float
    type: str
    data: dict[str, Any]


class Paused(_Step):
    """A recording pause began (`end` is None), or ended."""

    kind: Literal["paused"] = "paused"
    number: int
    start: float
    end: float | None


class Closed(_Step):
    """The call is over. `duration` in seconds; None where only the recording can tell."""

    kind: Literal["closed"] = "closed"
    ended: datetime | None
    reason: str
    duration: float | None


class Recorded(_Step):
    """The recording is finished."""

    kind: Literal["recorded"] = "recorded"
    state: Literal["whole", "salvaged", "failed", "none"]
    samples: int = 0
    sha256: str | None = None


Step = Annotated[Opened | Said | Happened | Paused | Closed | Recorded, Field(discriminator="kind")]
STEP: TypeAdapter[Step] = TypeAdapter(Step)


def apply(session: Session, steps: Sequence[Step]) -> set[str]:
    """Bring steps into the database, in order; gives the calls that were erased meanwhile."""
    erased = erased_among(session, {step.call_id for step in steps})
    for step in _joined(step for step in steps if step.call_id not in erased):
        if isinstance(step, list):
            _insert_events(session, step)
        else:
            _APPLY[type(step)](session, step)
    return erased


def erased_among(session: Session, call_ids: Iterable[str]) -> set[str]:
    """Those of the calls that were erased."""
    query = sa.select(ErasureRow.call_id).where(ErasureRow.call_id.in_(sorted(call_ids)))
    return set(session.scalars(query))


def contents(session: Session, call_id: str) -> str:
    """A fingerprint of all that was said and called in a call."""
    t, c = TurnRow, ToolCallRow
    turns = sa.select(
        t.number, t.speaker, t.text, t.words, t.start, t.end, t.tone, t.gap_ms, t.interrupted
    )
    calls = sa.select(c.number, c.position, c.id, c.name, c.arguments, c.result)
    said = session.execute(turns.where(t.call_id == call_id).order_by(t.number))
    called = session.execute(calls.where(c.call_id == call_id).order_by(c.number, c.position))
    return fingerprint([[list(row) for row in said], [list(row) for row in called]])


def _joined(steps: Iterable[Step]) -> Iterator[Step | list[dict[str, Any]]]:
    """The steps, runs of events together as rows: they are the many."""
    rows: list[dict[str, Any]] = []
    for step in steps:
        if isinstance(step, Happened):
            rows.append(
                {"call_id": step.call_id, "time": step.time, "type": step.type, "data": step.data}
            )
            continue
        if rows:
            yield rows
            rows = []
        yield step
    if rows:
        yield rows


def _opened(session: Session, step: Opened) -> None:
    row = step.model_dump(exclude={"kind", "call_id"})
    row |= {"id": step.call_id, "recording": "writing" if step.path else "none"}
    if _insert_new(session, CallRow, [row]):
        about = {"bundle": step.bundle, "protocol": step.protocol, "key": step.key}
        audit.append(session, "call.opened", step.call_id, detail=about)


def _said(session: Session, step: Said) -> None:
    row = step.model_dump(exclude={"kind", "calls"})
    if not _insert_new(session, TurnRow, [row]):
        return
    calls = [
        {
            "call_id": step.call_id,
            "number": step.number,
            "position": position,
            "id": call["id"],
            "name": call["name"],
            "arguments": call["arguments"],
            "result": call["result"],
        }
        for position, call in enumerate(step.calls)
    ]
    if calls:
        session.execute(sa.insert(ToolCallRow), calls)


def _insert_events(session: Session, rows: list[dict[str, Any]]) -> None:
    session.execute(sa.insert(EventRow), rows)
    for row in rows:
        if row["type"] == "tool_result":
            # It may come after its turn was told; one that came before is in the turn already.
            same = (ToolCallRow.call_id == row["call_id"]) & (ToolCallRow.id == row["data"]["id"])
            output = row["data"]["output"]
            session.execute(sa.update(ToolCallRow).where(same).values(result=output))


def _paused(session: Session, step: Paused) -> None:
    row = step.model_dump(exclude={"kind"})
    changed = bool(_insert_new(session, PauseRow, [row]))
    if step.end is not None and not changed:
        same = (PauseRow.call_id == step.call_id) & (PauseRow.number == step.number)
        update = sa.update(PauseRow).where(same, PauseRow.end.is_(None)).values(end=step.end)
        changed = _count(session, update) > 0
    if changed:
        action = "recording.paused" if step.end is None else "recording.resumed"
        audit.append(session, action, step.call_id)


def _closed(session: Session, step: Closed) -> None:
    call = session.get(CallRow, step.call_id, populate_existing=True)
    if call is None or call.ended is not None:
        return
    duration = step.duration
    if duration is None:
        duration = _last_moment(session, call)
    call.duration = duration
    call.ended = step.ended or call.started + timedelta(seconds=duration)
    call.reason = step.reason
    session.flush()
    about = {"reason": step.reason, "contents": contents(session, step.call_id)}
    audit.append(session, "call.closed", step.call_id, detail=about)


def _recorded(session: Session, step: Recorded) -> None:
    same = (CallRow.id == step.call_id) & (CallRow.recording == "writing")
    values: dict[str, Any] = {
        "recording": step.state,
        "samples": step.samples or None,
        "sha256": step.sha256,
    }
    if not step.samples:
        values["path"] = None
    if _count(session, sa.update(CallRow).where(same).values(**values)) and step.sha256:
        about = {"state": step.state, "samples": step.samples, "sha256": step.sha256}
        audit.append(session, "recording.finished", step.call_id, detail=about)


_APPLY: dict[type, Any] = {
    Opened: _opened,
    Said: _said,
    Paused: _paused,
    Closed: _closed,
    Recorded: _recorded,
}


def _last_moment(session: Session, call: CallRow) -> float:
    """The latest second of a call of which anything is known."""
    known = [
        session.scalar(sa.select(sa.func.max(TurnRow.end)).where(TurnRow.call_id == call.id)),
        session.scalar(sa.select(sa.func.max(EventRow.time)).where(EventRow.call_id == call.id)),
        (call.samples or 0) / 16_000,
    ]
    return max(float(moment or 0.0) for moment in known)


def _insert_new(session: Session, table: type[Any], rows: list[dict[str, Any]]) -> int:
    """Insert the rows that are not there yet; gives how many those were."""
    maker = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement: Any = maker(table).values(rows).on_conflict_do_nothing()
    return _count(session, statement)


def _count(session: Session, statement: Any) -> int:
    result: Any = session.execute(statement)
    return int(result.rowcount)


def now() -> datetime:
    """This moment in UTC."""
    return datetime.now(UTC)
