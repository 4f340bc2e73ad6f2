"""Calls as OpenTelemetry traces, by its conventions for generative AI. Off unless configured.

A call is a span `invoke_agent BUNDLE`; each answer of the agent in it a span `chat BUNDLE`, from
the end of the caller's words to the end of the agent's; each tool call a span `execute_tool NAME`.
The conventions are in development, so their names stand in this module and nowhere else. A token,
where they ask for one, is a frame of 80 ms: what the network hears and says in one step.

What was said is in no span unless `content` asks for it.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

import antiphon
from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.errors import AntiphonError
from antiphon.runtime.events import Samples

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

    from antiphon.serving.call import CallInfo, Observer
    from antiphon.serving.turns import Turn

PROVIDER = "antiphon"
_BEAT = FRAME / SAMPLE_RATE  # seconds

_OPERATION = "gen_ai.operation.name"
_SYSTEM = "gen_ai.provider.name"
_MODEL = "gen_ai.request.model"
_ANSWERED_BY = "gen_ai.response.model"
_CONVERSATION = "gen_ai.conversation.id"
_AGENT = "gen_ai.agent.name"
_OUTPUT = "gen_ai.output.type"
_FINISH = "gen_ai.response.finish_reasons"
_IN, _OUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
_SAID_IN, _SAID_OUT = "gen_ai.input.messages", "gen_ai.output.messages"
_TOOL, _TOOL_ID, _TOOL_TYPE = "gen_ai.tool.name", "gen_ai.tool.call.id", "gen_ai.tool.type"
_TOOL_IN, _TOOL_OUT = "gen_ai.tool.call.arguments", "gen_ai.tool.call.result"
_GAP = "antiphon.gap_ms"
_REASON = "antiphon.closed.reason"


class TraceConfig(BaseModel):
    """Where traces go."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str | None = Field(default=None, pattern=r"^https?://")
    """OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces; None: no traces."""
    headers: dict[str, str] = Field(default_factory=dict[str, str])
    """Sent with each request: a collector's key."""
    content: bool = False
    """Also what was said, and what tools were given and gave."""
    service: str = "antiphon"
    share: float = Field(default=1.0, ge=0, le=1)
    """Of the calls that are traced."""


@contextmanager
def tracing(config: TraceConfig) -> Generator[Observer | None]:
    """An observer that sends traces while the context lasts; None where they are off.

    Raises AntiphonError when OpenTelemetry is not installed.
    """
    if config.endpoint is None:
        yield None
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
    except ModuleNotFoundError:
        raise AntiphonError(
            "traces need OpenTelemetry: pip install 'antiphon[serve]', or leave the endpoint out"
        ) from None
    facts = {"service.name": config.service, "service.version": antiphon.__version__}
    provider = TracerProvider(
        resource=Resource.create(facts), sampler=TraceIdRatioBased(config.share)
    )
    exporter = OTLPSpanExporter(endpoint=config.endpoint, headers=config.headers)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield CallTraces(provider, content=config.content)
    finally:
        provider.shutdown()


@dataclass
class _Live:
    info: CallInfo
    span: Span
    began: int  # ns since 1970
    frames: int = 0
    asked: list[Turn] = field(default_factory=list["Turn"])  # by the caller, not yet answered


class CallTraces:
    """An observer that makes spans with a tracer provider of OpenTelemetry."""

    def __init__(self, provider: TracerProvider, *, content: bool = False) -> None:
        self._tracer = provider.get_tracer("antiphon.serving", antiphon.__version__)
        self._content = content
        self._calls: dict[str, _Live] = {}

    def opened(self, call: CallInfo) -> None:
        """A call begins."""
        from opentelemetry.trace import SpanKind

        began = round(call.started.timestamp() * 1e9)
        span = self._tracer.start_span(
            f"invoke_agent {call.bundle}",
            kind=SpanKind.SERVER,
            start_time=began,
            attributes=_common(call, "invoke_agent")
            | {_AGENT: call.bundle, "antiphon.protocol": call.protocol, "antiphon.key": call.key},
        )
        self._calls[call.id] = _Live(call, span, began)

    def heard(self, call_id: str, samples: Samples) -> None:
        """A frame of the caller."""
        call = self._calls.get(call_id)
        if call is not None:
            call.frames += 1

    def played(self, call_id: str, samples: Samples) -> None:
        """A frame of the agent."""

    def event(self, call_id: str, event: BaseModel) -> None:
        """What the guard did is an event of the call's span; the rest is in the turns."""
        call = self._calls.get(call_id)
        if call is not None and getattr(event, "type", "") == "guard":
            given = {"action": getattr(event, "action", ""), "check": getattr(event, "check", "")}
            call.span.add_event(
                "antiphon.guard", given, call.began + round(getattr(event, "time", 0.0) * 1e9)
            )

    def turn(self, call_id: str, turn: Turn) -> None:
        """A finished turn."""
        call = self._calls.get(call_id)
        if call is None:
            return
        if turn.speaker == "caller":
            call.asked.append(turn)
            return
        self._answer(call, turn)
        call.asked.clear()

    def paused(self, call_id: str, on: bool) -> None:
        """A recording pause begins or ends."""
        call = self._calls.get(call_id)
        if call is not None:
            name = "antiphon.recording.paused" if on else "antiphon.recording.resumed"
            call.span.add_event(name, timestamp=call.began + round(call.frames * _BEAT * 1e9))

    def closed(self, call_id: str, reason: str) -> None:
        """The call is over."""
        from opentelemetry.trace import Status, StatusCode

        call = self._calls.pop(call_id, None)
        if call is None:
            return
        call.span.set_attributes({_IN: call.frames, _OUT: call.frames, _REASON: reason})
        if reason.startswith("server"):
            call.span.set_attribute("error.type", "server")
            call.span.set_status(Status(StatusCode.ERROR))
        call.span.end(call.began + round(call.frames * _BEAT * 1e9))

    def _answer(self, call: _Live, turn: Turn) -> None:
        from opentelemetry.trace import SpanKind, set_span_in_context

        asked = call.asked
        start = turn.start if turn.gap_ms is None else turn.start - max(0.0, turn.gap_ms) / 1e3
        heard = sum(max(0.0, each.end - each.start) for each in asked)
        attributes: dict[str, Any] = _common(call.info, "chat") | {
            _ANSWERED_BY: call.info.bundle,
            _OUTPUT: "speech",
            _IN: round(heard / _BEAT),
            _OUT: round(max(0.0, turn.end - turn.start) / _BEAT),
            _FINISH: ["interrupted" if turn.interrupted else "stop"],
        }
        if turn.gap_ms is not None:
            attributes[_GAP] = turn.gap_ms
        if self._content:
            attributes[_SAID_IN] = _messages("user", [each.text for each in asked])
            attributes[_SAID_OUT] = _messages("assistant", [turn.text])
        span = self._tracer.start_span(
            f"chat {call.info.bundle}",
            context=set_span_in_context(call.span),
            kind=SpanKind.INTERNAL,
            start_time=call.began + round(start * 1e9),
            attributes=attributes,
        )
        inside = set_span_in_context(span)
        for tool in turn.calls:
            given: dict[str, Any] = _common(call.info, "execute_tool")
            given |= {_TOOL: tool.name, _TOOL_ID: tool.id, _TOOL_TYPE: "function"}
            if self._content:
                given[_TOOL_IN] = json.dumps(tool.arguments)
                given |= {_TOOL_OUT: tool.result} if tool.result is not None else {}
            at = call.began + round(turn.start * 1e9)
            name = f"execute_tool {tool.name}"
            self._tracer.start_span(name, inside, start_time=at, attributes=given).end(at)
        span.end(call.began + round(turn.end * 1e9))


def _common(call: CallInfo, operation: str) -> dict[str, Any]:
    return {
        _OPERATION: operation,
        _SYSTEM: PROVIDER,
        _MODEL: call.bundle,
        _CONVERSATION: call.id,
    }


def _messages(role: str, texts: list[str]) -> str:
    """Messages as the conventions write them into one attribute: JSON."""
    return json.dumps(
        [{"role": role, "parts": [{"type": "text", "content": text}]} for text in texts]
    )
