"""What the audit log vouches for, held against what is there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from antiphon.serving.store import audit
from antiphon.serving.store.audit import Entry, Head, Problem
from antiphon.serving.store.models import CallRow
from antiphon.serving.store.recordings import digest
from antiphon.serving.store.records import contents


class _Vouched:
    """What the entries say of each call, gathered while they pass."""

    def __init__(self) -> None:
        self.opened: set[str] = set()
        self.erased: set[str] = set()
        self.silenced: set[str] = set()  # whose recording was erased
        self.contents: dict[str, str] = {}
        self.sounds: dict[str, str] = {}

    def watch(self, log: Iterable[Entry]) -> Iterator[Entry]:
        """The same entries."""
        for entry in log:
            self._take(entry)
            yield entry

    def _take(self, entry: Entry) -> None:
        if entry.action == "call.opened":
            self.opened.add(entry.subject)
        elif entry.action == "call.erased":
            self.erased.add(entry.subject)
        elif entry.action == "recording.erased":
            self.silenced.add(entry.subject)
        elif entry.action == "call.closed":
            self.contents[entry.subject] = str(_detail(entry).get("contents"))
        elif entry.action == "recording.finished":
            self.sounds[entry.subject] = str(_detail(entry).get("sha256"))


def verify(
    session: Session, key: bytes | None, heads: Iterable[Head], folder: Path | None
) -> Iterator[Problem]:
    """Problems of the log itself, then of the calls. folder: check recordings in it, too."""
    said = _Vouched()
    yield from audit.check(said.watch(audit.entries(session)), key=key, heads=heads)
    there: set[str] = set()
    for call in session.scalars(sa.select(CallRow).order_by(CallRow.started)):
        there.add(call.id)
        yield from _call(session, call, said, folder)
    for missing in sorted(said.opened - said.erased - there):
        yield Problem(f"call {missing}", "it is gone, and the log knows of no erasure")


def _call(
    session: Session, call: CallRow, said: _Vouched, folder: Path | None
) -> Iterator[Problem]:
    where = f"call {call.id}"
    if call.id not in said.opened:
        yield Problem(where, "the log does not know of it: its entry was removed, or it was added")
    if call.id in said.erased:
        yield Problem(where, "it was erased and is there again: a backup was restored")
    wanted = said.contents.get(call.id)
    if wanted is None and call.ended is not None:
        yield Problem(where, "it is over, and the log does not know of its end")
    if wanted is not None and wanted != contents(session, call.id):
        yield Problem(where, "what was said or called in it was changed after its end")
    sound = said.sounds.get(call.id)
    if sound is None or call.id in said.silenced:
        return
    if call.path is None or call.sha256 != sound:
        yield Problem(where, "its recording is no longer the one that the log knows of")
    elif folder is not None:
        yield from _recording(where, folder / call.path, sound)


def _recording(where: str, path: Path, wanted: str) -> Iterator[Problem]:
    try:
        found = digest(path)
    except OSError as error:
        yield Problem(where, f"its recording {path} cannot be read: {error.strerror}")
        return
    if found != wanted:
        yield Problem(where, f"its recording {path} was changed after the call")


def _detail(entry: Entry) -> dict[str, Any]:
    try:
        detail = json.loads(entry.detail)
    except ValueError:
        return {}
    return cast("dict[str, Any]", detail) if isinstance(detail, dict) else {}
