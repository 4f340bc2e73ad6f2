from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from tests.serving.store.acting import ORDER, beats, info, turn, whole_call

from antiphon.runtime.events import CallerWordEvent
from antiphon.serving.call import ToolResultEvent
from antiphon.serving.store import Filter, NoSuchCall, Store, StoreConfig, StoreError
from antiphon.serving.store.database import reason
from antiphon.serving.store.models import Base, TurnRow


def test_a_call_comes_back_as_it_was_told(store: Store) -> None:
    call = info(metadata={"caller": "+49 30 901820", "shop": "north"})
    with store.serving() as observer:
        whole_call(observer, call)
    back = store.call(call.id)
    assert (back.call.bundle, back.call.protocol, back.call.key, back.call.caller) == (
        "tiny",
        "realtime",
        "key_a",
        "+49 30 901820",
    )
    assert back.call.started == call.started
    assert back.call.ended is not None
    assert back.call.ended >= back.call.started
    assert back.call.reason == "client"
    assert back.call.seconds == pytest.approx(2.0)
    assert [t.text for t in back.turns] == ["a latte please", "a latte coming up"]
    assert back.turns[0].words[1] == pytest.approx(("latte", 0.3, 0.45))
    assert back.turns[1].words[0][2] is None
    assert back.turns[0].tone == "cheerful"
    assert [(c.turn, c.name, c.arguments) for c in back.tool_calls] == [
        (1, "place_order", {"items": [{"drink": "latte"}]})
    ]
    assert [(e.type, e.data) for e in back.events] == [
        ("caller_word", {"text": "latte", "end": 0.5}),
        ("agent_word", {"text": "coming", "start": 1.3}),
    ]
    assert back.latencies.answers == 1
    assert back.latencies.p50_ms == 340.0
    assert back.call.recording == "whole"
    assert back.call.turn_count == 2
    assert back.call.first_words == "a latte please"


def test_the_recording_has_the_caller_left_and_the_agent_right_on_one_clock(store: Store) -> None:
    with store.serving() as observer:
        call_id = whole_call(observer)
    path = store.recording(call_id)
    assert path is not None
    samples, rate = sf.read(path)
    assert rate == 16_000
    assert samples.shape == (26 * 1280, 2)  # the agent's last frame goes out after the caller's
    assert not samples[:1280, 1].any()  # ... and its first one frame after the caller's first
    for side, hertz in ((0, 220), (1, 440)):
        spectrum = np.abs(np.fft.rfft(samples[1280:17280, side]))
        assert np.argmax(spectrum) == hertz
    assert (path.stat().st_mode & 0o777) == 0o600


def test_a_turn_is_committed_at_once(small: Store) -> None:
    config = small.config.model_copy(update={"commit_seconds": 0.5})
    small.config = config
    with small.serving() as observer:
        call = info()
        observer.opened(call)
        observer.turn(call.id, turn(0, "caller", "hello"))
        until = time.monotonic() + 5
        while not small.call(call.id).turns if _there(small, call.id) else True:
            assert time.monotonic() < until
            time.sleep(0.005)
        assert small.call(call.id).call.ended is None


def _there(store: Store, call_id: str) -> bool:
    try:
        store.call(call_id)
    except NoSuchCall:
        return False
    return True


def test_the_tables_are_those_of_the_models(store: Store) -> None:
    with store.database.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Base.metadata) == []


def test_a_store_of_a_newer_version_is_refused_in_a_sentence(
    store: Store, config: StoreConfig
) -> None:
    with store.database.write() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="open it with the version of antiphon that wrote it"):
        Store.open(config)


def test_opening_again_changes_nothing(config: StoreConfig, opened: Callable[..., Store]) -> None:
    first = opened(config)
    with first.serving() as observer:
        call_id = whole_call(observer)
    before = first.call(call_id), first.head()
    second = opened(config)
    assert (second.call(call_id), second.head()) == before
    assert list(second.verify()) == []


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://localhost/x", "cannot be kept in 'mysql'"),
        ("sqlite://", "would be lost"),
        ("nonsense", "cannot be read"),
        ("postgresql://nobody@127.0.0.1:1/x?connect_timeout=1", "cannot be opened"),
        ("sqlite:////proc/no/such/folder.db", "cannot be opened"),
    ],
)
def test_a_wrong_url_is_told_in_a_sentence(tmp_path: Path, url: str, says: str) -> None:
    with pytest.raises(StoreError, match=says):
        Store.open(StoreConfig(folder=tmp_path, url=url))


def test_a_file_that_is_no_database_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "calls.db").write_bytes(b"this is not a database at all, not even nearly" * 40)
    with pytest.raises(StoreError, match="not a database"):
        Store.open(StoreConfig(folder=tmp_path))


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="no store can be kept here"):
        Store.open(StoreConfig(folder=tmp_path / "file" / "store"))


def test_texts_that_databases_refuse_are_kept_without_what_they_refuse(store: Store) -> None:
    call = info(metadata={"caller": "a\x00b", "lone\ud800": "x\udfff"})
    with store.serving() as observer:
        observer.opened(call)
        observer.turn(call.id, turn(0, "caller", "zero\x00 lone\ud83d end", gap_ms=float("nan")))
        observer.event(call.id, CallerWordEvent(time=float("nan"), text="\x00", end=float("inf")))
        observer.closed(call.id, "cl\x00ient")
    back = store.call(call.id)
    assert back.turns[0].text == "zero lone? end"
    assert back.turns[0].gap_ms is None
    assert back.call.caller == "ab"
    assert back.call.reason == "client"


def test_what_the_database_refuses_does_not_stop_the_rest(
    small: Store, caplog: pytest.LogCaptureFixture
) -> None:
    call = info()
    with small.serving() as observer, caplog.at_level(logging.ERROR):
        observer.opened(call)
        observer.turn(call.id, turn(0, "caller", "one"))
        small.writer.put(  # type: ignore[union-attr]
            _event_of("call_that_nobody_opened"), at_once=True
        )
        observer.turn(call.id, turn(1, "agent", "two"))
        observer.closed(call.id, "client")
        assert small.flush()
        assert small.writer is not None
        assert small.writer.refused == 1
    assert [t.text for t in small.call(call.id).turns] == ["one", "two"]
    assert "call_that_nobody_opened" in caplog.text


def _event_of(call_id: str):
    from antiphon.serving.store.records import Happened

    return Happened(call_id=call_id, time=0.0, type="tone", data={})


def test_a_tools_late_result_is_kept_with_its_call(store: Store) -> None:
    call = info()
    with store.serving() as observer:
        observer.opened(call)
        observer.turn(call.id, turn(0, "agent", "coming up", calls=(ORDER,)))
        observer.event(call.id, ToolResultEvent(time=3.0, id="t1", output='{"queue": 4}'))
        observer.closed(call.id, "client")
    assert store.call(call.id).tool_calls[0].result == '{"queue": 4}'
    assert list(store.verify()) == []


def test_calls_that_go_on_when_the_server_stops_are_closed(store: Store) -> None:
    call = info()
    with store.serving() as observer:
        observer.opened(call)
        beats(observer, call.id, 10)
    back = store.call(call.id)
    assert back.call.reason == "server: it was stopped"
    assert back.call.recording == "whole"
    assert back.call.recording_seconds == pytest.approx(11 * 0.08)
    assert not list(store.folder.glob("*.journal"))


def test_sixteen_calls_at_once_stay_apart(store: Store) -> None:
    calls = [info() for _ in range(16)]
    with store.serving() as observer:
        for call in calls:
            observer.opened(call)
        for number in range(5):
            for place, call in enumerate(calls):
                beats(observer, call.id, 3, 3 * number)
                observer.turn(call.id, turn(number, "caller", f"call {place} turn {number}"))
        for call in calls:
            observer.closed(call.id, "client")
    for place, call in enumerate(calls):
        texts = [t.text for t in store.call(call.id).turns]
        assert texts == [f"call {place} turn {number}" for number in range(5)]
        assert store.call(call.id).call.recording_seconds == pytest.approx(16 * 0.08)
    assert list(store.verify()) == []


def test_the_observers_methods_do_not_wait_for_a_database_that_is_locked(small: Store) -> None:
    call = info()
    other = sqlite3.connect(small.folder / "calls.db", isolation_level=None)
    with small.serving() as observer:
        observer.opened(call)
        assert small.flush()
        other.execute("BEGIN IMMEDIATE")
        started = time.perf_counter()
        for number in range(20):
            observer.turn(call.id, turn(number, "caller", "hello"))
            beats(observer, call.id, 2, 2 * number)
        assert time.perf_counter() - started < 2.0
        other.execute("COMMIT")
        observer.closed(call.id, "client")
    other.close()
    assert small.call(call.id).call.turn_count == 20


def test_two_servers_and_a_reader_share_a_store(
    config: StoreConfig, opened: Callable[..., Store]
) -> None:
    stores = [opened(config) for _ in range(2)]
    done: list[str] = []

    def serve(store: Store) -> None:
        with store.serving() as observer:
            done.extend(whole_call(observer) for _ in range(5))

    threads = [threading.Thread(target=serve, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    reader = opened(config)
    assert {call.id for call in reader.calls().calls} == set(done)
    assert len(done) == 10
    assert list(reader.verify()) == []


# -- lists -----------------------------------------------------------------------


@pytest.fixture
def several(store: Store) -> tuple[Store, list[str]]:
    """Five calls, a day apart, the oldest first."""
    first = datetime(2026, 3, 1, 12, tzinfo=UTC)
    names: list[str] = []
    with store.serving() as observer:
        for day in range(5):
            call = info(
                started=first + timedelta(days=day),
                bundle="cafe" if day % 2 else "tiny",
                key="key_b" if day == 4 else "key_a",
            )
            names.append(whole_call(observer, call, words=f"Day {day} 100% of_it"))
    return store, names


def test_calls_are_listed_newest_first_and_filtered(several: tuple[Store, list[str]]) -> None:
    store, names = several

    def listed(**chosen: object) -> list[str]:
        return [call.id for call in store.calls(Filter.model_validate(chosen)).calls]

    assert listed() == names[::-1]
    assert listed(bundle="cafe") == [names[3], names[1]]
    assert listed(key="key_b") == [names[4]]
    assert listed(q="dAy 2") == [names[2]]
    assert listed(q="100%") == names[::-1]
    assert listed(q="100_") == []
    assert listed(q=names[1]) == [names[1]]
    assert listed(q="\x00") == listed(key="\x00") == []
    assert listed(since=datetime(2026, 3, 4, 12, tzinfo=UTC)) == [names[4], names[3]]
    assert listed(until=datetime(2026, 3, 2, 12, tzinfo=UTC)) == [names[0]]


def test_pages_follow_each_other_without_gap_or_overlap(several: tuple[Store, list[str]]) -> None:
    store, names = several
    seen: list[str] = []
    cursor = None
    for _ in range(4):
        page = store.calls(Filter(limit=2, cursor=cursor))
        seen += [call.id for call in page.calls]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == names[::-1]


@pytest.mark.parametrize("cursor", ["", "x", "bm9wZQ", "\x00", "W10", "WzEsMl0", "é"])
def test_a_wrong_cursor_is_told_in_a_sentence(small: Store, cursor: str) -> None:
    with pytest.raises(StoreError, match="cursor: "):
        small.calls(Filter(cursor=cursor))


def test_a_call_that_is_not_there_is_told_in_a_sentence(store: Store) -> None:
    for name in ("call_none", "\x00", "\ud800", "x" * 5000):
        with pytest.raises(NoSuchCall, match="there is no call"):
            store.call(name)


# -- a database that fails ---------------------------------------------------------


def test_a_database_that_comes_back_gets_everything(
    small: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = threading.Event()
    write = small.ledger.write

    def fails():
        if broken.is_set():
            raise sa.exc.OperationalError("INSERT", {}, OSError("the server has gone away"))
        return write()

    monkeypatch.setattr(small.ledger, "write", fails)
    call = info()
    with small.serving() as observer, caplog.at_level(logging.WARNING):
        observer.opened(call)
        assert small.flush()
        broken.set()
        observer.turn(call.id, turn(0, "caller", "hello"))
        until = time.monotonic() + 5
        while not small.problems() and time.monotonic() < until:
            time.sleep(0.01)
        assert "the server has gone away" in small.problems()[0]
        broken.clear()
        observer.closed(call.id, "client")
        assert small.flush()
        assert small.problems() == []
    assert [t.text for t in small.call(call.id).turns] == ["hello"]
    assert "storing again" in caplog.text


def test_sql_and_what_was_said_are_in_no_message(store: Store) -> None:
    row = {"call_id": "nobody", "number": 1, "speaker": "caller", "text": "my secret"}
    row |= {"words": [], "start": 0.0, "end": 0.0, "interrupted": False}
    with pytest.raises(sa.exc.IntegrityError) as caught, store.database.write() as session:
        session.execute(sa.insert(TurnRow), [row])
    assert "secret" not in str(caught.value)
    assert "secret" not in reason(caught.value)
