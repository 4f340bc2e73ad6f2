"""The tables: calls and what hangs on them, the audit log, and the list of erasures.

Times of the day are UTC; times in a call are seconds from its beginning. The migrations in
`migrations/versions` make these tables; a test holds the two together.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Json = JSON(none_as_null=True)


class Utc(TypeDecorator[datetime]):
    """A moment in UTC: with its zone in PostgreSQL, without (and meant as UTC) in SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database; a moment without a zone is refused."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"the moment {value} has no time zone")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database, always with the zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """The metadata that all tables share."""


class CallRow(Base):
    """A call. `ended` is null while it goes on."""

    __tablename__ = "calls"
    __table_args__ = (Index("calls_by_start", "started", "id"),)

    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    server: Mapped[str] = mapped_column(String(128), index=True)
    """The instance that holds the call, so that a later one knows whose calls were lost."""
    bundle: Mapped[str] = mapped_column(Text, index=True)
    protocol: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text, index=True)
    caller: Mapped[str | None] = mapped_column(Text, index=True)
    facts: Mapped[dict[str, str]] = mapped_column("metadata", Json)
    started: Mapped[datetime] = mapped_column(Utc)
    ended: Mapped[datetime | None] = mapped_column(Utc, index=True)
    reason: Mapped[str | None] = mapped_column(Text)
    duration: Mapped[float | None] = mapped_column(Double)
    """Seconds."""
    recording: Mapped[str] = mapped_column(String(16))
    """none, writing, whole, salvaged (after a crash), failed, or erased."""
    path: Mapped[str | None] = mapped_column(Text)
    """Of the recording, relative to the store's folder."""
    samples: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))


class TurnRow(Base):
    """A finished turn of one side."""

    __tablename__ = "turns"

    call_id: Mapped[str] = mapped_column(
        ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    speaker: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Text)
    words: Mapped[list[Any]] = mapped_column(Json)
    """[[text, start, end or null], ...] in seconds."""
    start: Mapped[float] = mapped_column("start_s", Double)
    end: Mapped[float] = mapped_column("end_s", Double)
    tone: Mapped[str | None] = mapped_column(String(32))
    gap_ms: Mapped[float | None] = mapped_column(Double)
    interrupted: Mapped[bool]


class ToolCallRow(Base):
    """A tool call that a turn made."""

    __tablename__ = "tool_calls"
    __table_args__ = (
        ForeignKeyConstraint(
            ["call_id", "number"], ["turns.call_id", "turns.number"], ondelete="CASCADE"
        ),
    )

    call_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text, index=True)
    arguments: Mapped[Any] = mapped_column(Json, nullable=False)
    result: Mapped[Any] = mapped_column(Json, nullable=True)


class EventRow(Base):
    """An event of the runtime or of the guard, as JSON."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), index=True)
    time: Mapped[float] = mapped_column("time_s", Double)
    type: Mapped[str] = mapped_column(Text)
    data: Mapped[dict[str, Any]] = mapped_column(Json)


class PauseRow(Base):
    """A span of a call of which nothing was kept; `end` is null if it lasted to the end."""

    __tablename__ = "pauses"

    call_id: Mapped[str] = mapped_column(
        ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    start: Mapped[float] = mapped_column("start_s", Double)
    end: Mapped[float | None] = mapped_column("end_s", Double)


class AuditRow(Base):
    """An entry of the audit log; triggers refuse to change or remove one."""

    __tablename__ = "audit"

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    time: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text, index=True)
    detail: Mapped[str] = mapped_column(Text)
    """Canonical JSON, kept as text because the hash is over the text."""
    hash: Mapped[str] = mapped_column(String(64))


class ErasureRow(Base):
    """A call that was erased: nothing of it may come back."""

    __tablename__ = "erasures"

    call_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    time: Mapped[datetime] = mapped_column(Utc)
    reason: Mapped[str] = mapped_column(Text)


class PropertyRow(Base):
    """A fact about the store itself."""

    __tablename__ = "properties"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
