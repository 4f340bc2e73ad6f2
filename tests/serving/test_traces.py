"""Spans by the conventions for generative AI, and a real collector's end of OTLP on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import ValidationError

from antiphon.guard.events import GuardEvent
from antiphon.serving.traces import CallTraces, TraceConfig, tracing
from tests.serving.store.acting import ORDER, beats, info, turn, whole_call


def spans_of(content: bool = False) -> tuple[CallTraces, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return CallTraces(provider, content=content), exporter


def test_a_call_is_a_span_with_its_answers_and_tools_inside() -> None:
    traces, exporter = spans_of()
    call_id = whole_call(traces)
    spans: dict[str, Any] = {span.name: span for span in exporter.get_finished_spans()}
    assert set(spans) == {"invoke_agent tiny", "chat tiny", "execute_tool place_order"}
    call, chat, tool = (
        spans[name] for name in ("invoke_agent tiny", "chat tiny", "execute_tool place_order")
    )
    assert chat.parent.span_id == call.context.span_id
    assert tool.parent.span_id == chat.context.span_id
    for span, operation in ((call, "invoke_agent"), (chat, "chat"), (tool, "execute_tool")):
        assert span.attributes["gen_ai.operation.name"] == operation
        assert span.attributes["gen_ai.provider.name"] == "antiphon"
        assert span.attributes["gen_ai.conversation.id"] == call_id
        assert span.attributes["gen_ai.request.model"] == "tiny"
    assert call.attributes["gen_ai.usage.input_tokens"] == 25
    assert call.end_time - call.start_time == pytest.approx(2e9, abs=1e6)
    assert chat.attributes["gen_ai.output.type"] == "speech"
    assert chat.attributes["gen_ai.usage.output_tokens"] == 10
    # From the end of the caller's words to the end of the agent's.
    assert chat.start_time - call.start_time == pytest.approx((1.2 - 0.34) * 1e9, abs=1e6)
    assert tool.attributes["gen_ai.tool.name"] == "place_order"
    assert tool.attributes["gen_ai.tool.call.id"] == "t1"


def test_what_was_said_is_in_no_span_unless_it_is_asked_for() -> None:
    traces, exporter = spans_of()
    whole_call(traces, info(metadata={"caller": "ann"}))
    text = "".join(span.to_json() for span in exporter.get_finished_spans())
    for word in ("latte", "please", "ann"):
        assert word not in text
    traces, exporter = spans_of(content=True)
    whole_call(traces)
    chat = next(span for span in exporter.get_finished_spans() if span.name == "chat tiny")
    assert chat.attributes is not None
    assert json.loads(str(chat.attributes["gen_ai.input.messages"])) == [
        {"role": "user", "parts": [{"type": "text", "content": "a latte please"}]}
    ]
    assert "coming up" in str(chat.attributes["gen_ai.output.messages"])


def test_a_call_that_the_server_ended_is_an_error() -> None:
    traces, exporter = spans_of()
    call = info()
    traces.opened(call)
    beats(traces, call.id, 5)
    traces.event(call.id, GuardEvent(time=0.1, action="blocked", check="claims"))  # type: ignore[arg-type]
    cut = turn(0, "agent", "hello", 0.1, interrupted=True, calls=(ORDER,))
    traces.turn(call.id, cut)
    traces.closed(call.id, "server: the engine failed")
    span = exporter.get_finished_spans()[-1]
    assert span.status.status_code.name == "ERROR"
    assert [event.name for event in span.events] == ["antiphon.guard"]
    chat = next(each for each in exporter.get_finished_spans() if each.name == "chat tiny")
    assert chat.attributes is not None
    assert chat.attributes["gen_ai.response.finish_reasons"] == ("interrupted",)


@contextmanager
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest], list[str]]]:
    """(its URL, what it got, the keys that came with it)."""
    got: list[ExportTraceServiceRequest] = []
    keys: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                import gzip

                body = gzip.decompress(body)
            got.append(ExportTraceServiceRequest.FromString(body))
            keys.append(self.headers.get("x-key", ""))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", got, keys
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def test_a_collector_gets_the_spans() -> None:
    with collector() as (url, got, keys):
        with tracing(TraceConfig(endpoint=url, headers={"x-key": "k"}, service="shop")) as observer:
            assert observer is not None
            call_id = whole_call(observer)
        spans = [
            s for r in got for rs in r.resource_spans for ss in rs.scope_spans for s in ss.spans
        ]
        facts = {a.key: a.value.string_value for a in got[0].resource_spans[0].resource.attributes}
    assert {span.name for span in spans} == {
        "invoke_agent tiny",
        "chat tiny",
        "execute_tool place_order",
    }
    named = {a.value.string_value for s in spans for a in s.attributes if "conversation" in a.key}
    assert named == {call_id}
    assert facts["service.name"] == "shop"
    assert keys[0] == "k"


def test_traces_are_off_unless_they_are_configured() -> None:
    with tracing(TraceConfig()) as observer:
        assert observer is None
    with pytest.raises(ValidationError):
        TraceConfig(endpoint="file:///etc/passwd")
