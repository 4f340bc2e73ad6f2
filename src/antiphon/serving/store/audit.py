"""The audit log: who did what to which call, append-only, each entry chained to the one before.

An entry's hash is over the hash of the entry before it and its own fields, so nothing in the
middle can be changed, removed, added or exchanged unseen. The end of a chain can be cut off
unseen; therefore a witness outside the database (a small file, and the logs) keeps the number and
hash of the last entry. With a key the hashes are HMACs, and only who has it can make a new chain.

Entries name calls and keys by id and never hold what was said or who called.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import get_ident
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from antiphon.serving.store.database import Database
from antiphon.serving.store.errors import StoreError
from antiphon.serving.store.models import AuditRow

_LOG = logging.getLogger(__name__)

START = "0" * 64
"""What the first entry is chained to."""

_KEY = "antiphon_audit_key"  # where a session holds the key
_LOCK = 0x61756469  # PostgreSQL advisory lock: one appends at a time


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log. `time` is ISO 8601 in UTC, `detail` canonical JSON."""

    seq: int
    time: str
    actor: str
    """A key's id, "server", "retention" or "operator"."""
    action: str
    subject: str
    """A call's id, or "" for the store as a whole."""
    detail: str
    hash: str

    def expected(self, previous: str, key: bytes | None = None) -> str:
        """The hash that this entry must have after an entry of hash `previous`."""
        fields = [previous, self.seq, self.time, self.actor, self.action, self.subject, self.detail]
        content = json.dumps(fields, separators=(",", ":")).encode()
        if key is not None:
            return hmac.new(key, content, hashlib.sha256).hexdigest()
        return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that verification found: where, and what."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of a log, as somebody outside of it remembers."""

    seq: int = 0
    hash: str = START

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """From "SEQ:HASH". Raises StoreError."""
        seq, _, digest = text.strip().partition(":")
        if not seq.isascii() or not seq.isdigit() or len(digest) != 64:
            raise StoreError(f"{text[:90]!r} is no head of an audit log; it looks like 12:4f0c...")
        return cls(int(seq), digest)


def append(
    session: Session,
    action: str,
    subject: str = "",
    *,
    actor: str = "server",
    detail: Mapping[str, Any] | None = None,
) -> Entry:
    """Add an entry inside the transaction of a ledger's writing session."""
    if session.get_bind().dialect.name != "sqlite":
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    last = head(session)
    entry = Entry(
        seq=last.seq + 1,
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        actor=_plain(actor),
        action=action,
        subject=_plain(subject),
        detail=json.dumps(dict(detail or {}), sort_keys=True, separators=(",", ":")),
        hash="",
    )
    digest = entry.expected(last.hash, session.info.get(_KEY))
    session.execute(
        sa.insert(AuditRow).values(
            seq=entry.seq,
            time=entry.time,
            actor=entry.actor,
            action=entry.action,
            subject=entry.subject,
            detail=entry.detail,
            hash=digest,
        )
    )
    return Entry(
        entry.seq, entry.time, entry.actor, entry.action, entry.subject, entry.detail, digest
    )


def head(session: Session) -> Head:
    """The last entry's number and hash."""
    row = session.execute(
        sa.select(AuditRow.seq, AuditRow.hash).order_by(AuditRow.seq.desc()).limit(1)
    ).first()
    return Head(row.seq, row.hash) if row else Head()


def entries(session: Session, subject: str | None = None) -> Iterator[Entry]:
    """The log in order, read in portions; of one subject if it is given."""
    query = sa.select(AuditRow).order_by(AuditRow.seq)
    if subject is not None:
        query = query.where(AuditRow.subject == subject)
    for row in session.scalars(query.execution_options(yield_per=1000)):
        yield Entry(row.seq, row.time, row.actor, row.action, row.subject, row.detail, row.hash)


def check(
    log: Iterable[Entry], *, key: bytes | None = None, heads: Iterable[Head] = ()
) -> Iterator[Problem]:
    """Everything that is wrong with a log, in order.

    heads: what was once the last entry, from outside of the log; each must still be in it.
    """
    wanted: dict[int, list[Head]] = {}
    for known in heads:
        wanted.setdefault(known.seq, []).append(known)
    previous = Head()
    for entry in log:
        where = f"audit entry {entry.seq}"
        if entry.seq != previous.seq + 1:
            yield Problem(where, _misplaced(entry.seq, previous.seq))
        if entry.hash != entry.expected(previous.hash, key):
            yield Problem(
                where,
                f"its hash does not follow from entry {previous.seq}: it was changed, or what "
                "stood before it was changed, removed or added"
                if previous.seq
                else "its hash is not that of a first entry: it was changed, or others before it "
                "were removed",
            )
        for known in wanted.pop(entry.seq, []):
            if known.hash != entry.hash:
                yield Problem(
                    where, "it is not the entry that the witness saw: the log was rewritten"
                )
        previous = Head(entry.seq, entry.hash)
    for seq in sorted(wanted):
        if seq > previous.seq:
            yield Problem(
                f"audit entries {previous.seq + 1} to {seq}",
                f"they are missing: the log was cut off after entry {previous.seq}, or an older "
                "backup was restored",
            )
        elif seq > 0:
            yield Problem(f"audit entry {seq}", "the witness saw it, and it is gone")


class Witness:
    """The last entry that was seen, in a file outside of the database."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Head:
        """What it saw last; the empty log's head when there is no file. Raises StoreError."""
        try:
            text = self.path.read_text(encoding="ascii")
        except FileNotFoundError:
            return Head()
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{self.path}: the audit log's witness cannot be read: {error}") from (
                None
            )
        return Head.parse(text)

    def replace(self, by: Head) -> None:
        """Remember this head, whatever was seen before. Raises StoreError."""
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.{get_ident()}.part")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(f"{by}\n")
            os.replace(part, self.path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise StoreError(f"{self.path}: cannot be written: {error.strerror}") from None


class Ledger:
    """Writing sessions whose audit entries are chained, keyed and witnessed."""

    def __init__(self, database: Database, witness: Witness, key: bytes | None = None) -> None:
        self.database, self.witness, self.key = database, witness, key
        self.contradicted = False
        """Whether the witness saw entries that the log no longer has; it is left as it is then."""

    @contextmanager
    def write(self) -> Generator[Session]:
        """A session that is committed at the end; the witness then knows of its entries."""
        with self.database.write() as session:
            session.info[_KEY] = self.key
            before = head(session)
            agrees = self._agrees(session)
            yield session
            after = head(session)
        if agrees and after != before:
            try:
                if after.seq > self.witness.read().seq:  # another process may have been quicker
                    self.witness.replace(after)
            except StoreError as error:
                _LOG.error("%s", error)

    def accept(self) -> None:
        """Make the log as it stands the one to go on from, and write that into it."""
        saw = self.witness.read()
        with self.write() as session:
            append(session, "audit.accepted", actor="operator", detail={"witness": str(saw)})
        with self.database.read() as session:
            self.witness.replace(head(session))
        self.contradicted = False

    def _agrees(self, session: Session) -> bool:
        """Whether the log still has what the witness saw last."""
        try:
            saw = self.witness.read()
        except StoreError as error:
            found, saw = str(error), None
        else:
            found = None
        if saw is not None:
            there = session.scalar(sa.select(AuditRow.hash).where(AuditRow.seq == saw.seq))
            if saw.seq == 0 or there == saw.hash:
                self.contradicted = False
                return True
            found = (
                f"{self.witness.path}: the audit log lacks entry {saw.seq}, which the witness saw"
            )
        if not self.contradicted:
            _LOG.error("%s; run: antiphon store verify", found)
        self.contradicted = True
        return False


def read_key(path: Path | None) -> bytes | None:
    """The secret in a file of at least 16 bytes; None for no file. Raises StoreError."""
    if path is None:
        return None
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise StoreError(f"{path}: the audit key cannot be read: {error.strerror}") from None
    if len(key) < 16:
        raise StoreError(
            f"{path}: an audit key has at least 16 bytes; make one with openssl rand -hex 32"
        )
    return key


def fingerprint(key: bytes) -> str:
    """What may be known of a key: enough to tell another one from it."""
    return hmac.new(key, b"antiphon audit key", hashlib.sha256).hexdigest()[:16]


def _misplaced(seq: int, before: int) -> str:
    if seq > before + 2:
        return f"entries {before + 1} to {seq - 1} before it are missing"
    if seq == before + 2:
        return f"entry {before + 1} before it is missing"
    return f"it comes after entry {before}: its number was changed"


def _plain(text: str) -> str:
    """What every database can hold."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
