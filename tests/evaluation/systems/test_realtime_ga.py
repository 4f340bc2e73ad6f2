"""The Realtime dialect without a server: messages in, messages out."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from antiphon.errors import AntiphonError
from antiphon.evaluation.systems.realtime_events import UNREADABLE, encode
from antiphon.evaluation.systems.realtime_ga import RealtimeDialect
from antiphon.runtime.events import CallEvent

SOUND = encode(np.full(24_000, 0.5, np.float32))


@pytest.fixture
def dialect() -> RealtimeDialect:
    return RealtimeDialect("", (), "")


def give(dialect: RealtimeDialect, kind: str, **fields: Any) -> tuple[list[str], list[Any]]:
    """The types of what is sent, and what is told."""
    sends, told = dialect.receive(json.dumps({"type": kind, **fields}))
    return [message["type"] for message in sends], told


def call(dialect: RealtimeDialect, arguments: str = "{}") -> tuple[list[str], list[Any]]:
    return give(
        dialect,
        "response.function_call_arguments.done",
        call_id="c",
        name="tool",
        arguments=arguments,
    )


def done(dialect: RealtimeDialect, status: str = "completed") -> tuple[list[str], list[Any]]:
    return give(dialect, "response.done", response={"status": status})


def test_one_response_is_asked_for_when_that_of_two_calls_is_over(dialect) -> None:
    give(dialect, "response.created")
    assert call(dialect)[0] == ["conversation.item.create"]
    assert call(dialect)[0] == ["conversation.item.create"]
    assert done(dialect)[0] == ["response.create"]
    assert done(dialect)[0] == []


def test_outside_a_response_it_is_asked_for_at_once(dialect) -> None:
    sends, told = call(dialect, '{"size": "large"}')
    assert sends == ["conversation.item.create", "response.create"]
    assert told == [CallEvent(time=dialect.playback.now, name="tool", arguments={"size": "large"})]


def test_a_response_that_the_server_began_itself_is_waited_for(dialect) -> None:
    call(dialect)
    busy = {"code": "conversation_already_has_active_response"}
    assert give(dialect, "error", error=busy)[0] == []
    assert done(dialect)[0] == ["response.create"]


@pytest.mark.parametrize(("status", "calls"), [("completed", 1), ("cancelled", 0)])
def test_arguments_that_were_cut_off_are_no_fault_of_the_agents(dialect, status, calls) -> None:
    give(dialect, "response.created")
    assert call(dialect, '{"size": "lar') == ([], [])
    _, told = done(dialect, status)
    assert [event.arguments for event in told] == [{UNREADABLE: '{"size": "lar'}] * calls


def test_a_cancelled_response_is_cut_to_what_was_played(dialect) -> None:
    give(dialect, "response.created")
    give(dialect, "response.output_audio.delta", item_id="a", delta=SOUND)
    for _ in range(5):
        dialect.playback.take()
    sends, _ = dialect.receive(
        json.dumps({"type": "response.done", "response": {"status": "cancelled"}})
    )
    assert [(m["item_id"], m["audio_end_ms"]) for m in sends] == [("a", 100)]
    assert not dialect.playback.take().agent.any()


def test_what_still_comes_of_a_dropped_item_is_not_played(dialect) -> None:
    give(dialect, "response.output_audio.delta", item_id="a", delta=SOUND)
    assert give(dialect, "input_audio_buffer.speech_started")[0] == ["conversation.item.truncate"]
    give(dialect, "response.output_audio.delta", item_id="a", delta=SOUND)
    assert not dialect.playback.take().agent.any()
    give(dialect, "response.output_audio.delta", item_id="b", delta=SOUND)
    assert dialect.playback.take().agent.any()


def test_the_caller_beginning_in_silence_cuts_nothing(dialect) -> None:
    assert give(dialect, "input_audio_buffer.speech_started")[0] == []


def test_a_truncation_that_came_too_late_is_no_error_and_others_are(dialect) -> None:
    give(dialect, "response.output_audio.delta", item_id="a", delta=SOUND)
    (cut,), _ = dialect.receive(json.dumps({"type": "input_audio_buffer.speech_started"}))
    give(dialect, "error", error={"message": "shorter", "event_id": cut["event_id"]})
    with pytest.raises(AntiphonError, match="shorter"):
        give(dialect, "error", error={"message": "shorter", "event_id": "another"})


def test_words_of_a_turn_without_times_end_now(dialect) -> None:
    name = "conversation.item.input_audio_transcription.completed"
    _, told = give(dialect, name, item_id="x", transcript="a latte , please")
    assert [word.text for word in told] == ["a", "latte", "please"]
    assert {word.end for word in told} == {dialect.playback.now}


@pytest.mark.parametrize("kind", ["rate_limits.updated", "response.output_item.added", "news"])
def test_messages_that_a_judge_does_not_need_are_let_pass(dialect, kind: str) -> None:
    assert give(dialect, kind, anything=1) == ([], [])


def test_a_message_that_lacks_a_field_says_which(dialect) -> None:
    with pytest.raises(AntiphonError, match=r"output_audio\.delta .*item_id"):
        give(dialect, "response.output_audio.delta", delta=SOUND)
