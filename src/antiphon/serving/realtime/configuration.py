"""A session's configuration: what a client sends is merged deeply into what stands, and checked.

Clients send sparse updates: what they do not name stays, null is a value, lists are replaced, and
an object whose `type` changes is replaced as a whole. The names of the beta are taken too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from antiphon.corpus.calls import Tool
from antiphon.corpus.delivery import Delivery, delivery
from antiphon.serving.realtime.audio import AudioFormat, Format
from antiphon.serving.realtime.events import Message, Wrong, from_pydantic

VOICE = "agent"
"""What the agent's one voice is called where no client has named another."""
EXTRAS = "antiphon"
"""In `include`: the client wants our own events too (tone, turns, floor)."""
_SEMANTIC_SILENCE = {
    "low": 8.0,
    "medium": 4.0,
    "auto": 4.0,
    "high": 2.0,
}  # s, as the reference says


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerVad(_Part):
    """Turns by voice activity: a caller who goes on over the agent stops it."""

    type: Literal["server_vad"]
    threshold: float = Field(default=0.5, ge=0, le=1)
    prefix_padding_ms: int = Field(default=300, ge=0, le=10_000)
    silence_duration_ms: int = Field(default=500, ge=0, le=10_000)
    idle_timeout_ms: int | None = Field(default=None, ge=100, le=600_000)
    create_response: bool = True
    interrupt_response: bool = True

    @property
    def silence(self) -> float:
        """Seconds of silence that end the caller's turn, unless the agent takes it before."""
        return self.silence_duration_ms / 1e3


class SemanticVad(_Part):
    """Turns by the model alone."""

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True

    @property
    def threshold(self) -> float:
        """As `ServerVad.threshold`."""
        return 0.5

    @property
    def idle_timeout_ms(self) -> int | None:
        """As `ServerVad.idle_timeout_ms`: the reference knows it for `server_vad` alone."""
        return None

    @property
    def silence(self) -> float:
        """As `ServerVad.silence`; the reference's longest times."""
        return _SEMANTIC_SILENCE[self.eagerness]


TurnDetection = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]


class Transcription(BaseModel):
    """What the caller says is written down; the words are the agent's own, whatever the model."""

    model_config = ConfigDict(frozen=True, extra="allow")

    model: str = "antiphon"
    language: str | None = None
    prompt: str | None = None


class NoiseReduction(_Part):
    """Accepted; the network hears the sound as it is."""

    type: Literal["near_field", "far_field"] | None = None
    strength: float | None = None


class Input(_Part):
    """How the caller is heard."""

    format: AudioFormat = Format()
    noise_reduction: NoiseReduction | None = None
    transcription: Transcription | None = Transcription()
    turn_detection: TurnDetection | None = ServerVad(type="server_vad")


class Output(_Part):
    """How the agent speaks: in its one voice. A speed of 1 leaves it its own, which leans towards
    the caller's; a style is ours, and none leaves it to follow the caller's tone."""

    format: AudioFormat = Format()
    voice: Any = VOICE
    speed: Annotated[float, Field(ge=0.5, le=1.5)] = 1.0
    style: Literal["neutral", "calm", "warm", "brisk", "apologetic"] | None = None

    @property
    def delivery(self) -> Delivery:
        """As the network is told."""
        return delivery(self.style, None if self.speed == 1.0 else self.speed)


class Audio(_Part):
    """Both directions."""

    input: Input = Input()
    output: Output = Output()


class SessionTool(BaseModel):
    """A tool that the client offers. Only those that the agent was made for are ever called."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str
    name: str | None = None
    description: str | None = None
    parameters: Any = None


class Session(_Part):
    """The whole configuration. What the agent cannot use is kept, shown and otherwise ignored."""

    type: Literal["realtime"] = "realtime"
    model: str | None = None
    instructions: str = ""
    output_modalities: tuple[Literal["text", "audio"]] = ("audio",)
    audio: Audio = Audio()
    tools: tuple[SessionTool, ...] = ()
    tool_choice: str | dict[str, Any] = "auto"
    max_output_tokens: int | Literal["inf"] = "inf"
    tracing: Any = None
    truncation: Any = "auto"
    prompt: Any = None
    reasoning: Any = None
    parallel_tool_calls: bool | None = None
    include: tuple[str, ...] | None = None

    @field_validator("tool_choice")
    @classmethod
    def _choice(cls, choice: str | dict[str, Any]) -> str | dict[str, Any]:
        if isinstance(choice, str) and choice not in ("auto", "none", "required"):
            raise ValueError("must be auto, none, required, or an object that names a tool")
        return choice

    @property
    def extras(self) -> bool:
        """Whether our own events are wanted."""
        return EXTRAS in (self.include or ())

    @property
    def held(self) -> bool:
        """Whether the agent is heard only when it was asked to speak."""
        detection = self.audio.input.turn_detection
        return detection is None or not detection.create_response

    def may_call(self, name: str) -> bool:
        """Whether the client wants to hear of calls of this tool."""
        choice = self.tool_choice
        if choice == "none":
            return False
        if isinstance(choice, dict) and choice.get("name") not in (None, name):
            return False
        return any(tool.name == name for tool in self.tools)

    def as_json(self) -> Message:
        """The session as the client is shown it."""
        shown = self.model_dump(mode="json")
        for side, part in (("input", self.audio.input), ("output", self.audio.output)):
            shown["audio"][side]["format"] = part.format.as_json()
        hearing = shown["audio"]["input"]
        for name in ("transcription", "turn_detection", "noise_reduction"):
            # Clients check what they are shown, and not all of them know null inside of these.
            if hearing[name] is not None:
                given: Message = hearing[name]
                hearing[name] = {key: value for key, value in given.items() if value is not None}
        return shown


def first_session(model: str, instructions: str, tools: Sequence[Tool]) -> Session:
    """What a session is before its client has said anything."""
    known = tuple(SessionTool(type="function", **tool.model_dump()) for tool in tools)
    return Session(model=model, instructions=instructions, tools=known)


def update(session: Session, patch: Message, *, prefix: str = "session") -> Session:
    """The session after a client's update. Raises Wrong, which names the field."""
    current = session.model_dump(mode="json")
    merged = merge(current, _from_beta(patch))
    merged["model"] = session.model  # one bundle is served, whatever a client calls it
    try:
        return Session.model_validate(merged)
    except ValidationError as error:
        raise from_pydantic(error, prefix=prefix) from None


def merge(current: Any, patch: Any) -> Any:
    """`patch` over `current`: objects deeply, all else as it is given."""
    if not isinstance(patch, dict):
        return patch
    new = cast("Message", patch)
    if not isinstance(current, dict):
        return new
    old = cast("Message", current)
    if "type" in new and new["type"] != old.get("type") and "type" in old:
        return new
    return {**old, **{key: merge(old.get(key), value) for key, value in new.items()}}


_BETA = {
    "modalities": ("output_modalities",),
    "voice": ("audio", "output", "voice"),
    "input_audio_format": ("audio", "input", "format"),
    "output_audio_format": ("audio", "output", "format"),
    "input_audio_transcription": ("audio", "input", "transcription"),
    "input_audio_noise_reduction": ("audio", "input", "noise_reduction"),
    "turn_detection": ("audio", "input", "turn_detection"),
    "speed": ("audio", "output", "speed"),
    "max_response_output_tokens": ("max_output_tokens",),
}
# null here is how some clients write "as it is".
_NEVER_NULL = (
    *("model", "instructions", "output_modalities", "modalities", "audio", "tools", "tool_choice"),
    *("max_output_tokens", "voice", "speed", "max_response_output_tokens"),
    *("input_audio_format", "output_audio_format"),
)
_IGNORED = ("temperature", "id", "object", "expires_at", "client_secret")  # a session sent back


def _from_beta(patch: Message) -> Message:
    """The update with the beta's names replaced."""
    out: Message = {}
    for key, value in patch.items():
        if key in _IGNORED or (value is None and key in _NEVER_NULL):
            continue
        path = _BETA.get(key, (key,))
        if key in ("modalities", "output_modalities") and isinstance(value, list):
            # The beta's ["text", "audio"] is what GA calls ["audio"].
            names = cast("list[Any]", value)
            value = ["audio"] if "audio" in names else names
        if key not in _BETA:
            out[key] = merge(out[key], value) if key in out else value
            continue
        nested: Any = value
        for step in reversed(path[1:]):
            nested = {step: nested}
        out[path[0]] = merge(out.get(path[0]), nested) if path[0] in out else nested
    audio = out.get("audio")
    return {**out, "audio": _formats(cast("Message", audio))} if isinstance(audio, dict) else out


def _formats(audio: Message) -> Message:
    """Formats by a bare name as objects, so that they are merged by their type."""
    out = dict(audio)
    for side in ("input", "output"):
        part = out.get(side)
        if isinstance(part, dict) and isinstance(part.get("format"), str):
            named = {**cast("Message", part)}
            named["format"] = {"type": _FORMATS.get(named["format"], named["format"])}
            out[side] = named
    return out


_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}

__all__ = [
    "EXTRAS",
    "SemanticVad",
    "ServerVad",
    "Session",
    "SessionTool",
    "Wrong",
    "first_session",
    "merge",
    "update",
]
