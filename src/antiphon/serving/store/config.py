"""The knobs of a store: where it lies, what it keeps and for how long."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

Days = float


class Limits(BaseModel):
    """How long calls are kept, in days from their end; None keeps them until they are erased."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls_days: Days | None = Field(default=None, gt=0)
    """Everything of a call: words, events, recording."""
    recordings_days: Days | None = Field(default=None, gt=0)
    """The recording alone; the words stay."""


class Retention(Limits):
    """Limits for all calls, and others for the calls of single API keys (tenants)."""

    keys: dict[str, Limits] = Field(default_factory=dict[str, Limits])
    """By the id of the key; what is given here replaces the limits for all."""

    def of(self, key: str) -> Limits:
        """The limits of the calls of an API key."""
        return self.keys.get(key, self)


class StoreConfig(BaseModel):
    """One store: a folder for recordings and journals, and a database."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path = Field(default_factory=lambda: default_folder())
    """Recordings, journals, the list of erasures, and the database unless `url` names another."""
    url: str | None = None
    """postgresql://user:password@host/name, or sqlite:///path; None is FOLDER/calls.db."""
    record: bool = True
    """Keep what was heard and said as audio."""
    caller_field: str = "caller"
    """The entry of a call's metadata that names the caller, for erasure of one caller."""
    commit_seconds: float = Field(default=0.25, gt=0, le=0.5)
    """The longest that anything but a finished turn waits for its commit; turns do not wait."""
    sync_seconds: float = Field(default=5.0, gt=0)
    """How often a recording is forced to the disk: what a power cut may cost, not a crash."""
    backlog: int = Field(default=50_000, ge=100)
    """Events or audio frames that may wait; beyond it they are dropped and counted."""
    audit_key: Path | None = None
    """A file with a secret that keys the audit log's chain; it must lie apart from the store."""
    retention: Retention = Retention()
    retention_hours: float = Field(default=1.0, gt=0)
    """How often a running server removes what is too old."""


def default_folder() -> Path:
    """ANTIPHON_STORE, or antiphon/calls in the user's data folder (XDG)."""
    named = os.environ.get("ANTIPHON_STORE")
    if named:
        return Path(named)
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "antiphon" / "calls"
