"""A store of calls, opened: what went on in them, as words, events and sound.

store = Store.open(StoreConfig(folder=Path("calls")))
with store.serving() as observer:      # in a server: every call that is observed is kept
    ...
record = store.call("call_...")        # in a server or anywhere else
store.erase_caller("+49 30 901820")
"""

from __future__ import annotations

import logging
import os
import platform
import secrets
import shutil
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from antiphon.serving.store import audit, reading, recordings
from antiphon.serving.store.audit import Head, Ledger, Problem, Witness
from antiphon.serving.store.config import Retention, StoreConfig
from antiphon.serving.store.database import Database, reason
from antiphon.serving.store.errors import CallInProgress, StoreError
from antiphon.serving.store.export import Export
from antiphon.serving.store.journal import Journal, left_behind
from antiphon.serving.store.models import CallRow, PropertyRow
from antiphon.serving.store.observer import StoreObserver
from antiphon.serving.store.reading import CallRecord, Filter, Page
from antiphon.serving.store.recordings import Recorder
from antiphon.serving.store.records import STEP, Closed, Recorded, Step, apply
from antiphon.serving.store.retention import Eraser, What
from antiphon.serving.store.verify import verify
from antiphon.serving.store.writer import Writer, commit

if TYPE_CHECKING:
    from antiphon.serving.call import Observer

_LOG = logging.getLogger(__name__)

LOST = "server: it stopped while the call went on"
"""The reason of a call whose server was killed."""
_SPACE = 200 << 20  # bytes of free space below which a store says that it is not ready


class Store:
    """One store; threads may share it. Made by `open`, ended by `close`."""

    def __init__(self, config: StoreConfig) -> None:
        """Open or make it, bring its schema up to date, and mend what a killed server left.

        Raises StoreError.
        """
        self.config = config
        self.folder = config.folder.expanduser().absolute()
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreError(
                f"{self.folder}: no store can be kept here: {error.strerror}"
            ) from None
        key = audit.read_key(config.audit_key)
        self.database = Database(config.url, self.folder)
        try:
            self.ledger = Ledger(self.database, Witness(self.folder / "audit.head"), key)
            self._check_key(key)
            self._eraser = Eraser(self.ledger, self.folder)
            self._recover()
            self._eraser.again()
        except SQLAlchemyError as error:
            self.database.close()
            raise StoreError(f"{self.database.name}: {reason(error)}") from None
        except BaseException:
            self.database.close()
            raise
        self._writer: Writer | None = None
        self._recorder: Recorder | None = None
        self._observer: StoreObserver | None = None

    @classmethod
    def open(cls, config: StoreConfig | None = None) -> Store:
        """The store of a configuration. Raises StoreError."""
        return cls(config or StoreConfig())

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- keeping calls ----------------------------------------------------------

    @contextmanager
    def serving(self) -> Generator[Observer]:
        """An observer that keeps every call it is told of, while the context lasts."""
        server = f"{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"
        journal = Journal(self.folder, server)
        recorder = None
        if self.config.record:
            recorder = Recorder(
                self._recorded,
                sync_seconds=self.config.sync_seconds,
                backlog=self.config.backlog,
            )
        writer = Writer(
            self.ledger,
            journal,
            commit_seconds=self.config.commit_seconds,
            backlog=self.config.backlog,
            erased=self._forget,
        )
        kept = StoreObserver(
            server, self.folder, writer, recorder, journal, caller_field=self.config.caller_field
        )
        self._writer, self._recorder, self._observer = writer, recorder, kept
        ends = threading.Event()
        keeper = threading.Thread(
            target=self._keep_tidy, args=(ends,), name="antiphon-retention", daemon=True
        )
        self.note("server.started", detail={"server": server})
        for thread in (recorder, writer, keeper):
            if thread is not None:
                thread.start()
        try:
            yield kept
        finally:
            ends.set()
            for call_id in kept.live:
                kept.closed(call_id, "server: it was stopped")
            if recorder is not None:
                recorder.stop()
            if writer.stop():
                journal.close()
                self.note("server.stopped", detail={"server": server})
            else:
                _LOG.error("%s: kept for the next server: not all is committed", journal.path)
                journal.abandon()
            keeper.join()
            self._writer = self._recorder = self._observer = None

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything observed so far is committed; whether it was in time."""
        return self._writer is None or self._writer.flush(timeout)

    def note(
        self, action: str, subject: str = "", *, actor: str = "server", detail: Any = None
    ) -> None:
        """Write an entry into the audit log: an operator's switch, a breaker's reason."""
        with self._failures(), self.ledger.write() as session:
            audit.append(session, action, subject, actor=actor, detail=detail)

    # -- reading ----------------------------------------------------------------

    def calls(self, chosen: Filter | None = None) -> Page:
        """A page of calls, the newest first. Raises StoreError for a bad cursor."""
        with self._failures(), self.database.read() as session:
            return reading.page(session, chosen or Filter())

    def ids(self, chosen: Filter) -> list[str]:
        """The ids of all calls that a filter chooses, whatever its limit."""
        with self._failures(), self.database.read() as session:
            return list(reading.ids(session, chosen))

    def call(self, call_id: str) -> CallRecord:
        """All that is kept of a call but its sound. Raises NoSuchCall."""
        with self._failures(), self.database.read() as session:
            return reading.record(session, call_id)

    def recording(self, call_id: str) -> Path | None:
        """The call's FLAC file, caller left, agent right; None if there is none.

        That of a call that goes on lacks its last second. Raises NoSuchCall.
        """
        with self._failures(), self.database.read() as session:
            path = reading.find(session, call_id).path
        return self.folder / path if path and (self.folder / path).exists() else None

    def export(self, folder: Path, chosen: Filter, *, actor: str = "operator") -> Export:
        """Write all calls that a filter chooses, and that are over, into a new folder."""
        made = Export(folder)
        names = self.ids(chosen)
        for name in names:
            record = self.call(name)
            if record.call.ended is not None:
                made.add(record, self.recording(name))
        made.close()
        self.note("calls.exported", actor=actor, detail={"calls": made.recorded + made.unrecorded})
        return made

    # -- erasing ----------------------------------------------------------------

    def erase(self, call_ids: Iterable[str], *, actor: str = "operator") -> list[str]:
        """Erase calls, those that go on as well; gives the ids of those that were there."""
        with self._failures():
            gone = self._eraser.erase(call_ids, why="by request", actor=actor)
        self._forget(set(gone))
        return gone

    def erase_recording(self, call_id: str, *, actor: str = "operator") -> None:
        """Erase the recording of a call, not its words. Raises NoSuchCall, CallInProgress."""
        with self._failures():
            with self.database.read() as session:
                if reading.find(session, call_id).ended is None:
                    raise CallInProgress(
                        f"the call {call_id} is going on; erase its recording when it is over"
                    )
            self._eraser.erase_recordings([call_id], why="by request", actor=actor)

    def erase_caller(
        self, caller: str, *, key: str | None = None, actor: str = "operator"
    ) -> list[str]:
        """Erase every call of one caller (of one key, if given); gives their ids."""
        with self._failures():
            gone = self._eraser.erase_caller(caller, actor=actor, key=key)
        self._forget(set(gone))
        return gone

    def retain(
        self,
        limits: Retention | None = None,
        *,
        at: datetime | None = None,
        dry: bool = False,
    ) -> dict[What, list[str]]:
        """Erase what is older than the limits (the configuration's); `dry` only tells."""
        with self._failures():
            return self._eraser.retain(limits or self.config.retention, at=at, dry=dry)

    # -- evidence ---------------------------------------------------------------

    def verify(self, *, head: Head | None = None, recordings: bool = True) -> Iterator[Problem]:
        """All that is wrong with the audit log, and with the calls that it vouches for.

        head: a last entry that is known from elsewhere. recordings: read all files as well.
        """
        heads = [self.ledger.witness.read(), *([head] if head else [])]
        folder = self.folder if recordings else None
        with self._failures(), self.database.read() as session:
            yield from verify(session, self.ledger.key, heads, folder)

    def head(self) -> Head:
        """The audit log's last entry: note it elsewhere, and verify against it later."""
        with self._failures(), self.database.read() as session:
            return audit.head(session)

    def problems(self) -> list[str]:
        """What keeps the store from keeping calls now; for /readyz."""
        found: list[str] = []
        if self._writer is not None:
            if self._writer.problem is not None:
                found.append(self._writer.problem)
            elif not self._writer.is_alive():
                found.append("the store's thread has ended")
        if self._recorder is not None and not self._recorder.is_alive():
            found.append("the recordings' thread has ended")
        if self.ledger.contradicted:
            found.append("the audit log is not what its witness saw; run: antiphon store verify")
        try:
            if shutil.disk_usage(self.folder).free < _SPACE:
                found.append(f"{self.folder}: less than {_SPACE >> 20} MB are free")
        except OSError as error:
            found.append(f"{self.folder}: {error.strerror}")
        return found

    @property
    def writer(self) -> Writer | None:
        """The committing thread while serving, for metrics."""
        return self._writer

    @property
    def recorder(self) -> Recorder | None:
        """The recording thread while serving, for metrics."""
        return self._recorder

    # -- inside -----------------------------------------------------------------

    def _recorded(self, done: recordings.Recorded) -> None:
        if self._writer is not None:
            step = Recorded(
                call_id=done.call_id, state=done.state, samples=done.samples, sha256=done.sha256
            )
            self._writer.put(step)

    def _forget(self, call_ids: set[str]) -> None:
        if self._observer is not None:
            self._observer.forget(call_ids)

    def _keep_tidy(self, ends: threading.Event) -> None:
        while True:
            try:
                gone = self.retain()
                if any(gone.values()):
                    counts = len(gone["call"]), len(gone["recording"])
                    _LOG.info("retention: %d calls, %d recordings were erased", *counts)
            except StoreError as error:
                _LOG.error("retention: %s", error)
            if ends.wait(self.config.retention_hours * 3600):
                return

    def _check_key(self, key: bytes | None) -> None:
        """A chain is keyed from its first entry on, or never."""
        wanted = "none" if key is None else audit.fingerprint(key)
        with self.database.write() as session:
            row = session.get(PropertyRow, "audit_key")
            if row is None:
                session.add(PropertyRow(name="audit_key", value=wanted))
                return
        if row.value == wanted:
            return
        if row.value == "none":
            raise StoreError("this store's audit log was begun without a key; leave audit_key out")
        raise StoreError(
            "this store's audit log was begun with another key; give its file as audit_key"
        )

    def _recover(self) -> None:
        """Bring in what servers left that are dead: journals, open calls, open recordings."""
        with closing(left_behind(self.folder)) as journals:
            for server, lines in journals:
                steps = [step for line in lines if (step := _step(line)) is not None]
                if steps:
                    commit(self.ledger, steps)
                with self.ledger.write() as session:
                    open_calls = session.scalars(
                        sa.select(CallRow).where(
                            CallRow.server == server,
                            CallRow.ended.is_(None) | (CallRow.recording == "writing"),
                        )
                    ).all()
                    ends = [step for call in open_calls for step in self._mend(call)]
                    apply(session, ends)
                    detail = {"server": server, "calls": len(open_calls), "steps": len(steps)}
                    audit.append(session, "server.lost", detail=detail)

    def _mend(self, call: CallRow) -> Iterator[Step]:
        if call.recording == "writing" and call.path is not None:
            kept = recordings.salvage(self.folder / call.path)
            if kept is None:
                yield Recorded(call_id=call.id, state="none")
            else:
                yield Recorded(call_id=call.id, state="salvaged", samples=kept[0], sha256=kept[1])
        if call.ended is None:
            yield Closed(call_id=call.id, ended=None, reason=LOST, duration=None)

    @contextmanager
    def _failures(self) -> Generator[None]:
        """A database that fails is a sentence, not a traceback."""
        try:
            yield
        except SQLAlchemyError as error:
            raise StoreError(f"{self.database.name}: {reason(error)}") from None


def _step(line: dict[str, Any]) -> Step | None:
    try:
        return STEP.validate_python(line)
    except ValueError:
        _LOG.error("a journal's line is not one of this version; it is left out")
        return None
