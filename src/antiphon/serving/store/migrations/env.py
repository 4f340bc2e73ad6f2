"""Runs inside alembic: over the connection that the store has opened, in its transaction."""

from __future__ import annotations

from typing import Any

from alembic import context

from antiphon.serving.store.models import Base

connection: Any = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
)
context.run_migrations()
