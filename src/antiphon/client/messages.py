"""The server's messages that a client reads, checked; their fields are those of the API.

Fields that are not read are let pass, as are messages of other types.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from antiphon.client.errors import ProtocolError

Message = dict[str, Any]
"""A JSON object that goes over the wire."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Trouble(_Message):
    message: str | None = None
    code: str | None = None
    param: str | None = None
    event_id: str | None = None

    def __str__(self) -> str:
        return self.message or self.code or "an error without a message"


class Error(_Message):
    type: Literal["error"]
    error: Trouble = Trouble()


class Session(_Message):
    type: Literal["session.created", "session.updated"]
    session: dict[str, Any] = {}


class Speech(_Message):
    type: Literal["input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"]
    item_id: str = ""
    audio_start_ms: float | None = None
    audio_end_ms: float | None = None


class Heard(_Message):
    type: Literal["conversation.item.input_audio_transcription.delta"]
    item_id: str
    delta: str


class HeardAll(_Message):
    type: Literal["conversation.item.input_audio_transcription.completed"]
    item_id: str
    transcript: str


class NotHeard(_Message):
    type: Literal["conversation.item.input_audio_transcription.failed"]
    error: Trouble = Trouble()


class Sound(_Message):
    type: Literal["response.output_audio.delta"]
    item_id: str
    delta: str


class Said(_Message):
    type: Literal["response.output_audio_transcript.delta", "response.output_text.delta"]
    item_id: str
    delta: str


class SaidAll(_Message):
    type: Literal["response.output_audio_transcript.done", "response.output_text.done"]
    item_id: str
    transcript: str | None = None
    text: str | None = None


class Item(_Message):
    type: str = ""
    status: str | None = None
    name: str = ""
    call_id: str = ""
    arguments: str = ""


class ItemDone(_Message):
    type: Literal["response.output_item.done"]
    item: Item


class Details(_Message):
    error: Trouble | None = None
    reason: str | None = None


class Response(_Message):
    status: str | None = None
    status_details: Details | None = None


class Responded(_Message):
    type: Literal["response.created", "response.done"]
    response: Response = Response()


Known = (
    Error
    | Session
    | Speech
    | Heard
    | HeardAll
    | NotHeard
    | Sound
    | Said
    | SaidAll
    | ItemDone
    | Responded
)
_ADAPTER: TypeAdapter[Known] = TypeAdapter(Annotated[Known, Field(discriminator="type")])
_NAMES = frozenset(
    name for model in Known.__args__ for name in model.model_fields["type"].annotation.__args__
)


def parsed(text: str | bytes) -> Message:
    """A message as an object with a type. Raises ProtocolError."""
    if isinstance(text, bytes):
        raise ProtocolError("sent a binary message; this protocol has text alone")
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError(f"sent what is no JSON: {text[:60]!r}") from None
    if not isinstance(value, dict) or not isinstance(cast("Message", value).get("type"), str):
        raise ProtocolError(f"sent a message without a type: {text[:60]!r}")
    return cast("Message", value)


def known(message: Message) -> Known | None:
    """The message, checked; None where it is none that is read. Raises ProtocolError."""
    if message["type"] not in _NAMES:
        return None
    try:
        return _ADAPTER.validate_python(message)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"][1:])
        raise ProtocolError(f"sent {message['type']} with {where}: {first['msg']}") from None
