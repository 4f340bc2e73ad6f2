"""Calls, turns, tool calls, events, pauses, the audit log, erasures, properties."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# An audit entry is never changed or removed; `verify` finds it if somebody drops these first.
_SQLITE = """
CREATE TRIGGER audit_no_{verb} BEFORE {verb} ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
"""
_POSTGRESQL = (
    """
    CREATE FUNCTION antiphon_audit_refuses() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$
    """,
    """
    CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION antiphon_audit_refuses()
    """,
)


def upgrade() -> None:
    """To this version."""
    _calls()
    _of_a_call()
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("time", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_index("ix_audit_subject", "audit", ["subject"])
    op.create_table(
        "erasures",
        sa.Column("call_id", sa.String(128), primary_key=True),
        sa.Column("time", _MOMENT, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "properties",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(_SQLITE.format(verb=verb))
    else:
        for statement in _POSTGRESQL:
            op.execute(statement)


def downgrade() -> None:
    """Back to an empty database."""
    for table in (
        "properties",
        "erasures",
        "audit",
        "pauses",
        "events",
        "tool_calls",
        "turns",
        "calls",
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION antiphon_audit_refuses()")


def _calls() -> None:
    op.create_table(
        "calls",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("server", sa.String(128), nullable=False),
        sa.Column("bundle", sa.Text, nullable=False),
        sa.Column("protocol", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("caller", sa.Text),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("started", _MOMENT, nullable=False),
        sa.Column("ended", _MOMENT),
        sa.Column("reason", sa.Text),
        sa.Column("duration", sa.Double),
        sa.Column("recording", sa.String(16), nullable=False),
        sa.Column("path", sa.Text),
        sa.Column("samples", sa.BigInteger),
        sa.Column("sha256", sa.String(64)),
    )
    op.create_index("calls_by_start", "calls", ["started", "id"])
    for column in ("server", "bundle", "key", "caller", "ended"):
        op.create_index(f"ix_calls_{column}", "calls", [column])


def _of_a_call() -> None:
    op.create_table(
        "turns",
        _call_id(primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("speaker", sa.String(16), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("words", sa.JSON, nullable=False),
        sa.Column("start_s", sa.Double, nullable=False),
        sa.Column("end_s", sa.Double, nullable=False),
        sa.Column("tone", sa.String(32)),
        sa.Column("gap_ms", sa.Double),
        sa.Column("interrupted", sa.Boolean, nullable=False),
    )
    op.create_table(
        "tool_calls",
        sa.Column("call_id", sa.String(128), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("arguments", sa.JSON, nullable=False),
        sa.Column("result", sa.JSON),
        sa.ForeignKeyConstraint(
            ["call_id", "number"], ["turns.call_id", "turns.number"], ondelete="CASCADE"
        ),
    )
    op.create_index("ix_tool_calls_name", "tool_calls", ["name"])
    op.create_table(
        "events",
        sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
        _call_id(),
        sa.Column("time_s", sa.Double, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
    )
    op.create_index("ix_events_call_id", "events", ["call_id"])
    op.create_table(
        "pauses",
        _call_id(primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("start_s", sa.Double, nullable=False),
        sa.Column("end_s", sa.Double),
    )


def _call_id(*, primary_key: bool = False) -> sa.Column[str]:
    return sa.Column(
        "call_id",
        sa.String(128),
        sa.ForeignKey("calls.id", ondelete="CASCADE"),
        primary_key=primary_key,
        nullable=False,
    )
