"""What a kill -9 leaves; `benchmarks/store_kill.py` does the same many times more."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.serving.store.acting import beats, info, turn, whole_call

import store_kill  # type: ignore[import-not-found]  # benchmarks/ is on the path
from antiphon.serving.store import Filter, Store, StoreConfig
from antiphon.serving.store.journal import Journal, left_behind
from antiphon.serving.store.store import LOST

KILLS = int(os.environ.get("ANTIPHON_KILLS", "2"))


def test_a_kill_at_any_moment_loses_nothing_that_was_finished(
    config: StoreConfig, opened: Callable[..., Store]
) -> None:
    rng = random.Random(11)
    for _ in range(KILLS):
        outcome = store_kill.kill_once(config, calls=4, beat=0.02, seconds=rng.uniform(0.3, 1.5))
        assert outcome.missing == []
        assert outcome.problems == []
        assert outcome.short == []
    store = opened(config)
    for call_id in store.ids(Filter()):
        call = store.call(call_id).call
        assert call.ended is not None
        assert call.reason in ("client", LOST)
        assert call.recording in ("whole", "salvaged", "none")


def _killed(store: Store, work: Callable[[object], None]) -> None:
    """Do `work` with an observer in a child process that then dies without a word."""
    pid = os.fork()
    if pid == 0:
        try:
            store.database.engine.dispose(close=False)
            with store.serving() as observer:
                work(observer)
                os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_turn_outlives_the_process_from_the_moment_that_it_was_told(
    config: StoreConfig, opened: Callable[..., Store]
) -> None:
    slow = config.model_copy(update={"commit_seconds": 0.5})
    call = info(metadata={"caller": "ann"})

    def work(observer: object) -> None:
        observer.opened(call)  # type: ignore[attr-defined]
        observer.turn(call.id, turn(0, "caller", "the very last words"))  # type: ignore[attr-defined]

    _killed(opened(slow), work)
    store = opened(config)
    back = store.call(call.id)
    assert back.turns[0].text == "the very last words"
    assert back.call.caller == "ann"
    assert back.call.reason == LOST
    assert back.call.seconds == pytest.approx(back.turns[0].end)
    assert list(store.verify()) == []
    assert not list(store.folder.glob("*.journal"))
    # Opening once more finds nothing more to do.
    assert opened(config).head() == store.head()


def test_what_is_in_the_journal_of_an_erased_call_stays_erased(
    config: StoreConfig, opened: Callable[..., Store]
) -> None:
    call = info()

    def work(observer: object) -> None:
        observer.opened(call)  # type: ignore[attr-defined]
        observer.turn(call.id, turn(0, "caller", "secret"))  # type: ignore[attr-defined]

    _killed(opened(config), work)
    journal = next(config.folder.glob("*.journal"))
    lines = journal.read_bytes()
    store = opened(config)
    store.erase([call.id])
    journal.write_bytes(lines)  # as if it had been read once only in part
    again = opened(config)
    assert again.ids(Filter()) == []
    assert list(again.verify()) == []


def test_a_journal_read_twice_changes_nothing(
    config: StoreConfig, opened: Callable[..., Store]
) -> None:
    call = info()

    def work(observer: object) -> None:
        observer.opened(call)  # type: ignore[attr-defined]
        observer.paused(call.id, True)  # type: ignore[attr-defined]
        observer.paused(call.id, False)  # type: ignore[attr-defined]
        observer.turn(call.id, turn(0, "caller", "once"))  # type: ignore[attr-defined]

    _killed(opened(config), work)
    journal = next(config.folder.glob("*.journal"))
    lines = journal.read_bytes()
    first = opened(config).call(call.id)
    journal.write_bytes(lines + b'{"kind": "turn", "call_id"')  # the last line is cut off
    store = opened(config)
    assert store.call(call.id) == first
    assert list(store.verify()) == []


def test_a_living_servers_calls_are_left_alone(
    config: StoreConfig, opened: Callable[..., Store]
) -> None:
    store = opened(config)
    with store.serving() as observer:
        call = info()
        observer.opened(call)
        beats(observer, call.id, 10)
        assert store.flush()
        other = opened(config)
        assert other.call(call.id).call.ended is None
        observer.closed(call.id, "client")
    assert opened(config).call(call.id).call.reason == "client"


def test_a_server_that_could_not_commit_leaves_its_turns_to_the_next(
    small: Store, opened: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon.serving.store.writer._LAST", 0.1)
    with small.serving() as observer:
        call_id = whole_call(observer)
        assert small.flush()
        # Another process holds the database, and does not let go of it.
        import sqlite3

        other = sqlite3.connect(small.folder / "calls.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr("antiphon.serving.store.database._PATIENCE", 0.1)
        small.database.engine.dispose()
        with small.database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 100")
        late = info()
        observer.opened(late)
        observer.turn(late.id, turn(0, "caller", "late words"))
    other.execute("COMMIT")
    other.close()
    store = opened(small.config)
    assert store.call(late.id).turns[0].text == "late words"
    assert store.call(call_id).call.turn_count == 2


def test_a_journal_is_empty_once_all_is_committed(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "server")
    first = journal.write({"kind": "a"})
    second = journal.write({"kind": "b"})
    journal.committed(first)
    assert journal.path.stat().st_size > 0
    journal.committed(second)
    assert journal.path.stat().st_size == 0
    assert journal.path.stat().st_mode & 0o777 == 0o600
    assert list(left_behind(tmp_path)) == []  # its server lives
    journal.write({"kind": "c"})
    journal.abandon()
    assert list(left_behind(tmp_path)) == [("server", [{"kind": "c"}])]
    assert not journal.path.exists()
