"""What must go, goes wholly: rows, recording, and whatever a backup would bring back.

Erased calls are named in two places: in the database, so that a server that still holds the call
drops the rest of it, and in `erased.jsonl` beside it, so that a restored backup does not bring them
back: opening the store erases again what is on the list. The list holds ids and nothing else of a
call; keep it apart from the backups, as it must outlive them.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from antiphon.serving.store import audit
from antiphon.serving.store.audit import Ledger
from antiphon.serving.store.config import Limits, Retention
from antiphon.serving.store.errors import StoreError
from antiphon.serving.store.models import CallRow, ErasureRow
from antiphon.serving.store.records import erased_among, now

_LOG = logging.getLogger(__name__)

_BATCH = 200  # calls a transaction
_FORGOTTEN = timedelta(days=2)  # a call that never ended is over by then: its server is gone

What = Literal["call", "recording"]
_WHAT: tuple[What, What] = ("call", "recording")


class Eraser:
    """Erases calls and recordings of one store."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self._ledger, self._folder = ledger, folder
        self.list = folder / "erased.jsonl"

    def erase(self, call_ids: Iterable[str], *, why: str, actor: str) -> list[str]:
        """Erase calls with all that is kept of them; gives those that were there."""
        return self._erase(call_ids, "call", why, actor)

    def erase_recordings(self, call_ids: Iterable[str], *, why: str, actor: str) -> list[str]:
        """Erase recordings; the words stay. Gives the calls that had one."""
        return self._erase(call_ids, "recording", why, actor)

    def erase_caller(self, caller: str, *, actor: str, key: str | None = None) -> list[str]:
        """Erase all calls of one caller (of one key, if given); gives their ids."""
        query = sa.select(CallRow.id).where(CallRow.caller == caller)
        if key is not None:
            query = query.where(CallRow.key == key)
        with self._ledger.database.read() as session:
            found = list(session.scalars(query))
        gone = self.erase(found, why="the caller's request", actor=actor)
        with self._ledger.write() as session:
            detail = {"calls": len(gone)}
            audit.append(session, "caller.erased", actor=actor, detail=detail)
        return gone

    def retain(
        self, retention: Retention, *, at: datetime | None = None, dry: bool = False
    ) -> dict[What, list[str]]:
        """Erase what is older than its limit; `dry` only says what that would be."""
        moment = at or now()
        gone: dict[What, list[str]] = {"call": [], "recording": []}
        for condition, limits in _groups(retention):
            ages: dict[What, float | None] = {
                "call": limits.calls_days,
                "recording": limits.recordings_days,
            }
            for what, days in ages.items():
                if days is None:
                    continue
                found = self._too_old(condition, what, moment - timedelta(days=days))
                if not dry:
                    found = self._erase(found, what, f"older than {days:g} days", "retention")
                gone[what] += found
        whole = set(gone["call"])
        gone["recording"] = [name for name in gone["recording"] if name not in whole]
        return gone

    def again(self) -> int:
        """Erase what is on the list of erasures and came back; gives how much it was."""
        count = 0
        wanted = self._listed()
        while portion := list(islice(wanted, _BATCH)):
            for what in _WHAT:
                named = [call_id for call_id, kind in portion if kind == what]
                why = "erased before; a backup had brought it back"
                count += len(self._erase(named, what, why, "server", listed=True))
        return count

    # -- one portion ------------------------------------------------------------

    def _erase(
        self,
        call_ids: Iterable[str],
        what: What,
        why: str,
        actor: str,
        *,
        listed: bool = False,
    ) -> list[str]:
        gone: list[str] = []
        waiting = iter(call_ids)
        while portion := list(islice(waiting, _BATCH)):
            gone += self._erase_some(portion, what, why, actor, listed)
        if gone:
            self._ledger.database.forget()
        return gone

    def _erase_some(
        self, call_ids: Sequence[str], what: What, why: str, actor: str, listed: bool
    ) -> list[str]:
        condition = CallRow.id.in_(call_ids)
        if not listed:
            # A version that only listened (serving.deploy) heard the same caller.
            of = [CallRow.id.startswith(f"{name}-", autoescape=True) for name in call_ids]
            condition |= (CallRow.protocol == "shadow") & sa.or_(*of)
        if what == "recording":
            condition &= CallRow.path.is_not(None) & CallRow.ended.is_not(None)
        with self._ledger.write() as session:
            rows = session.execute(sa.select(CallRow.id, CallRow.path).where(condition)).all()
            names = [row.id for row in rows]
            if not names:
                return []
            if not listed:
                # First on the list: what is not yet erased when the power goes, is at the next
                # opening.
                self._note(names, what, why)
            if what == "call":
                self._drop(session, names, why, actor)
            else:
                self._drop_recordings(session, names, why, actor)
        for row in rows:
            if row.path is not None:
                self._unlink(row.path)
        return names

    def _drop(self, session: Session, names: list[str], why: str, actor: str) -> None:
        known = erased_among(session, names)
        for name in names:
            if name not in known:
                session.add(ErasureRow(call_id=name, time=now(), reason=why))
        session.execute(sa.delete(CallRow).where(CallRow.id.in_(names)))
        for name in names:
            audit.append(session, "call.erased", name, actor=actor, detail={"why": why})

    def _drop_recordings(self, session: Session, names: list[str], why: str, actor: str) -> None:
        nothing: dict[str, Any] = {
            "recording": "erased",
            "path": None,
            "samples": None,
            "sha256": None,
        }
        session.execute(sa.update(CallRow).where(CallRow.id.in_(names)).values(**nothing))
        for name in names:
            audit.append(session, "recording.erased", name, actor=actor, detail={"why": why})

    def _too_old(
        self, condition: sa.ColumnElement[bool], what: What, before: datetime
    ) -> list[str]:
        over = (CallRow.ended < before) | (
            CallRow.ended.is_(None) & (CallRow.started < before - _FORGOTTEN)
        )
        query = sa.select(CallRow.id).where(condition, over).order_by(CallRow.started)
        if what == "recording":
            query = query.where(CallRow.path.is_not(None), CallRow.ended.is_not(None))
        with self._ledger.database.read() as session:
            return list(session.scalars(query))

    # -- files ------------------------------------------------------------------

    def _unlink(self, path: str) -> None:
        file = self._folder / path
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"{file}: the recording could not be removed ({error.strerror}); its call is "
                "erased, so remove the file by hand"
            ) from None

    def _note(self, names: Sequence[str], what: What, why: str) -> None:
        facts = {"what": what, "time": now().isoformat(), "why": why}
        rows = [json.dumps({"call_id": name, **facts}) + "\n" for name in names]
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            file = os.open(self.list, flags, 0o600)
            try:
                os.write(file, "".join(rows).encode())
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise StoreError(
                f"{self.list}: cannot be written ({error.strerror}); nothing was erased"
            ) from None

    def _listed(self) -> Iterator[tuple[str, What]]:
        try:
            with self.list.open(encoding="utf-8", errors="replace") as lines:
                for number, line in enumerate(lines, 1):
                    try:
                        row = json.loads(line)
                        what: What = "call" if row["what"] == "call" else "recording"
                        yield str(row["call_id"]), what
                    except (ValueError, KeyError, TypeError):
                        _LOG.error("%s:%d: not an erasure; the line is ignored", self.list, number)
        except FileNotFoundError:
            return


def _groups(retention: Retention) -> Iterator[tuple[sa.ColumnElement[bool], Limits]]:
    """(condition on calls, their limits): each key with limits of its own, then all others."""
    for key in retention.keys:
        yield CallRow.key == key, retention.of(key)
    yield CallRow.key.not_in(sorted(retention.keys)), retention
