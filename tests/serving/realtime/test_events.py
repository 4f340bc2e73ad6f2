from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.serving.realtime import events
from antiphon.serving.realtime.events import Wrong, parse


def wrong(message: Any) -> Wrong:
    text = message if isinstance(message, str | bytes) else json.dumps(message)
    event, _ = parse(text)
    assert isinstance(event, Wrong)
    return event


def test_an_event_is_typed_and_keeps_its_id() -> None:
    event, event_id = parse('{"type": "response.cancel", "event_id": "e1"}')
    assert isinstance(event, events.ResponseCancel)
    assert event_id == "e1"


@pytest.mark.parametrize(
    ("message", "param", "code"),
    [
        ({}, "type", "missing_required_parameter"),
        ({"type": "dance"}, "type", "invalid_value"),
        ({"type": 3}, "type", "invalid_value"),
        ({"type": "input_audio_buffer.append"}, "audio", "missing_required_parameter"),
        ({"type": "input_audio_buffer.append", "audio": 3}, "audio", "invalid_value"),
        ({"type": "input_audio_buffer.clear", "now": 1}, "now", "unknown_parameter"),
        ({"type": "session.update"}, "session", "missing_required_parameter"),
        ({"type": "session.update", "session": []}, "session", "invalid_value"),
        (
            {"type": "conversation.item.create", "item": {}},
            "item.type",
            "missing_required_parameter",
        ),
        (
            {"type": "conversation.item.create", "item": {"type": "mcp"}},
            "item.type",
            "invalid_value",
        ),
        (
            {"type": "conversation.item.create", "item": {"type": "message", "content": []}},
            "item.role",
            "missing_required_parameter",
        ),
        (
            {
                "type": "conversation.item.create",
                "item": {"type": "message", "role": "user", "content": [{"type": "smell"}]},
            },
            "item.content.0.type",
            "invalid_value",
        ),
        (
            {
                "type": "conversation.item.truncate",
                "item_id": "a",
                "content_index": 0,
                "audio_end_ms": -1,
            },
            "audio_end_ms",
            "invalid_value",
        ),
        ({"type": "response.create", "response": {"foo": 1}}, "response.foo", "unknown_parameter"),
        (
            {"type": "response.create", "response": {"max_output_tokens": []}},
            "response.max_output_tokens",
            "invalid_value",
        ),
        (
            {"type": "response.create", "response": {"input": [{"type": "x"}]}},
            "response.input.0.type",
            "invalid_value",
        ),
        ({"type": "response.cancel", "event_id": 5}, "event_id", "invalid_value"),
    ],
)
def test_what_is_wrong_is_named(message: Any, param: str, code: str) -> None:
    problem = wrong(message)
    assert (problem.param, problem.code) == (param, code)
    assert param.split(".")[-1] in problem.message


@pytest.mark.parametrize("text", ["", "{", b"\xff\xfe", "[]", "3", '{"type": NaN}'])
def test_what_is_no_json_object_is_said_to_be_none(text: str | bytes) -> None:
    assert wrong(text).code == "invalid_json"


def test_deep_nesting_is_refused_before_it_does_harm() -> None:
    deep = '{"type": "session.update", "session": ' + '{"a":' * 200 + "1" + "}" * 201
    assert "nested" in wrong(deep).message
    assert wrong("[" * 100_000).code == "invalid_json"


@given(text=st.text() | st.binary())
def test_anything_is_parsed_or_refused(text: str | bytes) -> None:
    parse(text)


@given(
    kind=st.sampled_from(
        [
            "session.update",
            "response.create",
            "conversation.item.create",
            "input_audio_buffer.append",
        ]
    ),
    body=st.dictionaries(
        st.sampled_from(["session", "response", "item", "audio", "event_id", "previous_item_id"]),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
            | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=10,
        ),
    ),
)
def test_any_body_is_an_event_or_names_what_is_wrong(kind: str, body: dict[str, Any]) -> None:
    event, _ = parse(json.dumps({"type": kind, **body}))
    if isinstance(event, Wrong):
        assert event.param is not None
        assert len(event.message) < 1000
