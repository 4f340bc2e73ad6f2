"""Finished turns, in the kernel's hands before the observer returns.

A commit takes milliseconds that the event loop does not have. A line appended to an open file
takes microseconds and outlives the process. So what must not be lost is first written here, then
committed by the store's thread, and a line is forgotten once everything is committed. What a killed
server left is found by the next one: it holds the journal's lock no more.

It guards against the death of the process; against that of the machine, the commit does.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, cast

from antiphon.serving.store.errors import StoreError

_ENDING = ".journal"


class Journal:
    """The lines of one running server. `write` from one thread, `committed` from another."""

    def __init__(self, folder: Path, instance: str) -> None:
        """Raises StoreError when the folder cannot be written."""
        self.path = folder / f"{instance}{_ENDING}"
        part = folder / f".{instance}.part"
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._file = os.open(part, flags, 0o600)
            # Locked before it has its name: nobody can take it for a dead server's.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.replace(part, self.path)
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written: {error.strerror}") from None
        self._lock = threading.Lock()
        self._written = 0

    def write(self, record: dict[str, Any]) -> int:
        """Append a record; gives its number, from 1. Raises OSError (a full disk)."""
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            os.write(self._file, line)
            self._written += 1
            return self._written

    def committed(self, number: int) -> None:
        """All records up to this one are in the database."""
        with self._lock:
            if number >= self._written:
                os.ftruncate(self._file, 0)

    def close(self) -> None:
        """Everything is committed and every call is closed: remove the file."""
        self.path.unlink(missing_ok=True)
        os.close(self._file)

    def abandon(self) -> None:
        """Leave the file to the next server: not everything could be committed."""
        os.close(self._file)


def left_behind(folder: Path) -> Generator[tuple[str, list[dict[str, Any]]]]:
    """(instance, records) of each dead server; a journal is removed once the next is asked for."""
    for path in sorted(folder.glob(f"*{_ENDING}")):
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # its server lives
            if not path.exists():
                continue  # another server was quicker
            yield path.name.removesuffix(_ENDING), list(_records(path.read_bytes()))
            path.unlink(missing_ok=True)
        finally:
            os.close(file)


def _records(content: bytes) -> Iterator[dict[str, Any]]:
    """Every whole line; the last may be cut off, and so may one before a full disk."""
    for line in content.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield cast("dict[str, Any]", record)
