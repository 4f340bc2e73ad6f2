"""The Realtime session without sockets or a network: beats in, events out."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from antiphon.corpus.delivery import Delivery
from antiphon.errors import BundleError
from antiphon.runtime.events import CallerWordEvent, ToneEvent
from antiphon.serving.call import Closed, Dtmf, Lost
from antiphon.serving.realtime.protocol import Realtime
from tests.serving.scene import SECONDS, Port, Scene

NULL: dict[str, Any] = {"audio": {"input": {"turn_detection": None}}}
SEMANTIC: dict[str, Any] = {"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}


def sound(seconds: float = 0.1, rate: int = 24_000) -> str:
    return base64.b64encode(np.zeros(round(seconds * rate), dtype="<i2").tobytes()).decode()


def error(events: list[dict[str, Any]]) -> dict[str, Any]:
    (event,) = events
    assert event["type"] == "error", event
    return event["error"]


# -- a whole turn -----------------------------------------------------------------------------

TURN = [
    "session.created",
    "conversation.created",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_item.added",
    "conversation.item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
]
DELTAS = ("transcript.delta", "audio.delta", "transcription.delta", "transcription.completed")


def test_a_spoken_order_is_told_in_the_order_that_clients_know() -> None:
    scene = Scene().beats(5)
    scene.caller_says("a large latte").beats(3)
    scene.agent_says("coming up", more=[scene.call(drink="latte")])
    scene.beats(12)
    assert [t for t in scene.types if not t.endswith(DELTAS)] == TURN
    words = scene.of("conversation.item.input_audio_transcription.delta")
    assert "".join(event["delta"] for event in words) == "a large latte"
    heard = scene.one("conversation.item.input_audio_transcription.completed")
    assert heard["transcript"] == "a large latte"
    assert heard["item_id"] == scene.one("input_audio_buffer.speech_started")["item_id"]
    text = scene.of("response.output_audio_transcript.delta")
    assert "".join(event["delta"] for event in text) == "coming up"
    done = scene.one("response.done")["response"]
    assert (done["status"], done["status_details"]) == ("completed", None)
    message, call = done["output"]
    assert message["content"] == [{"type": "output_audio", "transcript": "coming up"}]
    assert json.loads(call["arguments"]) == {"drink": "latte"}
    assert done["usage"]["output_tokens"] > 0


def test_every_event_is_one_that_the_stock_client_knows() -> None:
    known: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
    scene = Scene().beats(5)
    scene.caller_says("a large latte")
    scene.agent_says("coming up", more=[scene.call(drink="latte")]).beats(12)
    scene.client("input_audio_buffer.append", audio=sound())
    scene.client("input_audio_buffer.commit")
    scene.client("input_audio_buffer.clear")
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]}
    scene.client("conversation.item.create", item={"id": "mine", **item})
    scene.client("conversation.item.retrieve", item_id="mine")
    scene.client("conversation.item.delete", item_id="mine")
    scene.client("session.update", session={"instructions": "x"})
    scene.client("response.cancel", response_id="nobody")
    scene.protocol.tell(Dtmf(time=1.0, digit="5"))
    for event in scene.sent:
        if event["type"] != "input_audio_buffer.dtmf_event_received":
            assert event["event_id"]
        known.validate_python(event, strict=False)


def test_ids_of_events_are_all_different() -> None:
    scene = Scene().caller_says("hi").agent_says("hello").beats(10)
    ids = [event["event_id"] for event in scene.sent]
    assert len(set(ids)) == len(ids)


def test_sound_goes_out_only_while_a_response_runs() -> None:
    scene = Scene().beats(10)
    assert not scene.of("response.output_audio.delta")
    scene.agent_says("hello", beats=6).beats(20)
    deltas = scene.of("response.output_audio.delta")
    assert len(deltas) == 1 + 6 + 1 + 3  # from the first text to the silence that shows the end
    assert scene.types[-1] == "response.done"
    samples = base64.b64decode(deltas[2]["delta"])
    assert len(samples) == 1920 * 2  # 80 ms at 24 kHz


def test_times_are_of_the_sound_that_the_client_sent() -> None:
    scene = Scene(
        audio={"input": {"turn_detection": {"type": "server_vad", "prefix_padding_ms": 0}}}
    )
    scene.beats(10, filled=1280)  # nothing had come yet
    scene.beats(5).beats(5, speech=True).beats(10)
    started = scene.one("input_audio_buffer.speech_started")
    assert started["audio_start_ms"] == 5 * 80
    assert scene.one("input_audio_buffer.speech_stopped")["audio_end_ms"] == 10 * 80


# -- turn detection ---------------------------------------------------------------------------


def test_server_vad_ends_the_turn_after_its_silence() -> None:
    detection = {"type": "server_vad", "silence_duration_ms": 240}
    scene = Scene(audio={"input": {"turn_detection": detection}}).beats(5, speech=True).beats(2)
    assert not scene.of("input_audio_buffer.speech_stopped")
    scene.beats(1)
    assert scene.of("input_audio_buffer.speech_stopped")


def test_an_agent_that_takes_the_turn_ends_the_callers() -> None:
    scene = Scene(**SEMANTIC).caller_says("a latte")
    assert not scene.of("input_audio_buffer.speech_stopped")
    scene.agent_says("yes")
    types = scene.types
    assert types.index("input_audio_buffer.committed") < types.index("response.created")


def test_semantic_vad_waits_long_when_nobody_answers() -> None:
    scene = Scene(**SEMANTIC).beats(5, speech=True).beats(48)
    assert not scene.of("input_audio_buffer.speech_stopped")
    scene.beats(3)
    assert scene.of("input_audio_buffer.speech_stopped")


def test_going_on_over_the_agent_stops_it_under_server_vad() -> None:
    scene = Scene().beats(3).beats(1, text=5, turn=1).beats(4, voice=True, turn=1).forget()
    scene.beats(4, voice=True, turn=1, speech=True)
    assert not scene.of("input_audio_buffer.speech_started")
    scene.beats(1, voice=True, turn=1, speech=True)
    types = scene.types
    assert types.index("input_audio_buffer.speech_started") < types.index("response.done")
    done = scene.one("response.done")["response"]
    assert done["status"] == "cancelled"
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert done["output"][0]["status"] == "incomplete"
    assert scene.port.of("interrupt")


def test_a_short_word_over_the_agent_does_not_stop_it_and_is_still_written_down() -> None:
    scene = Scene().beats(3).beats(1, text=5, turn=1).beats(2, voice=True, turn=1)
    scene.beats(2, voice=True, turn=1, speech=True)
    end = scene.now * SECONDS
    told = CallerWordEvent(time=end, text="mhm", end=end)
    scene.beats(8, voice=True, turn=1, more=[told]).beats(1, text=1).beats(12)
    assert not scene.of("input_audio_buffer.speech_started")
    assert scene.one("response.done")["response"]["status"] == "completed"
    heard = scene.one("conversation.item.input_audio_transcription.completed")
    assert heard["transcript"] == "mhm"


def test_an_agents_own_backchannel_is_not_stopped_by_the_caller_who_goes_on() -> None:
    scene = Scene().beats(5, speech=True)
    scene.beats(1, text=5, turn=3, speech=True).beats(8, voice=True, turn=3, speech=True)
    assert not scene.port.of("interrupt")


def test_semantic_vad_lets_the_model_yield_by_itself() -> None:
    scene = Scene(**SEMANTIC).beats(3).beats(1, text=5, turn=1).beats(3, voice=True, turn=1)
    scene.beats(8, voice=True, turn=1, speech=True)
    assert not scene.of("response.done")
    scene.beats(1, voice=True, turn=2, speech=True, more=[scene.turn("yielding")])
    scene.beats(1, voice=True, turn=2, speech=True)
    assert scene.of("input_audio_buffer.speech_started")
    assert scene.one("response.done")["response"]["status_details"]["reason"] == "turn_detected"


def test_interrupt_response_false_lets_the_agent_finish() -> None:
    detection = {"type": "server_vad", "interrupt_response": False}
    scene = Scene(audio={"input": {"turn_detection": detection}})
    scene.beats(1, text=5, turn=1).beats(20, voice=True, turn=1, speech=True)
    assert not scene.port.of("interrupt")
    scene.beats(1, text=1, speech=True).beats(4, speech=True)
    assert scene.one("response.done")["response"]["status"] == "completed"
    # The caller who still speaks then has the floor.
    assert scene.of("input_audio_buffer.speech_started")


def test_a_threshold_is_kept_to() -> None:
    detection = {"type": "server_vad", "threshold": 1.0}
    scene = Scene(audio={"input": {"turn_detection": detection}}).beats(3, speech=True)
    assert scene.of("input_audio_buffer.speech_started")


def test_a_silence_that_the_client_asked_to_hear_of() -> None:
    detection = {"type": "server_vad", "idle_timeout_ms": 1000}
    scene = Scene(audio={"input": {"turn_detection": detection}})
    scene.agent_says("hello").beats(11)
    assert not scene.of("input_audio_buffer.timeout_triggered")
    scene.beats(4)
    timeout = scene.one("input_audio_buffer.timeout_triggered")
    assert timeout["audio_end_ms"] - timeout["audio_start_ms"] >= 1000
    assert len(scene.of("input_audio_buffer.timeout_triggered")) == 1


# -- null: the client commits and asks --------------------------------------------------------


def test_without_detection_nothing_is_told_of_speech() -> None:
    scene = Scene(**NULL).caller_says("a latte").beats(20)
    assert scene.types == ["session.created", "conversation.created"]


def test_a_commit_makes_the_item_and_its_words_follow() -> None:
    scene = Scene(**NULL)
    scene.client("input_audio_buffer.append", audio=sound())
    scene.caller_says("a latte")
    scene.forget().client("input_audio_buffer.commit")
    assert scene.types[:3] == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    scene.beats(12)
    done = scene.one("conversation.item.input_audio_transcription.completed")
    assert done["transcript"] == "a latte"
    assert scene.port.of("flush")


def test_a_commit_of_nothing_is_an_error() -> None:
    scene = Scene(**NULL)
    problem = error(scene.client("input_audio_buffer.commit", event_id="e1"))
    assert problem["code"] == "input_audio_buffer_commit_empty"
    assert problem["event_id"] == "e1"


def test_what_the_agent_says_is_held_until_it_is_asked_for() -> None:
    scene = Scene(**NULL)
    scene.client("input_audio_buffer.append", audio=sound())
    scene.caller_says("a latte")
    scene.beats(1, text=5, turn=1, words=["coming"]).beats(3, voice=True, turn=1)
    assert not scene.of("response.created")
    scene.client("input_audio_buffer.commit")
    scene.client("response.create", response={"metadata": {"topic": "order"}})
    assert scene.one("response.created")["response"]["metadata"] == {"topic": "order"}
    scene.beats(4, voice=True, turn=1).beats(1, text=1).beats(30)
    done = scene.one("response.done")["response"]
    assert done["output"][0]["content"][0]["transcript"] == "coming"
    loud = [
        event
        for event in scene.of("response.output_audio.delta")
        if np.frombuffer(base64.b64decode(event["delta"]), "<i2").any()
    ]
    assert len(loud) >= 7


def test_an_early_answer_and_the_real_one_come_in_the_same_response() -> None:
    scene = Scene(**NULL)
    scene.client("input_audio_buffer.append", audio=sound(2.0))
    scene.port.backlog = 2.0
    scene.client("input_audio_buffer.commit")
    scene.client("response.create")
    scene.beats(10, speech=True).agent_says("what")
    scene.port.backlog = 0.0
    assert not scene.of("response.done")
    scene.beats(10, speech=True).agent_says("a latte coming").beats(30)
    done = scene.one("response.done")["response"]
    assert done["output"][0]["content"][0]["transcript"] == "what a latte coming"


def test_an_agent_that_has_nothing_to_say_ends_the_response_empty() -> None:
    scene = Scene(**NULL)
    scene.client("response.create")
    scene.beats(70)
    done = scene.one("response.done")["response"]
    assert (done["status"], done["output"]) == ("completed", [])


def test_create_response_false_holds_too_and_still_tells_of_speech() -> None:
    detection = {"type": "server_vad", "create_response": False}
    scene = Scene(audio={"input": {"turn_detection": detection}}).caller_says("a latte")
    scene.agent_says("coming").beats(10)
    assert scene.of("input_audio_buffer.speech_stopped")
    assert not scene.of("response.created")
    scene.client("response.create")
    scene.beats(40)
    transcript = scene.one("response.done")["response"]["output"][0]["content"][0]["transcript"]
    assert transcript == "coming"


def test_held_speech_is_bounded_and_cleared_with_the_input() -> None:
    scene = Scene(**NULL)
    scene.beats(1, text=5).beats(400, voice=True)
    assert len(scene.protocol._held) <= 251
    scene.client("input_audio_buffer.clear")
    assert not scene.protocol._held
    assert scene.port.of("clear")


# -- asking, saying, cancelling ---------------------------------------------------------------


def test_words_in_the_metadata_are_said_as_they_stand() -> None:
    scene = Scene()
    scene.client("response.create", response={"metadata": {"say": "we open at seven"}})
    assert scene.port.of("say") == [("we open at seven",)]
    scene.agent_says("we open at seven")
    done = scene.one("response.done")["response"]
    assert done["metadata"] == {"say": "we open at seven"}
    assert done["status"] == "completed"


@pytest.mark.parametrize(
    "config",
    [
        {"instructions": "say: we open at seven"},
        {"instructions": "You sell coffee.\nSay: we open at seven"},
        {
            "conversation": "none",
            "input": [
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "we open at seven"}],
                }
            ],
        },
    ],
)
def test_other_ways_to_give_words(config: dict[str, Any]) -> None:
    scene = Scene()
    scene.client("response.create", response=config)
    assert scene.port.of("say") == [("we open at seven",)]
    out_of_band = config.get("conversation") == "none"
    assert (scene.one("response.created")["response"]["conversation_id"] is None) == out_of_band


def test_what_is_said_out_of_band_enters_no_conversation() -> None:
    scene = Scene()
    response = {"conversation": "none", "metadata": {"say": "hello"}}
    scene.client("response.create", response=response)
    scene.agent_says("hello")
    assert not scene.of("conversation.item.added")
    item = scene.one("response.output_item.done")["item"]["id"]
    assert error(scene.client("conversation.item.retrieve", item_id=item))["param"] == "item_id"


def test_plain_instructions_wait_for_the_agent_and_end_empty() -> None:
    scene = Scene()
    scene.client("response.create", response={"instructions": "Greet the caller."})
    assert not scene.port.of("say")
    scene.beats(20)
    assert not scene.of("response.done")
    scene.beats(8)
    assert scene.one("response.done")["response"]["output"] == []


def test_a_second_response_is_refused_while_one_runs() -> None:
    scene = Scene()
    scene.client("response.create")
    problem = error(scene.client("response.create", event_id="again"))
    assert problem["code"] == "conversation_already_has_active_response"
    assert problem["event_id"] == "again"


def test_the_result_of_a_tool_is_recorded_and_the_response_after_it_is_short() -> None:
    scene = Scene().caller_says("latte").agent_says("coming", more=[Scene().call()])
    output = {"type": "function_call_output", "call_id": "call_0_1", "output": "{}"}
    scene.client("conversation.item.create", item=output)
    assert scene.port.of("tool_result") == [("call_0_1", "{}")]
    scene.forget().client("response.create")
    scene.beats(8)
    assert scene.one("response.done")["response"]["output"] == []


def test_a_cancel_stops_the_agent() -> None:
    scene = Scene().beats(1, text=5).beats(3, voice=True)
    scene.client("response.cancel")
    done = scene.one("response.done")["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert scene.port.of("interrupt")
    scene.beats(3, voice=True)
    assert scene.types[-1] == "response.done"


def test_a_cancel_that_comes_too_late_is_no_error() -> None:
    scene = Scene().agent_says("hello")
    response = scene.one("response.done")["response"]["id"]
    scene.forget()
    assert scene.client("response.cancel") == []
    assert scene.client("response.cancel", response_id=response) == []
    assert not scene.port.of("interrupt")


def test_a_cancel_of_what_never_was_is_an_error() -> None:
    scene = Scene()
    assert error(scene.client("response.cancel"))["code"] == "response_cancel_not_active"
    problem = error(scene.client("response.cancel", response_id="resp_x"))
    assert problem["param"] == "response_id"


def test_clearing_the_output_stops_the_agent() -> None:
    scene = Scene().beats(1, text=5).beats(3, voice=True)
    scene.client("output_audio_buffer.clear")
    assert scene.one("response.done")["response"]["status"] == "cancelled"


def test_metadata_that_is_not_text_names_its_key() -> None:
    problem = error(Scene().client("response.create", response={"metadata": {"a": 1}}))
    assert problem["param"] == "response.metadata.a"


def test_text_only_sessions_get_text() -> None:
    scene = Scene(output_modalities=["text"]).agent_says("coming up")
    assert not [t for t in scene.types if "audio" in t]
    assert scene.one("response.output_text.done")["text"] == "coming up"
    content = scene.one("response.done")["response"]["output"][0]["content"]
    assert content == [{"type": "output_text", "text": "coming up"}]


# -- tools ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("session", "told"),
    [
        ({}, True),
        ({"tools": []}, False),
        ({"tools": [{"type": "function", "name": "other"}]}, False),
        ({"tool_choice": "none"}, False),
        ({"tool_choice": {"type": "function", "name": "place_order"}}, True),
        ({"tool_choice": {"type": "function", "name": "other"}}, False),
    ],
)
def test_a_call_is_told_to_clients_that_offer_the_tool(session: Any, told: bool) -> None:
    scene = Scene(**session)
    scene.agent_says("coming", more=[scene.call()])
    assert bool(scene.of("response.function_call_arguments.done")) == told


def test_a_call_without_a_voice_makes_a_response_that_ends_soon() -> None:
    scene = Scene().beats(2)
    scene.beats(1, more=[scene.call()])
    assert scene.of("response.function_call_arguments.done")
    assert not scene.of("response.done")
    scene.beats(14)
    output = scene.one("response.done")["response"]["output"]
    assert [item["type"] for item in output] == ["function_call"]


# -- items ------------------------------------------------------------------------------------


def message(text: str, **fields: Any) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content, **fields}


def test_items_of_a_clients_own_stand_where_they_are_put() -> None:
    scene = Scene()
    scene.client("conversation.item.create", item=message("one", id="a"))
    scene.client("conversation.item.create", item=message("two", id="b"))
    first = scene.client(
        "conversation.item.create", item=message("zero", id="z"), previous_item_id="root"
    )
    between = scene.client(
        "conversation.item.create", item=message("half", id="h"), previous_item_id="a"
    )
    assert [event["type"] for event in first] == [
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert [event["previous_item_id"] for event in (first[0], between[0])] == [None, "a"]


def test_an_item_that_is_there_or_is_not_there_is_named() -> None:
    scene = Scene()
    scene.client("conversation.item.create", item=message("one", id="a"))
    again = error(scene.client("conversation.item.create", item=message("x", id="a")))
    assert again["param"] == "item.id"
    after = error(scene.client("conversation.item.create", item=message("x"), previous_item_id="q"))
    assert after["param"] == "previous_item_id"
    for what in ("delete", "retrieve"):
        problem = error(scene.client(f"conversation.item.{what}", item_id="q"))
        assert (problem["param"], problem["code"]) == ("item_id", "item_not_found")


def test_items_can_be_shown_and_taken_out() -> None:
    scene = Scene()
    scene.client("conversation.item.create", item=message("one", id="a"))
    (shown,) = scene.client("conversation.item.retrieve", item_id="a")
    assert shown["item"]["content"][0]["text"] == "one"
    (gone,) = scene.client("conversation.item.delete", item_id="a")
    assert (gone["type"], gone["item_id"]) == ("conversation.item.deleted", "a")


def test_sound_in_a_message_is_heard() -> None:
    scene = Scene()
    content = [{"type": "input_audio", "audio": sound(0.5)}]
    item = {"type": "message", "role": "user", "content": content}
    added, _ = scene.client("conversation.item.create", item=item)
    assert scene.port.pushed == pytest.approx(0.5)
    assert "audio" not in added["item"]["content"][0]
    content[0]["audio"] = "!"
    problem = error(scene.client("conversation.item.create", item=item))
    assert problem["param"] == "item.content.0.audio"


def test_truncation_leaves_the_words_that_were_heard() -> None:
    scene = Scene().beats(3).beats(1, text=5, turn=1, words=["one"])
    scene.beats(10, voice=True, turn=1).beats(3, voice=True, turn=1, words=["two"])
    scene.beats(1, text=1, voice=True).beats(4)
    item = scene.one("response.done")["response"]["output"][0]["id"]
    cut = {"item_id": item, "content_index": 0}
    (told,) = scene.client("conversation.item.truncate", **cut, audio_end_ms=500)
    assert (told["type"], told["audio_end_ms"]) == ("conversation.item.truncated", 500)
    (shown,) = scene.client("conversation.item.retrieve", item_id=item)
    assert shown["item"]["content"][0]["transcript"] == "one"
    (told,) = scene.client("conversation.item.truncate", **cut, audio_end_ms=0)
    (shown,) = scene.client("conversation.item.retrieve", item_id=item)
    assert shown["item"]["content"][0]["transcript"] == ""


def test_truncating_more_than_there_was_is_all_there_was() -> None:
    scene = Scene().agent_says("hello", beats=5)
    item = scene.one("response.done")["response"]["output"][0]["id"]
    (told,) = scene.client(
        "conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=10**9
    )
    assert told["audio_end_ms"] == 10 * 80


def test_truncating_what_is_being_said_stops_it() -> None:
    scene = Scene().beats(1, text=5).beats(5, voice=True)
    item = scene.one("response.output_item.added")["item"]["id"]
    scene.client("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=100)
    assert scene.one("response.done")["response"]["status"] == "cancelled"


def test_only_the_agents_speech_can_be_truncated() -> None:
    scene = Scene()
    scene.client("conversation.item.create", item=message("one", id="a"))
    cut = {"content_index": 0, "audio_end_ms": 0}
    assert (
        error(scene.client("conversation.item.truncate", item_id="a", **cut))["param"] == "item_id"
    )
    scene.agent_says("hello")
    item = scene.one("response.done")["response"]["output"][0]["id"]
    cut["content_index"] = 3
    problem = error(scene.client("conversation.item.truncate", item_id=item, **cut))
    assert problem["param"] == "content_index"


# -- the session ------------------------------------------------------------------------------


def test_the_session_is_shown_when_it_begins_and_when_it_changes() -> None:
    scene = Scene()
    created = scene.one("session.created")["session"]
    assert (created["object"], created["type"]) == ("realtime.session", "realtime")
    (updated,) = scene.client("session.update", session={"audio": {"output": {"voice": "x"}}})
    changed = updated["session"]
    assert changed["audio"]["output"]["voice"] == "x"
    assert changed["audio"]["input"] == created["audio"]["input"]


def test_formats_change_what_goes_over_the_wire() -> None:
    g711 = {"audio": {"output": {"format": "g711_ulaw"}, "input": {"format": "g711_alaw"}}}
    scene = Scene(**g711).agent_says("hi")
    assert len(base64.b64decode(scene.of("response.output_audio.delta")[3]["delta"])) == 640
    scene.client("input_audio_buffer.append", audio=base64.b64encode(bytes(800)).decode())
    assert scene.port.pushed == pytest.approx(0.1)


@pytest.mark.parametrize("audio", ["!!!", base64.b64encode(b"abc").decode(), "äöü"])
def test_sound_that_is_none_is_an_error_that_names_the_field(audio: str) -> None:
    assert error(Scene().client("input_audio_buffer.append", audio=audio))["param"] == "audio"


def test_our_own_events_come_to_those_who_include_them() -> None:
    tone = ToneEvent(time=0.1, tone="annoyed", probability=0.9)
    plain = Scene().beats(1, more=[tone])
    assert not [t for t in plain.types if t.startswith("antiphon.")]
    scene = Scene(include=["antiphon"])
    scene.beats(1, more=[tone]).beats(1, more=[scene.turn("speaking")])
    assert scene.one("antiphon.tone")["tone"] == "annoyed"
    assert scene.one("antiphon.state")["state"] == "speaking"


def test_transcripts_can_be_switched_off() -> None:
    scene = Scene(audio={"input": {"transcription": None}}).caller_says("a latte").beats(20)
    assert not [t for t in scene.types if "transcription" in t]


def test_keys_and_lost_sound_are_told() -> None:
    scene = Scene()
    scene.protocol.tell(Dtmf(time=1.0, digit="#"))
    assert scene.one("input_audio_buffer.dtmf_event_received")["event"] == "#"
    scene.protocol.tell(Lost(time=1.0, seconds=2.5))
    assert scene.one("error")["error"]["code"] == "input_audio_buffer_overflow"


@pytest.mark.parametrize(
    ("reason", "status"), [("engine: boom", "failed"), ("the session's time is over", "cancelled")]
)
def test_a_call_that_ends_closes_what_is_open_and_says_why(reason: str, status: str) -> None:
    scene = Scene().beats(3, speech=True).beats(1, text=5).beats(3, voice=True)
    scene.protocol.tell(Closed(time=1.0, reason=reason))
    assert scene.one("response.done")["response"]["status"] == status
    assert reason in scene.one("error")["error"]["message"]


def test_a_client_that_leaves_is_told_no_error() -> None:
    scene = Scene().beats(3)
    scene.protocol.tell(Closed(time=1.0, reason="client"))
    assert not scene.of("error")


# -- over WebRTC ------------------------------------------------------------------------------


def test_over_webrtc_sound_is_told_of_and_not_sent() -> None:
    scene = Scene()
    sent: list[dict[str, Any]] = []
    scene.protocol = Realtime(
        Port(), sent.append, session=scene.protocol.session, transport="webrtc"
    )
    scene.agent_says("hello")
    types = [event["type"] for event in sent]
    assert "response.output_audio.delta" not in types
    assert "output_audio_buffer.started" in types
    assert types[-1] == "output_audio_buffer.stopped"
    scene.beats(1, text=5).beats(2, voice=True)
    scene.client("output_audio_buffer.clear")
    assert [e["type"] for e in sent][-2:] == ["response.done", "output_audio_buffer.cleared"]


# -- how the agent speaks ----------------------------------------------------------------------


def test_a_speed_and_a_style_reach_the_call_and_can_change() -> None:
    scene = Scene(audio={"output": {"speed": 1.2}})
    (updated,) = scene.client("session.update", session={"audio": {"output": {"style": "calm"}}})
    assert updated["session"]["audio"]["output"]["style"] == "calm"
    assert [told for (told,) in scene.port.of("deliver")] == [
        Delivery(None, 1.19),
        Delivery("calm", 1.19),
    ]


def test_a_bundle_without_styles_says_so_and_the_session_stays_as_it_was() -> None:
    scene = Scene()

    def refuse(wanted: Delivery) -> None:
        raise BundleError(f"no styles here, not {wanted.style}")

    scene.port.deliver = refuse
    update = {"audio": {"output": {"style": "warm"}}}
    wrong = error(scene.client("session.update", session=update))
    assert wrong["param"] == "session.audio.output"
    assert "no styles here" in wrong["message"]
    assert scene.protocol.session.audio.output.style is None
