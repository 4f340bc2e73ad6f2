from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serving.store.acting import whole_call

from antiphon.serving.store import Store, StoreConfig, StoreError
from antiphon.serving.store.audit import START, Entry, Head, check

KEY = b"a key that has many bytes"
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


def chain(fields: list[tuple[str, str, str, str, str]], key: bytes | None) -> list[Entry]:
    """A log with these (time, actor, action, subject, detail)."""
    log: list[Entry] = []
    for seq, texts in enumerate(fields, 1):
        entry = Entry(seq, *texts, hash="")
        before = log[-1].hash if log else START
        log.append(replace(entry, hash=entry.expected(before, key)))
    return log


LOGS = st.builds(
    chain,
    st.lists(st.tuples(TEXTS, TEXTS, TEXTS, TEXTS, TEXTS), min_size=1, max_size=8),
    st.sampled_from((None, KEY)),
)


def problems(log: list[Entry], key: bytes | None, head: Head) -> list[str]:
    return [str(problem) for problem in check(log, key=key, heads=[head])]


@st.composite
def edited(draw: st.DrawFn) -> tuple[list[Entry], list[Entry], bytes | None]:
    """(a log, the same after one edit, its key)."""
    key = draw(st.sampled_from((None, KEY)))
    rows = st.lists(st.tuples(TEXTS, TEXTS, TEXTS, TEXTS, TEXTS), min_size=1, max_size=8)
    log = chain(draw(rows), key)
    at = draw(st.integers(0, len(log) - 1))
    kind = draw(st.sampled_from(("field", "seq", "hash", "remove", "cut", "add", "swap", "forge")))
    changed = list(log)
    if kind == "field":
        name = draw(st.sampled_from(("time", "actor", "action", "subject", "detail")))
        text = draw(TEXTS.filter(lambda new: new != getattr(log[at], name)))
        changed[at] = replace(log[at], **{name: text})
    elif kind == "seq":
        changed[at] = replace(log[at], seq=draw(st.integers(-2, 12).filter(lambda n: n != at + 1)))
    elif kind == "hash":
        changed[at] = replace(log[at], hash=START)
    elif kind == "remove":
        del changed[at]
    elif kind == "cut":
        del changed[at:]
    elif kind == "add":
        changed.insert(at, replace(log[at], detail=log[at].detail + "x"))
    elif kind == "swap" and len(log) > 1:
        other = (at + 1) % len(log)
        changed[at], changed[other] = changed[other], changed[at]
    else:  # a forger who makes the entry's own hash right again, and is without the key
        new = replace(log[at], detail=log[at].detail + "x")
        before = log[at - 1].hash if at else START
        changed[at] = replace(new, hash=new.expected(before, None))
    return log, changed, key


@given(LOGS)
@settings(deadline=None)
def test_a_log_as_it_was_written_has_no_problem(log: list[Entry]) -> None:
    keys = [key for key in (None, KEY) if log[0].hash == log[0].expected(START, key)]
    assert problems(log, keys[0], Head(log[-1].seq, log[-1].hash)) == []


@given(edited())
@settings(deadline=None, max_examples=400)
def test_any_single_edit_is_found(case: tuple[list[Entry], list[Entry], bytes | None]) -> None:
    log, changed, key = case
    assert problems(changed, key, Head(log[-1].seq, log[-1].hash))


@given(edited())
@settings(deadline=None, max_examples=200)
def test_entries_before_an_edit_are_not_blamed(
    case: tuple[list[Entry], list[Entry], bytes | None],
) -> None:
    log, changed, key = case
    same = next((i for i, (a, b) in enumerate(zip(log, changed, strict=False)) if a != b), None)
    if same is None:
        return
    first = next(iter(check(changed, key=key)), None)
    if first is None:  # only the witness can know better
        assert same == len(log) - 1
        return
    blamed = first.where
    assert blamed not in {f"audit entry {entry.seq}" for entry in log[:same]} or any(
        entry.seq <= same for entry in changed[same:]
    )


def test_each_kind_of_harm_is_told_with_its_place() -> None:
    log = chain([("t", "server", "call.opened", f"call_{n}", "{}") for n in range(6)], None)
    head = Head(6, log[-1].hash)
    changed = [replace(e, subject="call_9") if e.seq == 3 else e for e in log]
    assert problems(changed, None, head)[0].startswith("audit entry 3: its hash does not follow")
    assert "entry 3 before it is missing" in problems(log[:2] + log[3:], None, head)[0]
    assert "entries 3 to 4 before it are missing" in problems(log[:2] + log[4:], None, head)[0]
    cut = problems(log[:4], None, head)
    assert cut == [
        "audit entries 5 to 6: they are missing: the log was cut off after entry 4, or an older "
        "backup was restored"
    ]
    assert "audit entries 1 to 6" in problems([], None, head)[0]


def test_a_chain_that_was_made_anew_without_the_key_is_found() -> None:
    rows = [("t", "server", "call.opened", f"call_{n}", "{}") for n in range(4)]
    forged = chain(rows[:2], None)
    assert len(problems(forged, KEY, Head())) == 2


@pytest.mark.parametrize("text", ["", "x", "1:", "1:ff", "-1:" + "0" * 64, "²:" + "0" * 64])
def test_what_is_no_head_is_told_in_a_sentence(text: str) -> None:
    with pytest.raises(StoreError, match="no head of an audit log"):
        Head.parse(text)


# -- in a store --------------------------------------------------------------------


@pytest.fixture
def full(store: Store) -> tuple[Store, str]:
    """A store with one call that is over."""
    with store.serving() as observer:
        return store, whole_call(observer)


def found(store: Store) -> str:
    return "\n".join(str(problem) for problem in store.verify())


def force(store: Store, statement: str) -> None:
    """Change the database behind the store's back, triggers off."""
    with store.database.write() as session:
        if store.database.sqlite:
            for verb in ("update", "delete"):
                session.execute(sa.text(f"DROP TRIGGER IF EXISTS audit_no_{verb}"))
        else:
            session.execute(sa.text("SET LOCAL session_replication_role = replica"))
        session.execute(sa.text(statement))


def test_the_log_tells_a_calls_life(full: tuple[Store, str]) -> None:
    store, call_id = full
    from antiphon.serving.store.audit import entries

    with store.database.read() as session:
        log = list(entries(session, call_id))
    assert [entry.action for entry in log] == ["call.opened", "call.closed", "recording.finished"]
    assert found(store) == ""


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit"])
def test_the_database_itself_refuses_to_change_the_log(
    full: tuple[Store, str], statement: str
) -> None:
    store, _ = full
    with (
        pytest.raises(sa.exc.DBAPIError, match="append-only"),
        store.database.write() as session,
    ):
        session.execute(sa.text(statement))
    assert found(store) == ""


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE audit SET actor = 'x' WHERE seq = 2", "audit entry 2: its hash"),
        ("DELETE FROM audit WHERE seq = 2", "audit entry 3: entry 2 before it is missing"),
        ("DELETE FROM audit WHERE seq = 1", "audit entry 2: entry 1 before it is missing"),
        ("DELETE FROM audit WHERE seq > 3", "audit entries 4 to 5: they are missing"),
        ("DELETE FROM audit", "audit entries 1 to 5: they are missing"),
        ("UPDATE turns SET text = 'two lattes' WHERE number = 0", "was changed after its end"),
        ("DELETE FROM turns WHERE number = 1", "was changed after its end"),
        ("UPDATE tool_calls SET arguments = '{}'", "was changed after its end"),
        ("DELETE FROM calls", "it is gone, and the log knows of no erasure"),
        ("UPDATE calls SET sha256 = 'x'", "no longer the one that the log knows of"),
    ],
)
def test_any_change_in_the_database_is_found(
    full: tuple[Store, str], statement: str, says: str
) -> None:
    store, _ = full
    assert store.head().seq == 5
    force(store, statement)
    assert says in found(store)


def test_a_changed_or_removed_recording_is_found(full: tuple[Store, str]) -> None:
    store, call_id = full
    path = store.recording(call_id)
    assert path is not None
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert f"call {call_id}: its recording {path} was changed" in found(store)
    assert list(store.verify(recordings=False)) == []
    path.unlink()
    assert "cannot be read: No such file" in found(store)


def test_a_log_cut_off_with_its_witness_is_found_by_a_head_that_was_noted(
    full: tuple[Store, str],
) -> None:
    store, _ = full
    noted = store.head()
    force(store, "DELETE FROM audit WHERE seq = 5")
    (store.folder / "audit.head").unlink()
    assert "audit entries 5 to 5" in str(next(iter(store.verify(head=noted))))


def test_a_restored_backup_is_told_and_can_be_accepted(
    config: StoreConfig, opened: Callable[..., Store], caplog: pytest.LogCaptureFixture
) -> None:
    store = opened(config)
    with store.serving() as observer:
        whole_call(observer)
    # As if the database of an earlier day had been put back.
    force(store, "DELETE FROM audit WHERE seq > 4")
    again = opened(config)
    with again.serving() as observer, caplog.at_level(logging.ERROR):
        whole_call(observer)
        again.flush()
        assert any("antiphon store verify" in problem for problem in again.problems())
    assert "lacks entry 5, which the witness saw" in caplog.text
    # More entries than before, and still not the ones that the witness saw.
    assert again.head().seq > 5
    assert "it is not the entry that the witness saw" in found(again)
    again.ledger.accept()
    assert found(again).count("\n") == 0  # the recording's entry of the first call stays lost
    assert again.problems() == []


def test_a_key_makes_the_chain_its_owners(tmp_path: Path, opened: Callable[..., Store]) -> None:
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef0123456789abcdef\n")
    config = StoreConfig(folder=tmp_path / "store", audit_key=secret)
    store = opened(config)
    store.note("operator.said", detail={"what": "hello"})
    assert found(store) == ""
    with pytest.raises(StoreError, match="begun with another key"):
        Store.open(config.model_copy(update={"audit_key": None}))
    secret.write_text("another one of sixteen bytes or more")
    with pytest.raises(StoreError, match="begun with another key"):
        Store.open(config)
    secret.write_text("short")
    with pytest.raises(StoreError, match="at least 16 bytes"):
        Store.open(config)
    secret.unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        Store.open(config)


def test_a_store_begun_without_a_key_stays_so(tmp_path: Path, opened: Callable[..., Store]) -> None:
    opened(StoreConfig(folder=tmp_path / "store"))
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef0123456789abcdef\n")
    with pytest.raises(StoreError, match="begun without a key"):
        Store.open(StoreConfig(folder=tmp_path / "store", audit_key=secret))


def test_nothing_said_and_nobodys_number_is_in_the_log(full: tuple[Store, str]) -> None:
    store, _ = full
    store.erase_caller("+49 30 901820")
    if not store.database.sqlite:
        return
    raw = sqlite3.connect(store.folder / "calls.db")
    text = str(raw.execute("SELECT * FROM audit").fetchall())
    raw.close()
    assert "latte" not in text
    assert "901820" not in text
