"""The store's schema, version by version (alembic); run when a store is opened."""

from __future__ import annotations
