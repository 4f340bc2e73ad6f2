from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from tests.serving.store.acting import beats, info, turn, whole_call

from antiphon.runtime.events import CallerWordEvent
from antiphon.serving.store import (
    CallInProgress,
    Filter,
    Limits,
    NoSuchCall,
    Retention,
    Store,
    StoreConfig,
)


def remaining(store: Store) -> set[str]:
    return set(store.ids(Filter()))


def everything(store: Store) -> bytes:
    """All bytes on the disk that the store wrote, but for the audit log's own."""
    return b"".join(path.read_bytes() for path in store.folder.rglob("*") if path.is_file())


def test_an_erased_call_leaves_nothing_but_its_id(store: Store) -> None:
    with store.serving() as observer:
        gone = whole_call(observer, info(metadata={"caller": "ann"}), words="my secret is xyzzy")
        kept = whole_call(observer)
    path = store.recording(gone)
    assert path is not None
    if store.database.sqlite:
        assert b"xyzzy" in everything(store)
    assert store.erase([gone, "call_unknown"]) == [gone]
    assert not path.exists()
    with pytest.raises(NoSuchCall):
        store.call(gone)
    assert remaining(store) == {kept}
    assert list(store.verify()) == []
    # Not in free pages, nor in the write-ahead log, nor in a journal.
    assert b"xyzzy" not in everything(store)


def test_erasing_a_caller_reaches_all_of_theirs_and_nobody_elses(store: Store) -> None:
    with store.serving() as observer:
        anns = [whole_call(observer, info(metadata={"caller": "ann"})) for _ in range(3)]
        hers = whole_call(observer, info(metadata={"caller": "ann"}, key="key_b"))
        bobs = whole_call(observer, info(metadata={"caller": "bob"}))
    assert set(store.erase_caller("ann", key="key_a")) == set(anns)
    assert remaining(store) == {hers, bobs}
    assert store.erase_caller("ann") == [hers]
    assert store.erase_caller("nobody") == []
    assert remaining(store) == {bobs}
    assert list(store.verify()) == []


def test_a_call_erased_while_it_goes_on_is_not_kept_any_further(store: Store) -> None:
    call, other = info(), info()
    with store.serving() as observer:
        for one in (call, other):
            observer.opened(one)
            observer.turn(one.id, turn(0, "caller", "before"))
            beats(observer, one.id, 10)
        assert store.flush()
        assert store.erase([call.id]) == [call.id]
        for one in (call, other):
            observer.event(one.id, CallerWordEvent(time=1.0, text="after", end=0.9))
            observer.turn(one.id, turn(1, "caller", "after"))
            beats(observer, one.id, 10, 10)
            observer.closed(one.id, "client")
    assert remaining(store) == {other.id}
    assert [t.text for t in store.call(other.id).turns] == ["before", "after"]
    assert len(list(store.folder.rglob("*.flac"))) == 1
    assert list(store.verify()) == []


def test_a_call_erased_by_another_process_while_it_goes_on_stays_erased(
    config: StoreConfig, opened: Callable[..., Store]
) -> None:
    serving, other = opened(config), opened(config)
    call = info()
    with serving.serving() as observer:
        observer.opened(call)
        observer.turn(call.id, turn(0, "caller", "before"))
        beats(observer, call.id, 10)
        assert serving.flush()
        assert other.erase([call.id]) == [call.id]
        observer.turn(call.id, turn(1, "caller", "after"))
        assert serving.flush()
        beats(observer, call.id, 10, 10)
        observer.turn(call.id, turn(2, "caller", "later"))
        observer.closed(call.id, "client")
    assert remaining(serving) == set()
    assert not list(serving.folder.rglob("*.flac"))
    assert list(serving.verify()) == []


def test_a_recording_can_go_while_the_words_stay(store: Store) -> None:
    with store.serving() as observer:
        call_id = whole_call(observer)
        live = info()
        observer.opened(live)
        assert store.flush()
        with pytest.raises(CallInProgress, match="when it is over"):
            store.erase_recording(live.id)
    path = store.recording(call_id)
    assert path is not None
    store.erase_recording(call_id)
    assert not path.exists()
    assert store.recording(call_id) is None
    record = store.call(call_id)
    assert record.call.recording == "erased"
    assert len(record.turns) == 2
    with pytest.raises(NoSuchCall):
        store.erase_recording("call_none")
    assert list(store.verify()) == []


def test_what_is_too_old_goes_by_the_limits_of_its_key(store: Store) -> None:
    now = datetime.now(UTC)
    ages = {"new": 1, "old": 40, "ancient": 400}
    calls: dict[tuple[str, str], str] = {}
    with store.serving() as observer:
        for key in ("key_a", "key_b", "key_c"):
            for name in ages:
                calls[key, name] = whole_call(observer, info(key=key))
    with store.database.write() as session:
        from antiphon.serving.store.models import CallRow

        for (_, name), call_id in calls.items():
            row = session.get(CallRow, call_id)
            assert row is not None
            row.ended = now - timedelta(days=ages[name])
    limits = Retention(
        calls_days=365,
        recordings_days=30,
        keys={"key_b": Limits(calls_days=30), "key_c": Limits()},
    )
    planned = store.retain(limits, dry=True)
    assert len(remaining(store)) == 9
    gone = store.retain(limits)
    # What went as a whole has no recording left that could be too old.
    assert set(planned["call"]) == set(gone["call"])
    assert set(gone["call"]) == {
        calls["key_a", "ancient"],
        calls["key_b", "old"],
        calls["key_b", "ancient"],
    }
    assert gone["recording"] == [calls["key_a", "old"]]
    assert store.recording(calls["key_a", "new"]) is not None
    assert store.recording(calls["key_c", "ancient"]) is not None
    assert store.retain(limits) == {"call": [], "recording": []}
    assert list(store.verify()) == []


def test_a_server_removes_what_is_too_old_by_itself(
    config: StoreConfig, opened: Callable[..., Store]
) -> None:
    store = opened(config)
    with store.serving() as observer:
        whole_call(observer)
    limits = Retention(calls_days=1e-9)
    again = opened(config.model_copy(update={"retention": limits}))
    with again.serving():
        pass
    assert remaining(again) == set()


def test_a_restored_backup_brings_back_nobody_who_was_erased(
    small: Store, opened: Callable[..., Store]
) -> None:
    config = small.config
    store = opened(config)
    with store.serving() as observer:
        whole, gone, silenced = (whole_call(observer) for _ in range(3))
    store.close()
    backup = store.folder.parent / "backup"
    shutil.copytree(store.folder, backup)

    store = opened(config)
    store.erase([gone])
    store.erase_recording(silenced)
    store.close()

    # The day after: everything is put back but the list of erasures, which is kept apart.
    erased = (store.folder / "erased.jsonl").read_bytes()
    shutil.rmtree(store.folder)
    shutil.copytree(backup, store.folder)
    (store.folder / "erased.jsonl").write_bytes(erased + b"a line that is cut o")
    store = opened(config)
    assert remaining(store) == {whole, silenced}
    assert store.call(silenced).call.recording == "erased"
    assert len(list(store.folder.rglob("*.flac"))) == 1
    assert list(store.verify()) == []


def test_a_list_of_erasures_that_cannot_be_written_erases_nothing(small: Store) -> None:
    with small.serving() as observer:
        call_id = whole_call(observer)
    (small.folder / "erased.jsonl").mkdir()
    from antiphon.serving.store import StoreError

    with pytest.raises(StoreError, match="nothing was erased"):
        small.erase([call_id])
    assert remaining(small) == {call_id}
    (small.folder / "erased.jsonl").rmdir()
