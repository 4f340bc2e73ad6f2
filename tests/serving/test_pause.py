"""Nothing of a pause is kept: not in the store, the recording, logs, traces or metrics."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from antiphon.audio import FRAME
from antiphon.guard.events import GuardEvent
from antiphon.runtime.events import AgentWordEvent, CallerWordEvent, CallEvent, ToneEvent
from antiphon.serving.call import Dtmf, ToolCall, ToolCallEvent, ToolResultEvent, Turn
from antiphon.serving.logs import CallLog, LogConfig, configure
from antiphon.serving.metrics import Metrics
from antiphon.serving.pause import MARGIN, Discreet
from antiphon.serving.store import Store, StoreConfig
from antiphon.serving.traces import CallTraces
from tests.serving.store.acting import beats, info, turn

SECRET = "4111"


class Everything:
    """All observers of the house at once, and all that they wrote."""

    def __init__(self, folder: Path) -> None:
        self.store = Store.open(StoreConfig(folder=folder))
        self.log = io.StringIO()
        self.handler = configure(LogConfig(level="debug", words=True), self.log)
        self.spans = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.spans))
        self.metrics = Metrics()
        watchers = (CallLog(words=True), CallTraces(provider, content=True), self.metrics)
        self.serving = self.store.serving()
        self.observers = [Discreet(one) for one in (self.serving.__enter__(), *watchers)]

    def tell(self, what: str, *args: object) -> None:
        for observer in self.observers:
            getattr(observer, what)(*args)

    def close(self) -> str:
        """Everything that was written, as text."""
        self.serving.__exit__(None, None, None)
        spans = "".join(span.to_json() for span in self.spans.get_finished_spans())
        files = b"".join(p.read_bytes() for p in self.store.folder.rglob("*") if p.is_file())
        self.store.close()
        logging.getLogger().removeHandler(self.handler)
        text = self.log.getvalue() + spans + self.metrics.text().decode()
        return text + files.decode("latin-1")


@pytest.fixture
def all_of_them(tmp_path: Path) -> Everything:
    """All observers, with a new store."""
    return Everything(tmp_path / "store")


def test_nothing_of_a_pause_is_kept_by_anyone(all_of_them: Everything) -> None:
    call = info()
    tell = all_of_them.tell
    tell("opened", call)

    def speak(count: int, first: int) -> None:
        for observer in all_of_them.observers:
            beats(observer, call.id, count, first)

    speak(25, 0)
    tell("turn", call.id, turn(0, "caller", "i would like to pay", 0.2))
    tell("paused", call.id, True)  # at 2.0 s
    speak(50, 25)
    tell("event", call.id, CallerWordEvent(time=3.0, text=SECRET, end=2.9))
    tell("event", call.id, Dtmf(time=3.0, digit="4"))
    tell("event", call.id, ToolCallEvent(time=3.5, name="pay", arguments={"n": SECRET}, id="t0"))
    tell("event", call.id, GuardEvent(time=3.5, action="flagged", reason=SECRET, text=SECRET))
    tell("event", call.id, ToneEvent(time=3.5, tone="annoyed", probability=0.9))
    tell("turn", call.id, turn(1, "caller", f"my number is {SECRET}", 3.0))
    tell("paused", call.id, False)  # at 6.0 s
    speak(2, 75)
    # Words come some frames late, and so do turns, calls and results that hold them.
    tell("event", call.id, CallerWordEvent(time=6.2, text=SECRET, end=5.9))
    tell("event", call.id, AgentWordEvent(time=6.2, text=SECRET, start=6.1))
    tell("event", call.id, ToolCallEvent(time=6.2, name="pay", arguments={"n": SECRET}, id="t1"))
    tell("event", call.id, GuardEvent(time=6.3, action="call_kept", data={"n": SECRET}))
    speak(48, 77)
    tell("event", call.id, ToolResultEvent(time=10.0, id="t0", output=SECRET))
    tell("event", call.id, ToolResultEvent(time=10.0, id="t1", output=SECRET))
    words = ((SECRET, 5.5, 5.8), ("thanks", 6.9, 7.2))
    pays = (ToolCall(id="t1", name="pay", arguments={"n": SECRET}, result=SECRET),)
    half = Turn(
        index=2,
        speaker="caller",
        text=f"{SECRET} thanks",
        words=words,
        start=5.5,
        end=7.2,
        calls=pays,
    )
    tell("turn", call.id, half)
    tell("turn", call.id, turn(3, "agent", "you are welcome", 8.9, gap_ms=100.0))
    late = (ToolCall(id="t0", name="pay", arguments={"n": SECRET}),)
    tell("turn", call.id, turn(4, "agent", "bye", 9.5, calls=late))
    tell("closed", call.id, "client")
    all_of_them.store.flush()

    record = all_of_them.store.call(call.id)
    assert [t.text for t in record.turns] == [
        "i would like to pay",
        "thanks",
        "you are welcome",
        "bye",
    ]
    assert [(tool.name, tool.arguments, tool.result) for tool in record.tool_calls] == [
        ("pay", {}, None),
        ("pay", {}, None),
    ]
    assert [(p.start, p.end) for p in record.pauses] == [(pytest.approx(2.0), pytest.approx(6.0))]
    assert [event.type for event in record.events] == ["call"]

    written = all_of_them.close()
    assert SECRET not in written
    assert "annoyed" not in written
    samples, _ = sf.read(next(all_of_them.store.folder.rglob("*.flac")), dtype="int16")
    assert len(samples) == 126 * FRAME  # times stay true
    assert samples[: 25 * FRAME, 0].any()
    assert not samples[25 * FRAME : 75 * FRAME, 0].any()
    assert not samples[26 * FRAME : 76 * FRAME, 1].any()
    assert samples[75 * FRAME :, 0].any()
    assert "thanks" in written


def test_a_keys_digit_is_never_told() -> None:
    told: list[object] = []

    class Ear(Metrics):
        def event(self, call_id: str, event: object) -> None:  # type: ignore[override]
            told.append(event)

    observer = Discreet(Ear())
    call = info()
    observer.opened(call)
    observer.event(call.id, Dtmf(time=1.0, digit="7"))
    assert told == [Dtmf(time=1.0, digit="?")]


MOMENTS = st.floats(0, 20, allow_nan=False, allow_subnormal=False)


class Ear:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.words: list[tuple[str, float, float | None]] = []
        self.frames: list[bool] = []

    def opened(self, call: object) -> None: ...
    def played(self, call_id: str, samples: object) -> None: ...
    def paused(self, call_id: str, on: bool) -> None: ...
    def closed(self, call_id: str, reason: str) -> None: ...

    def heard(self, call_id: str, samples: np.ndarray) -> None:
        self.frames.append(bool(samples.any()))

    def event(self, call_id: str, event: object) -> None:
        assert isinstance(event, CallerWordEvent | CallEvent)
        if isinstance(event, CallerWordEvent):
            self.words.append((event.text, event.end, event.end))

    def turn(self, call_id: str, turn: Turn) -> None:
        self.words += turn.words


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=6),
    st.lists(MOMENTS, max_size=12),
)
@settings(deadline=None, max_examples=150)
def test_no_word_from_inside_a_pause_gets_through(
    stretches: list[int], moments: list[float]
) -> None:
    ear = Ear()
    observer = Discreet(ear)  # type: ignore[arg-type]
    call = info()
    observer.opened(call)
    spans: list[tuple[float, float]] = []
    frame = 0
    loud = np.ones(FRAME, np.float32)
    for number, stretch in enumerate(stretches):
        on = number % 2 == 1
        observer.paused(call.id, on)
        for _ in range(stretch):
            observer.heard(call.id, loud)
            assert ear.frames[-1] is not on
        if on:
            spans.append((frame * 0.08, (frame + stretch) * 0.08))
        frame += stretch
    for moment in moments:
        observer.event(call.id, CallerWordEvent(time=frame * 0.08, text="word", end=moment))
    if len(stretches) % 2 == 0:  # a pause is on: it lasts to the end
        spans[-1] = (spans[-1][0], float("inf"))
    words = tuple(("word", moment, moment + 0.01) for moment in sorted(moments))
    if words:
        observer.turn(
            call.id,
            Turn(
                index=0,
                speaker="caller",
                text=" ".join("word" for _ in words),
                words=words,
                start=words[0][1],
                end=words[-1][1] + 0.01,
            ),
        )
    for _, start, _ in ear.words:
        assert not any(a - MARGIN / 2 < start < b + MARGIN / 2 for a, b in spans)
