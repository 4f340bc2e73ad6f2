"""The client's events, checked; and what a wrong one is answered with.

Names are those of the Realtime (GA) reference. An event that is not one of these, lacks a field,
or has one of the wrong kind raises `Wrong`, which names the field.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

Message = dict[str, Any]
"""A JSON object that goes over the wire."""

Id = Annotated[str, StringConstraints(min_length=1, max_length=256)]
MOST_METADATA = 16
DEEPEST = 64  # objects and lists in one another


class Wrong(Exception):
    """A client's event cannot be carried out: the sentence, a code, and the field at fault."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str = "invalid_value",
        type: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.message, self.param, self.code, self.type = message, param, code, type


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


# -- items -------------------------------------------------------------------------------------


class Content(_Part):
    """A part of a message."""

    type: Literal[
        "input_text", "input_audio", "input_image", "output_text", "output_audio", "text", "audio"
    ]
    text: str | None = None
    audio: str | None = None
    transcript: str | None = None
    image_url: str | None = None
    detail: str | None = None


class _Item(_Part):
    id: Id | None = None
    object: Literal["realtime.item"] | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None


class MessageItem(_Item):
    """Something said or written."""

    type: Literal["message"]
    role: Literal["user", "assistant", "system"]
    content: tuple[Content, ...]
    phase: Any = None


class FunctionCallItem(_Item):
    """A call that was made, told by a client that brings a history along."""

    type: Literal["function_call"]
    name: str
    arguments: str
    call_id: Id | None = None


class FunctionCallOutputItem(_Item):
    """What a tool gave."""

    type: Literal["function_call_output"]
    call_id: Id
    output: str


class ItemReference(_Part):
    """An item that is there already; only in the input of a response."""

    type: Literal["item_reference"]
    id: Id


Item = Annotated[
    MessageItem | FunctionCallItem | FunctionCallOutputItem, Field(discriminator="type")
]
InputItem = Annotated[
    MessageItem | FunctionCallItem | FunctionCallOutputItem | ItemReference,
    Field(discriminator="type"),
]

# -- the client's events -------------------------------------------------------------------------


class _Event(_Part):
    event_id: Annotated[str, StringConstraints(max_length=512)] | None = None


class SessionUpdate(_Event):
    """Change of the session: what is not named stays."""

    type: Literal["session.update"]
    session: dict[str, Any]


class Append(_Event):
    """The caller's next sound, base64 in the input format."""

    type: Literal["input_audio_buffer.append"]
    audio: str


class Commit(_Event):
    """The caller's turn is over, says the client."""

    type: Literal["input_audio_buffer.commit"]


class Clear(_Event):
    """What was appended and not committed is forgotten."""

    type: Literal["input_audio_buffer.clear"]


class OutputClear(_Event):
    """The agent is to stop speaking."""

    type: Literal["output_audio_buffer.clear"]


class ItemCreate(_Event):
    """An item of the client's own."""

    type: Literal["conversation.item.create"]
    item: Item
    previous_item_id: Id | None = None


class ItemDelete(_Event):
    """Take an item out."""

    type: Literal["conversation.item.delete"]
    item_id: Id


class ItemRetrieve(_Event):
    """Show an item."""

    type: Literal["conversation.item.retrieve"]
    item_id: Id


class ItemTruncate(_Event):
    """Only so much of an item was heard."""

    type: Literal["conversation.item.truncate"]
    item_id: Id
    content_index: int = Field(ge=0)
    audio_end_ms: int = Field(ge=0)


class ResponseConfig(_Part):
    """How one response differs from the session."""

    conversation: str | None = None
    input: tuple[InputItem, ...] | None = None
    instructions: str | None = None
    metadata: dict[str, Any] | None = Field(default=None, max_length=MOST_METADATA)
    output_modalities: tuple[Literal["text", "audio"], ...] | None = None
    modalities: tuple[Literal["text", "audio"], ...] | None = None
    max_output_tokens: int | Literal["inf"] | None = None
    audio: dict[str, Any] | None = None
    tools: tuple[dict[str, Any], ...] | None = None
    tool_choice: str | dict[str, Any] | None = None
    prompt: Any = None
    reasoning: Any = None
    parallel_tool_calls: bool | None = None
    # Names of the beta, which some clients still send.
    voice: Any = None
    temperature: float | None = None
    output_audio_format: str | None = None
    max_response_output_tokens: int | Literal["inf"] | None = None


class ResponseCreate(_Event):
    """The agent is asked to speak."""

    type: Literal["response.create"]
    response: ResponseConfig | None = None


class ResponseCancel(_Event):
    """The agent is to stop."""

    type: Literal["response.cancel"]
    response_id: Id | None = None


ClientEvent = (
    SessionUpdate
    | Append
    | Commit
    | Clear
    | OutputClear
    | ItemCreate
    | ItemDelete
    | ItemRetrieve
    | ItemTruncate
    | ResponseCreate
    | ResponseCancel
)
_EVENTS: TypeAdapter[ClientEvent] = TypeAdapter(Annotated[ClientEvent, Field(discriminator="type")])


def parse(text: str | bytes) -> tuple[ClientEvent | Wrong, str | None]:
    """A client's message as (its event or what is wrong with it, its event_id)."""
    try:
        raw: Any = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return Wrong("the message is not JSON", code="invalid_json"), None
    if _too_deep(raw):
        return Wrong(f"the message is nested deeper than {DEEPEST}", code="invalid_json"), None
    if not isinstance(raw, dict):
        return Wrong("the message is not a JSON object", code="invalid_json"), None
    message = cast("Message", raw)
    given = message.get("event_id")
    event_id = given if isinstance(given, str) else None
    try:
        return _EVENTS.validate_python(message), event_id
    except ValidationError as error:
        return from_pydantic(error, drop=1), event_id


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _too_deep(value: Any) -> bool:
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(cast("Message", value).values())
    return cast("list[Any]", value) if isinstance(value, list) else []


def from_pydantic(error: ValidationError, *, prefix: str = "", drop: int = 0) -> Wrong:
    """The first thing that is wrong, in a sentence. `drop` leaves out a union's own steps."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = [str(step) for step in first["loc"][drop:]]
    # A union puts the name of the branch it took into the path; those are no fields.
    path = ".".join(step for step in where if not _is_branch(step))
    param = ".".join(part for part in (prefix, path) if part) or None
    kind = first["type"]
    given = _short(first["input"])
    if kind == "union_tag_not_found":
        param = ".".join(part for part in (param, "type") if part)
        return Wrong(f"{param} is missing", param=param, code="missing_required_parameter")
    if kind == "union_tag_invalid":
        param = ".".join(part for part in (param, "type") if part)
        tag = _short(_tag(first["input"]))
        return Wrong(f"{param}: {tag} is not known here", param=param, code="invalid_value")
    if kind == "missing":
        return Wrong(f"{param} is missing", param=param, code="missing_required_parameter")
    if kind == "extra_forbidden":
        return Wrong(f"{param} is not known here", param=param, code="unknown_parameter")
    what = first["msg"].removeprefix("Value error, ")
    return Wrong(f"{param or 'the message'}: {what}, got {given}", param=param)


def _is_branch(step: str) -> bool:
    return step in _BRANCHES or "[" in step


_BRANCHES = frozenset(
    {"message", "function_call", "function_call_output", "item_reference", "int", "str"}
    | {"literal['inf']", "constrained-str", "server_vad", "semantic_vad"}
    | {"audio/pcm", "audio/pcmu", "audio/pcma"}
)


def _tag(value: Any) -> Any:
    return cast("Message", value).get("type") if isinstance(value, dict) else value


def _short(value: Any) -> str:
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."
