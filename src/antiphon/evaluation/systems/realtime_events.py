"""The messages of both protocols that a judge reads, checked; all others are let pass.

Field names are those of the OpenAI Realtime (GA) and Live API references.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast, get_args

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from antiphon.errors import AntiphonError
from antiphon.runtime.events import CallEvent, Samples

Message = dict[str, Any]
"""A JSON object that goes over the wire."""
UNREADABLE = ""
"""The argument, not to be found in any schema, under which a call's text stands that is no JSON
object: so that it counts as the invalid call that it is."""
DONE = '{"ok": true}'
REFUSED = '{"error": "the arguments are not a JSON object"}'


def _decode(value: Any) -> Any:
    """base64 of 16-bit little-endian samples to float32 [N]."""
    if not isinstance(value, str):
        raise ValueError("audio is base64 text")
    try:
        raw = base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError(f"audio that is not base64 ({error})") from error
    if len(raw) % 2:
        raise ValueError("half a sample of audio")
    return np.frombuffer(raw, dtype="<i2").astype(np.float32) / 32768


def encode(samples: Samples) -> str:
    """float32 [N] to base64 of 16-bit little-endian samples."""
    pcm = np.clip(np.round(samples * 32768), -32768, 32767).astype("<i2")
    return base64.b64encode(pcm.tobytes()).decode("ascii")


Pcm = Annotated[Samples, BeforeValidator(_decode)]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)


# -- both ----------------------------------------------------------------------------------


class Problem(_Message):
    """What an error event says."""

    message: str = ""
    code: str | None = None
    event_id: str | None = None
    """The client's event that it is about."""

    def __str__(self) -> str:
        return self.message or self.code or "an error without a message"


class ErrorEvent(_Message):
    type: Literal["error"]
    error: Problem = Problem()


# -- Realtime ------------------------------------------------------------------------------


class Updated(_Message):
    type: Literal["session.updated"]


class SpeechStarted(_Message):
    type: Literal["input_audio_buffer.speech_started"]
    item_id: str = ""
    audio_start_ms: float = 0.0


class SpeechStopped(_Message):
    type: Literal["input_audio_buffer.speech_stopped"]
    item_id: str = ""
    audio_end_ms: float = 0.0


class Transcribed(_Message):
    type: Literal["conversation.item.input_audio_transcription.completed"]
    item_id: str = ""
    transcript: str


class AudioDelta(_Message):
    type: Literal["response.output_audio.delta"]
    item_id: str
    delta: Pcm = Field(repr=False)


class TranscriptDelta(_Message):
    type: Literal["response.output_audio_transcript.delta"]
    item_id: str
    delta: str


class TranscriptDone(_Message):
    type: Literal["response.output_audio_transcript.done"]


class CallDone(_Message):
    type: Literal["response.function_call_arguments.done"]
    call_id: str
    name: str
    arguments: str


class ResponseCreated(_Message):
    type: Literal["response.created"]


class StatusDetails(_Message):
    error: Problem | None = None


class Response(_Message):
    status: str | None = None
    status_details: StatusDetails | None = None


class ResponseDone(_Message):
    type: Literal["response.done"]
    response: Response = Response()


# -- Live ----------------------------------------------------------------------------------


class Started(_Message):
    type: Literal["session.started"]


class Closed(_Message):
    type: Literal["session.closed"]
    reason: str = "no reason given"


class OutputAudio(_Message):
    type: Literal["session.output_audio.delta"]
    delta: Pcm = Field(repr=False)


class OutputTranscript(_Message):
    type: Literal["session.output_transcript.delta"]
    delta: str
    start_ms: float


class InputTranscript(_Message):
    type: Literal["session.input_transcript.delta"]
    delta: str
    end_ms: float


class Item(_Message):
    type: str = ""
    name: str = ""
    call_id: str = ""
    arguments: str = ""


class Nested(_Message):
    """An event of the response that works for the Live model."""

    type: str
    item: Item | None = None
    response: Response | None = None


class ResponseEvent(_Message):
    type: Literal["response.event"]
    event: Nested


def known(*messages: type[_Message]) -> Mapping[str, type[_Message]]:
    """Messages by their type's name."""
    return {get_args(message.model_fields["type"].annotation)[0]: message for message in messages}


REALTIME = known(
    ErrorEvent,
    Updated,
    SpeechStarted,
    SpeechStopped,
    Transcribed,
    AudioDelta,
    TranscriptDelta,
    TranscriptDone,
    CallDone,
    ResponseCreated,
    ResponseDone,
)
LIVE = known(
    ErrorEvent, Started, Closed, OutputAudio, OutputTranscript, InputTranscript, ResponseEvent
)


def parse(text: str | bytes, names: Mapping[str, type[_Message]]) -> _Message | None:
    """The event in a WebSocket message; None where it is none that `names` has.

    Raises AntiphonError that says what the server did wrong.
    """
    try:
        value: Any = json.loads(text)
    except ValueError as error:
        raise AntiphonError(f"sent what is no JSON: {text[:60]!r}") from error
    name = cast("Message", value).get("type") if isinstance(value, dict) else None
    if not isinstance(name, str):
        raise AntiphonError(f"sent a message without a type: {text[:60]!r}")
    if name not in names:
        return None
    try:
        return names[name].model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise AntiphonError(
            f"sent a {name} that is not as the protocol has it: {where}: {first['msg']}"
        ) from error


def call_event(name: str, arguments: str, time: float) -> CallEvent:
    """A tool call as it was made, at `time` seconds; arguments that are no object stay text."""
    try:
        value: Any = json.loads(arguments)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        value = {UNREADABLE: arguments}
    return CallEvent(time=time, name=name, arguments=cast("Message", value))


def is_readable(call: CallEvent) -> bool:
    """Whether the call's arguments were a JSON object."""
    return UNREADABLE not in call.arguments
