"""The messages of the Live protocol that this server takes and gives.

Field names are those of the Live API reference (and of `openai.types.live`). What is not in the
reference is marked `ours:`. A message that does not fit raises `LiveError`, which names the field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    TypeAdapter,
    ValidationError,
)

from antiphon.errors import AntiphonError
from antiphon.serving.realtime.audio import G711_RATE, Format

Message = dict[str, Any]
"""A JSON object that goes over the wire."""

LONGEST_TEXT = 2_000  # characters of an append: the reference's 500 tokens at four letters each
MOST_INPUT = 128  # messages of history at the start, as in the reference
LONGEST_ID = 512  # characters


class LiveError(AntiphonError):
    """A message that breaks the protocol: which field, and what to do."""

    def __init__(
        self, message: str, *, code: str, param: str | None = None, event_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.param, self.event_id = code, param, event_id


# -- the session's configuration -----------------------------------------------------------


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _telephone(value: Any) -> Any:
    """G.711 with the rate that it always has, as Live's clients write it, as without."""
    given = cast("Message", value) if isinstance(value, dict) else {}
    if given.get("type") in ("audio/pcmu", "audio/pcma") and given.get("rate") == G711_RATE:
        return {name: part for name, part in given.items() if name != "rate"}
    return cast("Any", value)


class Output(_Config):
    """The voice is the network's own; a wish for another is told back and has no effect."""

    voice: Any = None


class Audio(_Config):
    format: Annotated[Format | None, BeforeValidator(_telephone)] = None
    output: Output | None = None


class Responses(BaseModel):
    """A backend's settings. Ours: the network is its own backend; only `tools` is read."""

    model_config = ConfigDict(frozen=True, extra="allow")

    model: str | None = None
    tools: tuple[dict[str, Any], ...] | None = None


class Delegation(_Config):
    """Who learns of the tool calls, and how: as Responses events, or as bare delegations."""

    type: Literal["client", "responses"] = "client"
    responses: Responses | None = None
    acknowledgement_delay_ms: int | None = None


class Text(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    text: str


class InitialItem(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    role: Literal["developer", "user", "assistant"]
    content: tuple[Text, ...] = Field(min_length=1, max_length=1)


class Extras(_Config):
    """Ours: `events` asks for `antiphon.tone`, `antiphon.turn` and `antiphon.order`."""

    events: bool = False


class SessionConfig(_Config):
    """What `session.start` sets, for as long as the session lives."""

    model: str | None = None
    type: Literal["live"] | None = None
    instructions: str | None = None
    audio: Audio | None = None
    delegation: Delegation | None = None
    input: tuple[InitialItem, ...] | None = Field(default=None, max_length=MOST_INPUT)
    store: bool | None = None
    safety_identifier: str | None = Field(default=None, max_length=LONGEST_ID)
    antiphon: Extras | None = None

    @property
    def format(self) -> Format:
        """The sound's format; pcm at 24 kHz where none was asked for."""
        return (self.audio and self.audio.format) or Format()

    @property
    def delegates(self) -> Literal["client", "responses"]:
        """Who learns of tool calls."""
        return self.delegation.type if self.delegation else "client"


class SessionChange(_Config):
    """What `session.update` may change: a backend's settings, never its kind."""

    delegation: Delegation | None = None


# -- from the client -----------------------------------------------------------------------


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    event_id: str | None = Field(default=None, max_length=LONGEST_ID)


class SessionStart(_Command):
    type: Literal["session.start"]
    session: SessionConfig


class SessionUpdate(_Command):
    type: Literal["session.update"]
    session: SessionChange


class SessionClose(_Command):
    type: Literal["session.close"]


class AudioAppend(_Command):
    type: Literal["session.input_audio.append"]
    audio: str = Field(repr=False)


class AudioMute(_Command):
    type: Literal["session.input_audio.mute"]


class AudioUnmute(_Command):
    type: Literal["session.input_audio.unmute"]


class Append(_Command):
    """Text for the agent: commentary is said aloud, the others are only kept."""

    type: Literal[
        "session.instructions.append", "session.thinking.append", "session.commentary.append"
    ]
    content: str = Field(min_length=1, max_length=LONGEST_TEXT)
    delegation_id: str | None = None


class Item(BaseModel):
    """An item for the backend; a tool's result is the only one that is read."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str = "message"
    call_id: str | None = None
    output: Any = None


class ItemCreate(_Command):
    type: Literal["response.item.create"]
    item: Item


class ResponseCreate(_Command):
    type: Literal["response.create"]


class DtmfSend(_Command):
    """A key of a telephone. Ours: the client is the caller's side, so the caller pressed it."""

    type: Literal["transport.dtmf.send"]
    event: str = Field(pattern=r"^[0-9A-D*#]$")


Command = Annotated[
    SessionStart
    | SessionUpdate
    | SessionClose
    | AudioAppend
    | AudioMute
    | AudioUnmute
    | Append
    | ItemCreate
    | ResponseCreate
    | DtmfSend,
    Discriminator("type"),
]
_COMMANDS: TypeAdapter[Command] = TypeAdapter(Command)
# In the reference and not here: what each of them would need is not there.
UNSUPPORTED: Mapping[str, str] = {
    "session.output_audio.fixture.play": "this server plays no recordings into a call",
    "decision.create": "this server has no Decisions backend",
    "decision.item.create": "this server has no Decisions backend",
    "decision.item.delete": "this server has no Decisions backend",
}


def read_command(text: str | bytes) -> Command:
    """The command in a message. Raises LiveError that names what is wrong with it."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise LiveError(
            "the message is no JSON; send one JSON object a message", code="invalid_json"
        ) from None
    if not isinstance(value, dict):
        raise LiveError("a message is a JSON object with a `type`", code="invalid_json")
    message = cast("Message", value)
    given = message.get("event_id")
    event_id = given[:LONGEST_ID] if isinstance(given, str) else None
    name = message.get("type")
    if not isinstance(name, str):
        raise LiveError(
            "the message has no `type`", code="missing_parameter", param="type", event_id=event_id
        )
    if name in UNSUPPORTED:
        raise LiveError(
            f"{name} is not supported: {UNSUPPORTED[name]}",
            code="unsupported_event",
            param="type",
            event_id=event_id,
        )
    try:
        return _COMMANDS.validate_python(message)
    except ValidationError as error:
        raise _refused(error, name, event_id) from None


def read_config(value: Any, where: str = "session") -> SessionConfig:
    """A session's configuration out of a request's body. Raises LiveError."""
    try:
        return SessionConfig.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join([where, *(str(part) for part in first["loc"])])
        raise LiveError(f"{path}: {first['msg']}", code=_code(first["type"]), param=path) from None


def _refused(error: ValidationError, name: str, event_id: str | None) -> LiveError:
    first = error.errors()[0]
    if first["type"] == "union_tag_invalid":
        known = ", ".join(sorted(TYPES))
        return LiveError(
            f"there is no event {name[:60]!r}; clients may send {known}",
            code="unknown_event",
            param="type",
            event_id=event_id,
        )
    # The first part of the path is the union's tag, which the client did not write.
    path = ".".join(str(part) for part in first["loc"][1:])
    return LiveError(
        f"{path}: {first['msg']}", code=_code(first["type"]), param=path, event_id=event_id
    )


def _code(kind: str) -> str:
    return {"extra_forbidden": "unknown_parameter", "missing": "missing_parameter"}.get(
        kind, "invalid_value"
    )


# -- from the server -----------------------------------------------------------------------


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def wire(self) -> Message:
        """As it goes over the wire, without what is not set."""
        return self.model_dump(exclude_none=True)


class _Told(_Wire):
    event_id: str
    client_event_id: str | None = None


class SessionStarted(_Told):
    type: Literal["session.started"] = "session.started"
    session: Message


class SessionUpdated(_Told):
    type: Literal["session.updated"] = "session.updated"
    session: Message


class Usage(BaseModel):
    model_config = ConfigDict(frozen=True)

    seconds: float


class SessionClosed(_Told):
    type: Literal["session.closed"] = "session.closed"
    reason: Literal["close_requested", "expired", "content", "remote_hangup", "connection_lost"]
    session: Message
    usage: Usage


class UsageUpdated(_Told):
    type: Literal["session.usage.updated"] = "session.usage.updated"
    usage: Usage


class AudioMuted(_Told):
    type: Literal["session.input_audio.muted", "session.input_audio.unmuted"]


class OutputAudio(_Wire):
    type: Literal["session.output_audio.delta"] = "session.output_audio.delta"
    delta: str = Field(repr=False)


class Transcript(_Told):
    type: Literal["session.input_transcript.delta", "session.output_transcript.delta"]
    delta: str
    start_ms: int
    end_ms: int


class Appended(_Told):
    type: Literal[
        "session.instructions.appended", "session.thinking.appended", "session.commentary.appended"
    ]
    start_ms: int
    end_ms: int


class ToolCallDelegated(BaseModel):
    """Ours: the call itself, so that an application without a backend learns of it."""

    model_config = ConfigDict(frozen=True)

    call_id: str
    name: str
    arguments: str


class Delegated(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    type: Literal["delegation"] = "delegation"
    target: Literal["client", "responses"]
    response_id: str | None = None
    call: ToolCallDelegated | None = None


class DelegationCreated(_Told):
    type: Literal["session.delegation.created"] = "session.delegation.created"
    delegation: Delegated
    offset_ms: int


class ResponseEvent(_Told):
    type: Literal["response.event"] = "response.event"
    delegation_id: str | None = None
    event: Message


class DtmfReceived(_Told):
    type: Literal["transport.dtmf.received"] = "transport.dtmf.received"
    event: str


class Info(_Told):
    type: Literal["info"] = "info"
    code: str
    message: str


class Problem(BaseModel):
    model_config = ConfigDict(frozen=True)

    type: Literal["invalid_request_error", "server_error"]
    code: str
    message: str
    param: str | None = None
    client_event_id: str | None = None


class ErrorEvent(_Told):
    type: Literal["error"] = "error"
    error: Problem


class ToneTold(_Told):
    """Ours: the caller's tone changed."""

    type: Literal["antiphon.tone"] = "antiphon.tone"
    tone: str
    probability: float
    at_ms: int


class TurnTold(_Told):
    """Ours: a finished turn; `gap_ms` from the caller's last sound to the agent's first."""

    type: Literal["antiphon.turn"] = "antiphon.turn"
    turn: Message


class OrderTold(_Told):
    """Ours: what is on order after a call; `items` in the agent's own words."""

    type: Literal["antiphon.order"] = "antiphon.order"
    order: Message | None
    items: tuple[str, ...]


Told = (
    SessionStarted
    | SessionUpdated
    | SessionClosed
    | UsageUpdated
    | AudioMuted
    | OutputAudio
    | Transcript
    | Appended
    | DelegationCreated
    | ResponseEvent
    | DtmfReceived
    | Info
    | ErrorEvent
    | ToneTold
    | TurnTold
    | OrderTold
)

TYPES = (
    "session.start",
    "session.update",
    "session.close",
    "session.input_audio.append",
    "session.input_audio.mute",
    "session.input_audio.unmute",
    "session.instructions.append",
    "session.thinking.append",
    "session.commentary.append",
    "response.item.create",
    "response.create",
    "transport.dtmf.send",
)
"""What clients may send."""
