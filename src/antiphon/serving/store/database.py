"""The database of a store: SQLite in its folder, or PostgreSQL by URL. Opening migrates it.

SQLite runs in WAL mode with synchronous FULL. In WAL mode NORMAL already survives the death of the
process, but loses the last commits when the power goes; FULL adds one flush a commit, which a
thread of its own pays and no call waits for. A commit that was reported is on the disk.
"""

from __future__ import annotations

import importlib.resources
import logging
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session

from antiphon.serving.store.errors import StoreError

_WRITES = "antiphon_writes"  # execution option of connections that will write
_MIGRATION_LOCK = 0x616E7470  # PostgreSQL advisory lock: one process brings the schema up to date
_PATIENCE = 10.0  # seconds that a writer waits for another
_CHECKPOINTS = 20  # attempts to empty the write-ahead log after an erasure, 0.1 s apart
_LOG = logging.getLogger(__name__)

_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    "secure_delete = ON",  # what is erased is overwritten, not only unlinked
)


class Database:
    """Sessions over one database. Threads may share it; a session belongs to one thread."""

    def __init__(self, url: str | None, folder: Path) -> None:
        """Open, make or bring up to date. Raises StoreError saying what is in the way."""
        self.url = database_url(url, folder)
        self.engine = _engine(self.url)
        self._writing = self.engine.execution_options(**{_WRITES: True})
        self._reading = self.engine
        if not self.sqlite:
            self._reading = self.engine.execution_options(isolation_level="REPEATABLE READ")
        try:
            self._upgrade()
        except CommandError as error:
            raise StoreError(
                f"{self.name}: its schema is not one that this version knows ({error}); "
                "open it with the version of antiphon that wrote it, or a later one"
            ) from None
        except SQLAlchemyError as error:
            raise StoreError(f"{self.name}: cannot be opened: {reason(error)}") from None
        if self.sqlite and self.url.database:
            for file in Path(self.url.database).parent.glob(f"{Path(self.url.database).name}*"):
                file.chmod(0o600)

    @property
    def sqlite(self) -> bool:
        """Whether it is SQLite; otherwise it is PostgreSQL."""
        return self.engine.dialect.name == "sqlite"

    @property
    def name(self) -> str:
        """The URL without its password."""
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Generator[Session]:
        """A session that only reads; sees one state of the database throughout."""
        with Session(self._reading) as session:
            yield session

    @contextmanager
    def write(self) -> Generator[Session]:
        """A session that is committed at the end, or rolled back on an exception."""
        with Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    def forget(self) -> None:
        """Drop erased pages from the write-ahead log (SQLite), dead rows (PostgreSQL)."""
        try:
            if self.sqlite:
                self._checkpoint()
            else:
                alone = self.engine.execution_options(isolation_level="AUTOCOMMIT")
                with alone.connect() as connection:
                    tables = "calls, turns, tool_calls, events, pauses"
                    connection.exec_driver_sql(f"VACUUM {tables}")
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise StoreError(f"{self.name}: erased, but not yet compacted: {reason(error)}") from (
                None
            )

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def _checkpoint(self) -> None:
        """Bring the write-ahead log into the database and empty it, once no reader needs it."""
        raw = self.engine.raw_connection()
        try:
            for _ in range(_CHECKPOINTS):
                busy = raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                if not busy:
                    return
                time.sleep(0.1)
        finally:
            raw.close()
        _LOG.warning("%s: readers keep the write-ahead log; it is emptied later", self.name)

    def _upgrade(self) -> None:
        config = alembic_config()
        with self._writing.begin() as connection:
            if not self.sqlite:
                lock = sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)
                connection.execute(sa.select(lock))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def database_url(url: str | None, folder: Path) -> URL:
    """The URL of a store's database. Raises StoreError for what is neither of the two kinds."""
    if url is None:
        return URL.create("sqlite", database=str(folder / "calls.db"))
    try:
        made = make_url(url)
    except ArgumentError:
        raise StoreError(
            "the store's URL cannot be read; give postgresql://user:password@host/name or "
            "sqlite:///path"
        ) from None
    if made.drivername in ("postgresql", "postgres"):
        return made.set(drivername="postgresql+psycopg")
    if made.drivername not in ("sqlite", "postgresql+psycopg"):
        raise StoreError(
            f"a store cannot be kept in {made.drivername!r}; use postgresql:// or sqlite:///"
        )
    if made.drivername == "sqlite" and made.database in (None, "", ":memory:"):
        raise StoreError("a store in memory would be lost; give sqlite:///path")
    return made


def alembic_config() -> Config:
    """The migrations that this version ships."""
    config = Config()
    place = importlib.resources.files("antiphon.serving.store") / "migrations"
    config.set_main_option("script_location", str(place).replace("%", "%%"))
    return config


def latest() -> str:
    """The newest version of the schema."""
    return str(ScriptDirectory.from_config(alembic_config()).get_current_head())


def reason(error: BaseException) -> str:
    """The database's own first line, without SQL and parameters, which may hold what was said."""
    cause = getattr(error, "orig", None) or error
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__


def _engine(url: URL) -> sa.Engine:
    if url.get_backend_name() == "postgresql":
        try:
            return sa.create_engine(
                url, pool_pre_ping=True, hide_parameters=True, connect_args={"connect_timeout": 10}
            )
        except ModuleNotFoundError:
            raise StoreError(
                "a store in PostgreSQL needs psycopg: pip install 'antiphon[serve]'"
            ) from None
    engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": _PATIENCE})

    @event.listens_for(engine, "connect")
    def connect(raw: Any, _: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        raw.isolation_level = None  # transactions begin where we say so, below
        try:
            for pragma in _PRAGMAS:
                raw.execute(f"PRAGMA {pragma}")
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{url.database}: cannot be used as a store: {error}") from None

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        # A writer that began as a reader could not wait for another writer: say it at once.
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
