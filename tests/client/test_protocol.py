"""The protocol without a socket: what a server's messages tell, and what they make be sent."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.client.errors import ProtocolError
from antiphon.client.events import Problem, ToolCall, Turn
from antiphon.client.protocol import Dialect

CREATED = {"type": "response.created", "response": {"status": "in_progress"}}
DONE = {"type": "response.done", "response": {"status": "completed"}}


def take(dialect: Dialect, **message: Any) -> tuple[list[Any], list[Any]]:
    return dialect.receive(json.dumps(message), 1.5)


def kinds(messages: list[Any]) -> list[str]:
    return [m["type"] if isinstance(m, dict) else m.type for m in messages]


def settled(rate: int = 24_000) -> Dialect:
    dialect = Dialect(rate)
    dialect.hello()
    take(dialect, type="session.created", session={"model": "x"})
    take(dialect, type="session.updated", session={"model": "x"})
    assert dialect.settled
    return dialect


def test_hello_asks_for_sound_and_for_what_is_given_and_nothing_else() -> None:
    bare = Dialect(16_000).hello()["session"]
    assert bare["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}
    assert not {"instructions", "tools", "include"} & set(bare)
    turns = {"audio": {"input": {"turn_detection": None}}}
    hello = Dialect(16_000).hello(
        instructions="be brief", tools=[{"name": "t"}], extras=True, session=turns
    )
    given = hello["session"]
    assert given["tools"] == [{"type": "function", "name": "t"}]
    assert given["include"] == ["antiphon"]
    # What is laid over takes nothing away.
    assert given["audio"]["input"]["turn_detection"] is None
    assert given["audio"]["input"]["format"]["rate"] == 24_000


def test_sound_goes_out_at_24_khz_and_comes_in_at_the_caller_s_rate() -> None:
    dialect = settled(8_000)
    sine = np.sin(2 * np.pi * 300 * np.arange(8_000) / 8_000).astype(np.float32) / 2
    sent = json.loads(dialect.append(sine))
    raw = base64.b64decode(sent["audio"])
    assert len(raw) == 2 * 24_000
    events, _ = take(dialect, type="response.output_audio.delta", item_id="a", delta=sent["audio"])
    (begun, audio) = events
    assert begun == Turn(time=1.5, speaker="agent", state="started", item="a")
    assert len(audio.samples) == 8_000
    lag = 24  # two filters of 1.5 ms at 8 kHz
    assert np.abs(audio.samples[lag + 50 :] - sine[50:-lag]).max() < 0.02


def test_an_agent_s_turn_begins_with_its_first_word_and_ends_with_its_response() -> None:
    dialect = settled()
    name = "response.output_audio_transcript"
    told = take(dialect, **CREATED)[0]
    for text in ("ok", "ay"):
        told += take(dialect, type=f"{name}.delta", item_id="a", delta=text)[0]
    told += take(dialect, type=f"{name}.done", item_id="a", transcript="okay")[0]
    told += take(dialect, **DONE)[0]
    assert kinds(told) == ["turn", "agent_words", "agent_words", "agent_words", "turn"]
    assert [told[0].state, told[-1].state] == ["started", "ended"]
    assert (told[3].text, told[3].final) == ("okay", True)
    assert not told[-1].interrupted


def test_a_response_that_is_cancelled_ends_interrupted() -> None:
    dialect = settled()
    take(dialect, type="response.output_text.delta", item_id="a", delta="ok")
    cancelled = {"status": "cancelled", "status_details": {"reason": "turn_detected"}}
    (turn,), _ = take(dialect, type="response.done", response=cancelled)
    assert turn.interrupted


def test_a_response_without_a_word_is_no_turn() -> None:
    dialect = settled()
    assert take(dialect, **CREATED) == ([], [])
    assert take(dialect, **DONE) == ([], [])


def test_the_caller_s_turns_say_where_in_the_sound_they_are() -> None:
    dialect = settled()
    name = "input_audio_buffer.speech"
    (on,), _ = take(dialect, type=f"{name}_started", item_id="c", audio_start_ms=340)
    (off,), _ = take(dialect, type=f"{name}_stopped", item_id="c", audio_end_ms=1200)
    assert (on.speaker, on.state, on.at) == ("caller", "started", 0.34)
    assert (off.state, off.at) == ("ended", 1.2)


def test_two_responses_are_never_asked_for_at_once() -> None:
    dialect = settled()
    take(dialect, **CREATED)
    assert dialect.say("one moment") == []
    assert kinds(dialect.tool_result("c", "{}")) == ["conversation.item.create"]
    _, sends = take(dialect, **DONE)
    assert sends[0]["response"]["instructions"] == "say: one moment"
    assert len(sends) == 1
    assert take(dialect, **CREATED)[1] == []
    _, sends = take(dialect, **DONE)
    assert kinds(sends) == ["response.create"]


def test_the_results_of_many_tools_get_one_response() -> None:
    dialect = settled()
    take(dialect, **CREATED)
    dialect.tool_result("a", "{}")
    dialect.tool_result("b", "{}")
    assert kinds(take(dialect, **DONE)[1]) == ["response.create"]
    take(dialect, **CREATED)
    assert take(dialect, **DONE)[1] == []
    quiet = settled()
    assert kinds(quiet.tool_result("c", "{}", respond=False)) == ["conversation.item.create"]


@pytest.mark.parametrize("named", [True, False])
def test_a_response_that_crosses_with_the_server_s_own_is_asked_for_again(named) -> None:
    dialect = settled()
    (asked,) = dialect.say("hello")
    error = {"code": "conversation_already_has_active_response", "message": "busy"}
    error |= {"event_id": asked["event_id"]} if named else {}
    assert take(dialect, type="error", error=error) == ([], [])
    assert take(dialect, **DONE)[1] == [asked]


def test_a_response_that_is_refused_is_told_and_does_not_stop_the_next() -> None:
    dialect = settled()
    (asked,) = dialect.say("???")
    error = {"message": "nothing to say", "event_id": asked["event_id"]}
    assert kinds(take(dialect, type="error", error=error)[0]) == ["problem"]
    assert kinds(dialect.say("hello")) == ["response.create"]


def test_races_that_no_client_can_win_are_not_told() -> None:
    dialect = settled()
    late = dialect.truncate("a", 0.5)
    assert late["audio_end_ms"] == 500
    error = {"message": "it is shorter", "event_id": late["event_id"]}
    assert take(dialect, type="error", error=error) == ([], [])
    over = {"message": "nothing to cancel", "code": "response_cancel_not_active"}
    assert take(dialect, type="error", error=over) == ([], [])


def test_calls_are_told_when_they_are_whole() -> None:
    dialect = settled()
    item = {"type": "function_call", "name": "order", "call_id": "c", "arguments": '{"n": 2}'}
    (call,), _ = take(dialect, type="response.output_item.done", item=item)
    assert call == ToolCall(time=1.5, id="c", name="order", arguments={"n": 2})
    torn = {**item, "arguments": '{"n"', "status": "incomplete"}
    assert take(dialect, type="response.output_item.done", item=torn)[0] == []
    for bad in ("[1]", "{nope"):
        (told,), _ = take(
            dialect, type="response.output_item.done", item={**item, "arguments": bad}
        )
        assert isinstance(told, Problem)
        assert "order" in told.message


def test_failures_of_the_server_are_problems() -> None:
    dialect = settled()
    failed = {"status": "failed", "status_details": {"error": {"message": "no engine"}}}
    (told,), _ = take(dialect, type="response.done", response=failed)
    assert told.message == "no engine"
    name = "conversation.item.input_audio_transcription.failed"
    (told,), _ = take(dialect, type=name, item_id="c", error={"code": "unheard"})
    assert (told.message, told.code) == ("unheard", "unheard")


def test_the_server_s_own_events_come_as_they_are() -> None:
    dialect = settled()
    (told,), _ = take(dialect, type="antiphon.tone", event_id="e", time=1.0, tone="annoyed")
    assert (told.name, told.fields) == ("tone", {"time": 1.0, "tone": "annoyed"})


def test_a_session_that_is_refused_says_why() -> None:
    dialect = Dialect(24_000)
    hello = dialect.hello()
    take(dialect, type="session.created", session={})
    take(dialect, type="error", error={"message": "bad voice", "event_id": hello["event_id"]})
    assert dialect.refused == "bad voice"
    assert not dialect.settled


def test_what_is_not_known_is_let_pass() -> None:
    assert take(settled(), type="rate_limits.updated", rate_limits=[]) == ([], [])


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        ("{nope", "no JSON"),
        ("[1]", "without a type"),
        ('{"type": 5}', "without a type"),
        (b"\0", "binary"),
        ('{"type": "response.output_audio.delta", "delta": "AAAA"}', "item_id"),
        ('{"type": "response.output_audio.delta", "item_id": "a", "delta": "*"}', "base64"),
        ('{"type": "response.output_audio.delta", "item_id": "a", "delta": "AA=="}', "half"),
        ('{"type": "session.created", "session": 5}', "session"),
    ],
)
def test_what_the_protocol_does_not_have_is_one_sentence(sent, fault) -> None:
    with pytest.raises(ProtocolError, match=fault):
        settled().receive(sent, 0.0)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["item", "error", "response", "status", "type", "delta", "item_id"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
_TYPES = st.sampled_from(
    [
        "error",
        "response.done",
        "response.output_item.done",
        "response.output_audio.delta",
        "input_audio_buffer.speech_started",
        "antiphon.turn",
        "session.updated",
        "what.is.this",
    ]
)


_FIELDS = st.sampled_from(["item", "error", "response", "session", "item_id", "delta", "other"])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(_TYPES, st.dictionaries(_FIELDS, _VALUES, max_size=3)), max_size=6))
def test_no_message_does_worse_than_a_protocol_error(messages) -> None:
    dialect = Dialect(16_000)
    for kind, fields in messages:
        with contextlib.suppress(ProtocolError):
            dialect.receive(json.dumps({**fields, "type": kind}), 0.0)
