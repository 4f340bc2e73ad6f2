from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.corpus.calls import Tool
from antiphon.serving.realtime.configuration import Session, first_session, merge, update
from antiphon.serving.realtime.events import Wrong

TOOL = Tool(name="place_order", description="Orders.", parameters={"type": "object"})


@pytest.fixture
def first() -> Session:
    return first_session("cafe", "A café.", [TOOL])


def test_a_new_session_is_the_agents_own(first: Session) -> None:
    shown = first.as_json()
    assert shown["model"] == "cafe"
    assert shown["tools"][0]["name"] == "place_order"
    assert shown["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
    assert shown["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert None not in shown["audio"]["input"]["transcription"].values()


def test_what_is_not_named_stays(first: Session) -> None:
    one = update(first, {"audio": {"input": {"turn_detection": {"threshold": 0.8}}}})
    two = update(one, {"audio": {"output": {"voice": "marin"}}})
    detection = two.audio.input.turn_detection
    assert detection is not None
    assert (detection.type, detection.threshold) == ("server_vad", 0.8)
    assert two.audio.output.voice == "marin"
    assert two.instructions == "A café."


def test_an_object_of_another_type_is_replaced(first: Session) -> None:
    session = update(first, {"audio": {"input": {"turn_detection": {"threshold": 0.8}}}})
    session = update(session, {"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}})
    shown = session.as_json()["audio"]["input"]["turn_detection"]
    assert shown == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    }
    back = update(session, {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}})
    assert back.audio.input.turn_detection is not None
    assert back.audio.input.turn_detection.threshold == 0.5


def test_null_is_a_value(first: Session) -> None:
    patch = {"audio": {"input": {"turn_detection": None, "transcription": None}}}
    session = update(first, patch)
    assert session.held
    assert session.as_json()["audio"]["input"]["transcription"] is None


def test_what_stock_clients_send_is_taken(first: Session) -> None:
    update(first, {"type": "realtime", "model": "gpt-realtime", "tracing": "auto"})
    update(first, {"tracing": {"workflow_name": "x"}, "truncation": "auto", "prompt": None})
    update(first, {"audio": {"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}}})
    update(first, {"audio": {"input": {"noise_reduction": {"type": "near_field"}}}})
    update(first, {"max_output_tokens": "inf", "tools": None, "instructions": None})
    update(first, {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}}}})
    session = update(first, first.as_json())
    assert session.as_json() == first.as_json()


def test_the_betas_names_are_taken(first: Session) -> None:
    session = update(
        first,
        {
            "modalities": ["text", "audio"],
            "voice": "alloy",
            "input_audio_format": "g711_ulaw",
            "output_audio_format": "pcm16",
            "input_audio_transcription": {"model": "whisper-1"},
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 200},
            "temperature": 0.8,
            "max_response_output_tokens": 100,
        },
    )
    audio = session.as_json()["audio"]
    assert audio["input"]["format"] == {"type": "audio/pcmu"}
    assert audio["output"]["format"] == {"type": "audio/pcm", "rate": 24000}
    assert audio["output"]["voice"] == "alloy"
    assert audio["input"]["turn_detection"]["silence_duration_ms"] == 200
    assert session.output_modalities == ("audio",)
    assert session.max_output_tokens == 100


def test_one_bundle_is_served_whatever_it_is_called(first: Session) -> None:
    assert update(first, {"model": "gpt-realtime"}).model == "cafe"


@pytest.mark.parametrize(
    ("patch", "param"),
    [
        ({"foo": 1}, "session.foo"),
        ({"type": "transcription"}, "session.type"),
        ({"audio": 3}, "session.audio"),
        ({"audio": {"input": {"format": {"type": "mp3"}}}}, "session.audio.input.format.type"),
        ({"audio": {"input": {"format": "mp3"}}}, "session.audio.input.format.type"),
        ({"input_audio_format": 3}, "session.audio.input.format"),
        (
            {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 11025}}}},
            "session.audio.input.format.rate",
        ),
        (
            {"audio": {"input": {"turn_detection": {"type": "psychic"}}}},
            "session.audio.input.turn_detection.type",
        ),
        (
            {"audio": {"input": {"turn_detection": {"threshold": 3}}}},
            "session.audio.input.turn_detection.threshold",
        ),
        (
            {"audio": {"input": {"turn_detection": {"silence": 3}}}},
            "session.audio.input.turn_detection.silence",
        ),
        ({"audio": {"output": {"style": "loud"}}}, "session.audio.output.style"),
        ({"audio": {"output": {"speed": 2}}}, "session.audio.output.speed"),
        ({"output_modalities": ["smell"]}, "session.output_modalities.0"),
        ({"tools": [{"name": "x"}]}, "session.tools.0.type"),
        ({"tools": "all"}, "session.tools"),
        ({"tool_choice": "maybe"}, "session.tool_choice"),
        ({"max_output_tokens": "many"}, "session.max_output_tokens"),
    ],
)
def test_what_is_wrong_is_named(first: Session, patch: Any, param: str) -> None:
    with pytest.raises(Wrong) as caught:
        update(first, patch)
    assert caught.value.param == param
    assert param in caught.value.message


def test_null_detection_cannot_be_patched_without_a_type(first: Session) -> None:
    session = update(first, {"audio": {"input": {"turn_detection": None}}})
    with pytest.raises(Wrong) as caught:
        update(session, {"audio": {"input": {"turn_detection": {"threshold": 0.3}}}})
    assert caught.value.param == "session.audio.input.turn_detection.type"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(current=_JSON, patch=_JSON)
def test_a_merge_twice_is_a_merge_once(current: Any, patch: Any) -> None:
    once = merge(current, patch)
    assert merge(once, patch) == once


@given(current=st.dictionaries(st.text(max_size=2), _JSON, max_size=3))
def test_an_empty_patch_changes_nothing(current: Any) -> None:
    assert merge(current, {}) == current
