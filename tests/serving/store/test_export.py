from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.serving.store.acting import beats, info, turn, whole_call

from antiphon.corpus.disk import Corpus
from antiphon.corpus.importers import import_corpus
from antiphon.serving.store import Filter, Store, StoreError


def test_recorded_calls_are_a_corpus_that_can_be_imported(store: Store, tmp_path: Path) -> None:
    with store.serving() as observer:
        call_id = whole_call(observer)
        other = whole_call(observer, info(bundle="other"))
    made = store.export(tmp_path / "out", Filter(bundle="tiny"))
    assert (made.recorded, made.unrecorded) == (1, 0)
    imported = import_corpus(tmp_path / "out", tmp_path / "corpus")
    assert len(imported) == 1
    conversation = Corpus(tmp_path / "corpus")[0]
    agent, caller = conversation.audio
    assert np.argmax(np.abs(np.fft.rfft(caller[1280:17280]))) == 220
    assert np.argmax(np.abs(np.fft.rfft(agent[1280:17280]))) == 440
    assert [(w.speaker, w.text) for w in conversation.words] == [
        *(("caller", word) for word in ("a", "latte", "please")),
        *(("agent", word) for word in ("a", "latte", "coming", "up")),
    ]
    assert all(0 < word.end - word.start <= 0.6 for word in conversation.words)
    turns = [(t.speaker, t.data["text"], t.data["tone"]) for t in conversation.turns()]
    assert turns == [
        ("caller", "a latte please", "cheerful"),
        ("agent", "a latte coming up", "neutral"),
    ]
    calls = [event for event in conversation.events if event.kind == "call"]
    assert calls[0].data == {"name": "place_order", "arguments": {"items": [{"drink": "latte"}]}}
    assert calls[0].start == pytest.approx(0.7)  # where the caller's turn ends
    notes = json.loads((tmp_path / "out" / "000" / "000000.json").read_text())
    assert notes["record"]["call"]["id"] == call_id
    assert notes["record"]["latencies"]["p50_ms"] == 340.0
    row = json.loads((tmp_path / "out" / "index.jsonl").read_text())
    assert row["id"] == call_id
    assert other not in (tmp_path / "out" / "index.jsonl").read_text()


def test_calls_without_sound_are_given_as_words(small: Store, tmp_path: Path) -> None:
    with small.serving() as observer:
        call_id = whole_call(observer)
        live = info()
        observer.opened(live)
        assert small.flush()
        small.erase_recording(call_id)
        made = small.export(tmp_path / "out", Filter())
    assert (made.recorded, made.unrecorded) == (0, 1)
    content = json.loads((tmp_path / "out" / "words" / f"{call_id}.json").read_text())
    assert content["turns"][0]["text"] == "a latte please"


def test_times_beyond_the_recording_are_brought_into_it(small: Store, tmp_path: Path) -> None:
    call = info()
    with small.serving() as observer:
        observer.opened(call)
        beats(observer, call.id, 12)
        observer.turn(call.id, turn(0, "caller", "well inside", 0.2))
        observer.turn(call.id, turn(1, "agent", "it hangs over the end", 0.7, end=3.0))
        observer.turn(call.id, turn(2, "agent", "wholly beyond", 9.0, gap_ms=1.0))
        observer.closed(call.id, "client")
    small.export(tmp_path / "out", Filter())
    conversation = Corpus(tmp_path / "out")[0]
    words = [word.text for word in conversation.words]
    assert words[:2] == ["well", "inside"]
    assert "wholly" not in words
    assert len(import_corpus(tmp_path / "out", tmp_path / "corpus")) == 1


def test_an_export_never_writes_into_a_folder_that_holds_something(
    small: Store, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("")
    with pytest.raises(StoreError, match="is not empty"):
        small.export(tmp_path / "out", Filter())
