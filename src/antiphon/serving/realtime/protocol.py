"""A Realtime session without its socket: a client's events and a call's messages in, events out.

The model owns its turns. A response is what it says in one go; turn detection decides what the
client is told and when the agent is heard, never when the model speaks:

    server_vad     as the network hears the caller; who goes on speaking over the agent stops it
    semantic_vad   the model alone ends the caller's turn and yields the floor
    null, or create_response: false
                   what the agent says is held until the client asks with response.create

docs/guides/serve.md lists every departure from the protocol.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Any, Literal, Protocol

import numpy as np

from antiphon.audio import SAMPLE_RATE
from antiphon.corpus.calls import Tool
from antiphon.corpus.delivery import Delivery
from antiphon.errors import AntiphonError, BundleError
from antiphon.guard.events import GuardEvent
from antiphon.runtime.clock import HeardEvent
from antiphon.runtime.engine import FIRST_PIECE
from antiphon.runtime.events import (
    TONES,
    TURN_STATES,
    AgentWordEvent,
    AudioEvent,
    CallerWordEvent,
    Samples,
    ToneEvent,
    TurnEvent,
)
from antiphon.runtime.session import SECONDS
from antiphon.serving.call import (
    AgentStarted,
    AgentStopped,
    CallMessage,
    Closed,
    Dtmf,
    Lost,
    ToolCallEvent,
    Turn,
)
from antiphon.serving.realtime import events
from antiphon.serving.realtime.audio import Encoder, decode
from antiphon.serving.realtime.configuration import ServerVad, Session, first_session, update
from antiphon.serving.realtime.conversation import Conversation, Item, from_client, truncate
from antiphon.serving.realtime.events import Message, Wrong
from antiphon.serving.realtime.hearing import Hearing
from antiphon.serving.realtime.response import Response

BARGE_IN = 0.4  # s of the caller's speech over the agent that stop it under server_vad
PATIENCE = 2.0  # s for which a response that was asked for waits for the agent to speak
PATIENCE_HELD = 5.0  # the same where the agent is heard only when it was asked
PATIENCE_TOOL = 0.5  # the same after a tool's result: this agent has mostly spoken already
MORE = 1.0  # s after the sound that was asked about in which a held response may go on
HELD = 20.0  # s of speech that are held at most for a client that has not asked
ALONE = 1.0  # s for which a response that only holds a call waits for the agent's voice
_SAY = re.compile(r"^\s*say:(.+)\Z", re.IGNORECASE | re.MULTILINE | re.DOTALL)
"""A line of instructions from which on they are to be said as they stand; clients put the session's
instructions before those of a response."""
_BACKCHANNEL = TURN_STATES.index("backchannelling")


class Port(Protocol):
    """What a session asks of its call: `LiveCall`, or a test's."""

    @property
    def id(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def backlog(self) -> float: ...
    def push(self, samples: Samples, rate: int) -> None: ...
    def clear(self) -> None: ...
    def flush(self) -> None: ...
    def say(self, text: str) -> None: ...
    def tool_result(self, call_id: str, output: str) -> None: ...
    def interrupt(self) -> None: ...
    def deliver(self, wanted: Delivery) -> None: ...


class Realtime:
    """One session. `receive` takes a client's message, `tell` one of the call's; both may `send`.

    send: called with each event as an object. `expires_at` is when the session ends at the latest,
    seconds since 1970. `transport` says how sound travels: "websocket" in events, "webrtc" on a
    track beside them (then `output_audio_buffer` events tell of it, and nothing is appended).
    """

    def __init__(
        self,
        call: Port,
        send: Callable[[Message], None],
        *,
        model: str = "",
        instructions: str = "",
        tools: tuple[Tool, ...] = (),
        session: Session | None = None,
        expires_at: int = 0,
        transport: Literal["websocket", "webrtc"] = "websocket",
    ) -> None:
        self.session = session or first_session(model, instructions, tools)
        self.closed = False
        self._call, self._out, self._transport = call, send, transport
        self._expires_at = expires_at
        self._stem = call.id.removeprefix("call_")
        self._ids = {"event": 0, "item": 0, "resp": 0}
        self._conversation = Conversation(f"conv_{self._stem}")
        self._encoder = Encoder(self.session.audio.output.format)
        self._hearing = Hearing(self._send, self._conversation, self._new_item)
        self._response: Response | None = None
        self._over: dict[str, None] = {}  # responses that are done, newest last
        self._asked: _Asked | None = None  # what the client wants of the open response
        self._held: deque[list[CallMessage]] = deque()  # beats of speech nobody has asked for
        self._holding = False  # the agent speaks, and it is held
        self._agent_speaks = False  # as the client hears it
        self._yielding = False
        self._now = 0.0
        self._call_since = 0.0
        self._idle_since: float | None = None
        self._appended = 0.0  # s of sound since the last commit
        self._playing = False  # WebRTC: output_audio_buffer.started was sent
        self._tell_delivery(self.session)
        self._configure()

    def begin(self) -> None:
        """Open the session: what a client waits for first."""
        self._send("session.created", session=self._shown())
        conversation = {"id": self._conversation.id, "object": "realtime.conversation"}
        self._send("conversation.created", conversation=conversation)

    # -- from the client ----------------------------------------------------------

    def receive(self, text: str | bytes) -> None:
        """A client's message. What is wrong with it is answered by an `error` event."""
        event, event_id = events.parse(text)
        try:
            if isinstance(event, Wrong):
                raise event
            self._react(event)
        except Wrong as wrong:
            self.error(wrong, event_id)
        except AntiphonError as error:
            self.error(Wrong(str(error)), event_id)

    def error(self, wrong: Wrong, event_id: str | None = None) -> None:
        """Tell the client that something was wrong."""
        self._send(
            "error",
            error={
                "type": wrong.type,
                "code": wrong.code,
                "message": wrong.message,
                "param": wrong.param,
                "event_id": event_id,
            },
        )

    def _react(self, event: events.ClientEvent) -> None:
        match event:
            case events.Append():
                self._append(event)
            case events.SessionUpdate():
                wanted = update(self.session, event.session)
                self._tell_delivery(wanted)  # first: what it refuses leaves the session as it was
                self.session = wanted
                self._configure()
                self._send("session.updated", session=self._shown())
            case events.Commit():
                self._commit()
            case events.Clear():
                self._call.clear()
                self._hearing.clear()
                self._drop_held()
                self._appended = 0.0
                self._send("input_audio_buffer.cleared")
            case events.OutputClear():
                self._clear_output()
            case events.ItemCreate():
                self._create_item(event)
            case events.ItemDelete():
                self._conversation.delete(event.item_id)
                self._send("conversation.item.deleted", item_id=event.item_id)
            case events.ItemRetrieve():
                item = self._conversation.get(event.item_id)
                self._send("conversation.item.retrieved", item=item.as_json())
            case events.ItemTruncate():
                self._truncate(event)
            case events.ResponseCreate():
                self._ask(event.response or events.ResponseConfig())
            case events.ResponseCancel():
                self._cancel(event.response_id)

    def _append(self, event: events.Append) -> None:
        form = self.session.audio.input.format
        try:
            samples = decode(event.audio, form)
        except ValueError as error:
            raise Wrong(f"audio: {error}", param="audio") from None
        self._push(samples, form.hertz)

    def _push(self, samples: Samples, rate: int) -> None:
        if len(samples):
            self._call.push(samples, rate)
            self._appended += len(samples) / rate

    def _commit(self) -> None:
        if self._appended <= 0 and self._transport == "websocket":
            raise Wrong(
                "there is no sound to commit; append some first",
                code="input_audio_buffer_commit_empty",
            )
        self._hearing.commit(self._heard_by())
        self._call.flush()
        self._appended = 0.0

    def _heard_by(self) -> float:
        """When all that was appended will have been heard, in seconds of the call."""
        return max(self._now, self._call.seconds) + self._call.backlog

    def _create_item(self, event: events.ItemCreate) -> None:
        given = event.item
        item = from_client(given, given.id or self._new_item())
        if isinstance(given, events.FunctionCallItem):
            item.fields.setdefault("call_id", item.id)
        sounds = self._sounds(given) if isinstance(given, events.MessageItem) else []
        before = self._conversation.add(item, event.previous_item_id)
        for name in ("added", "done"):
            self._send(f"conversation.item.{name}", previous_item_id=before, item=item.as_json())
        for samples in sounds:
            self._push(samples, self.session.audio.input.format.hertz)
        if isinstance(given, events.FunctionCallOutputItem):
            self._call.tool_result(given.call_id, given.output)

    def _sounds(self, item: events.MessageItem) -> list[Samples]:
        """The recordings in a user's message, which are heard as if they were spoken now."""
        sounds: list[Samples] = []
        for index, part in enumerate(item.content):
            if part.audio and item.role == "user" and part.type == "input_audio":
                try:
                    sounds.append(decode(part.audio, self.session.audio.input.format))
                except ValueError as error:
                    param = f"item.content.{index}.audio"
                    raise Wrong(f"{param}: {error}", param=param) from None
        return sounds

    def _truncate(self, event: events.ItemTruncate) -> None:
        item = self._conversation.get(event.item_id)
        kept = truncate(item, event.content_index, event.audio_end_ms)
        open_item = self._response.message if self._response else None
        self._send(
            "conversation.item.truncated",
            item_id=item.id,
            content_index=event.content_index,
            audio_end_ms=kept,
        )
        if open_item is item:
            # Nothing of it is heard any more: the agent need not go on.
            self._stop("client_cancelled")

    def _clear_output(self) -> None:
        response = self._response
        if response is not None and response.spoke:
            self._stop("client_cancelled")
        self._cleared(response)

    def _cleared(self, response: Response | None) -> None:
        if self._playing:
            self._playing = False
            last = response.id if response else next(reversed(self._over), "")
            self._send("output_audio_buffer.cleared", response_id=last)

    def _cancel(self, id: str | None) -> None:
        response = self._response
        if response is not None and id in (None, response.id):
            self._stop("client_cancelled")
            return
        # A cancel that crosses with the response's end is no error.
        if id in self._over or (id is None and self._over):
            return
        raise Wrong(
            "there is no response to cancel",
            param="response_id" if id else None,
            code="response_cancel_not_active",
        )

    # -- responses that are asked for ---------------------------------------------

    def _ask(self, config: events.ResponseConfig) -> None:
        text = _verbatim(config)
        in_band = config.conversation != "none"
        if config.conversation not in (None, "auto", "none"):
            raise Wrong("response.conversation is auto or none", param="response.conversation")
        for index, part in enumerate(config.input or ()):
            if isinstance(part, events.ItemReference):
                self._conversation.get(part.id, f"response.input.{index}.id")
        metadata = _metadata(config.metadata)
        if self._response is not None:
            raise Wrong(
                f"the response {self._response.id} is in progress; wait for response.done or "
                "cancel it",
                code="conversation_already_has_active_response",
            )
        if text is not None:
            if self._holding:
                self._call.interrupt()
            self._call.say(text)
            self._drop_held()
        self._respond(config, metadata=metadata, in_band=in_band)
        self._asked = _Asked(
            since=self._now,
            until=self._heard_by(),
            patience=self._patience(),
            said=text is not None,
        )

    def _patience(self) -> float:
        last = self._conversation.last
        if last is not None and last.fields.get("type") == "function_call_output":
            return PATIENCE_TOOL
        return PATIENCE_HELD if self.session.held else PATIENCE

    def _respond(
        self,
        config: events.ResponseConfig | None = None,
        *,
        metadata: Message | None = None,
        in_band: bool = True,
    ) -> Response:
        """Open a response."""
        config = config or events.ResponseConfig()
        modalities = config.output_modalities or config.modalities
        modality = self.session.output_modalities[0]
        if modalities:
            modality = "audio" if "audio" in modalities else "text"
        most = config.max_output_tokens or config.max_response_output_tokens
        self._ids["resp"] += 1
        self._response = Response(
            f"resp_{self._stem}_{self._ids['resp']}",
            self._send,
            self._conversation,
            self._new_item,
            self._encoder,
            modality=modality,
            voice=self.session.audio.output.voice,
            metadata=metadata,
            in_band=in_band,
            sound=self._transport == "websocket",
            max_output_tokens=most or self.session.max_output_tokens,
        )
        self._call_since = self._now
        return self._response

    def _done(
        self,
        status: Literal["completed", "cancelled", "failed", "incomplete"] = "completed",
        reason: str | None = None,
        error: Message | None = None,
    ) -> None:
        response, self._response, self._asked = self._response, None, None
        if response is None:
            return
        self._over[response.id] = None
        while len(self._over) > 16:
            del self._over[next(iter(self._over))]
        response.finish(status, reason, error)
        self._idle_since = self._now
        if self._playing and status == "completed":
            self._playing = False
            self._send("output_audio_buffer.stopped", response_id=response.id)

    def _stop(self, reason: Literal["client_cancelled", "turn_detected"]) -> None:
        """Stop the agent in its response."""
        response = self._response
        self._drop_held()
        self._agent_speaks = self._yielding = False
        self._call.interrupt()
        self._done("cancelled", reason)
        self._cleared(response)

    # -- from the call ------------------------------------------------------------

    def tell(self, message: CallMessage) -> None:
        """One message of the call's, in order."""
        match message:
            case HeardEvent():
                self._heard(message)
            case CallerWordEvent():
                self._hearing.word(message.text, message.end)
            case (
                AgentStarted() | AgentStopped() | AudioEvent() | AgentWordEvent() | ToolCallEvent()
            ):
                self._spoken(message)
            case TurnEvent():
                self._yielding = message.state == "yielding" and self._agent_speaks
                self._extra("state", state=message.state)
            case ToneEvent():
                self._extra("tone", tone=message.tone, probability=message.probability)
            case GuardEvent():
                self._extra("guard", guard=message.model_dump(mode="json"))
            case Turn():
                self._extra("turn", turn=message.model_dump(mode="json"))
            case Dtmf():
                received = round(message.time)
                self._send(
                    "input_audio_buffer.dtmf_event_received",
                    event=message.digit,
                    received_at=received,
                )
            case Lost():
                self.error(
                    Wrong(
                        f"{message.seconds:.1f} s of sound were dropped: more was sent than can "
                        "wait; send sound at the pace at which it is spoken",
                        param="audio",
                        code="input_audio_buffer_overflow",
                    )
                )
            case Closed():
                self._close(message.reason)
            case _:
                pass

    def _heard(self, event: HeardEvent) -> None:
        self._now = event.time
        out = event.out
        detection = self._hearing.detection
        self._hearing.beat(
            event.time,
            out.vad,
            event.filled / SAMPLE_RATE,
            agent_speaks=self._agent_speaks,
            spelling=out.caller_text >= FIRST_PIECE,
        )
        if self._agent_speaks and detection is not None and detection.interrupt_response:
            backchannel = int(np.argmax(out.turn)) == _BACKCHANNEL
            long = isinstance(detection, ServerVad) and self._hearing.over_agent >= BARGE_IN
            if (long and not backchannel) or (self._yielding and self._hearing.speaking):
                self._barge_in()
        self._expire()
        if self._hearing.announced or self._response is not None:
            self._idle_since = None
        self._time_out()

    def _barge_in(self) -> None:
        """The caller takes the floor."""
        self._hearing.start()
        self._stop("turn_detected")

    def _expire(self) -> None:
        """End a response for which nothing comes."""
        response, asked = self._response, self._asked
        if response is None or self._agent_speaks or self._held:
            return
        if asked is None:
            if not response.spoke and self._now - self._call_since >= ALONE:
                self._done()
        elif asked.over(self._now, spoke=response.spoke, caller_speaks=self._hearing.speaking):
            self._done()

    def _time_out(self) -> None:
        """Tell a client that asked for it that nobody speaks."""
        detection = self._hearing.detection
        limit = detection.idle_timeout_ms if detection else None
        if limit is None or self._idle_since is None:
            return
        if (self._now - self._idle_since) * 1e3 >= limit:
            start, self._idle_since = self._idle_since, None
            item = self._hearing.commit(self._now)
            self._send(
                "input_audio_buffer.timeout_triggered",
                audio_start_ms=round(start * 1e3),
                audio_end_ms=round(self._now * 1e3),
                item_id=item,
            )

    def _spoken(self, message: CallMessage) -> None:
        """Something of the agent's: now, or held until it is asked for."""
        if self.session.held and (self._response is None or self._held):
            self._hold(message)
        else:
            self._utter(message)
        # One held beat goes out for each that comes.
        if self._response is not None and self._held and isinstance(message, AudioEvent):
            for each in self._held.popleft():
                self._utter(each)

    def _hold(self, message: CallMessage) -> None:
        if isinstance(message, AgentStarted):
            self._holding = True
        if isinstance(message, AudioEvent):
            if not self._holding:
                return  # silence between spells
            self._held.append([message])
            while len(self._held) > HELD / SECONDS:
                self._held.popleft()
        elif self._held and self._holding:
            self._held[-1].append(message)
        else:
            self._held.append([message])
        if isinstance(message, AgentStopped):
            self._holding = False

    def _drop_held(self) -> None:
        self._held.clear()
        self._holding = False

    def _utter(self, message: CallMessage) -> None:
        match message:
            case AgentStarted():
                self._agent_starts()
            case AudioEvent() if self._agent_speaks and self._response is not None:
                self._sound(message, self._response)
            case AgentWordEvent() if self._response is not None:
                self._response.word(message.text, message.start)
            case ToolCallEvent():
                self._called(message)
            case AgentStopped():
                self._agent_stops(message)
            case _:
                pass

    def _agent_starts(self) -> None:
        self._agent_speaks, self._yielding = True, False
        if self._hearing.announced:
            self._hearing.stop()  # the model has taken its turn: the caller's is over
        response = self._response or self._respond()
        response.speak()

    def _sound(self, message: AudioEvent, response: Response) -> None:
        if self._transport == "webrtc" and not self._playing:
            self._playing = True
            self._send("output_audio_buffer.started", response_id=response.id)
        response.sound(message.samples, message.time)

    def _agent_stops(self, message: AgentStopped) -> None:
        was, self._agent_speaks = self._agent_speaks, False
        if self._response is None or not was:
            return
        if message.interrupted:
            self._done("cancelled", "turn_detected")
        elif self._asked is None or self._asked.said or not self.session.held:
            self._done()

    def _called(self, message: ToolCallEvent) -> None:
        if not self.session.may_call(message.name):
            return
        response = self._response or self._respond()
        response.call(message.id, message.name, message.arguments)

    def _close(self, reason: str) -> None:
        """The call is over; what is open is closed."""
        self.closed = True
        self._hearing.finish()
        server = reason.startswith(("engine", "server", "guard"))
        failure = {"type": "server_error", "code": "call_ended", "message": reason}
        self._done("failed" if server else "cancelled", None, failure if server else None)
        if reason != "client":
            self.error(
                Wrong(f"the call is over: {reason}", code="session_ended", type="session_error")
            )

    # -- small things -------------------------------------------------------------

    def _configure(self) -> None:
        settings = self.session.audio
        if settings.output.format != self._encoder.format:
            self._encoder = Encoder(settings.output.format)
        self._hearing.configure(
            settings.input.turn_detection, transcribes=settings.input.transcription is not None
        )
        if not self.session.held:
            self._drop_held()

    def _tell_delivery(self, session: Session) -> None:
        try:
            self._call.deliver(session.audio.output.delivery)
        except BundleError as error:
            raise Wrong(str(error), param="session.audio.output") from None

    def _shown(self) -> Message:
        shown = self.session.as_json()
        return {
            "id": f"sess_{self._stem}",
            "object": "realtime.session",
            "expires_at": self._expires_at,
            **shown,
        }

    def _extra(self, name: str, **fields: Any) -> None:
        """Our own events, for clients that include them."""
        if self.session.extras:
            self._send(f"antiphon.{name}", time=round(self._now, 3), **fields)

    def _new_item(self) -> str:
        while True:
            self._ids["item"] += 1
            id = f"item_{self._stem}_{self._ids['item']}"
            if id not in self._conversation:
                return id

    def _send(self, type: str, **fields: Any) -> None:
        self._ids["event"] += 1
        self._out({"type": type, "event_id": f"event_{self._ids['event']}", **fields})


class _Asked:
    """What a client that asked for a response is waiting for."""

    def __init__(self, since: float, until: float, patience: float, *, said: bool) -> None:
        """until: when the sound that it asks about has been heard. `said`: words were given."""
        self.until, self.patience, self.said = max(since, until), patience, said
        self.quiet: float | None = None

    def over(self, now: float, *, spoke: bool, caller_speaks: bool) -> bool:
        """Whether nothing more is to be expected, while the agent is silent."""
        if caller_speaks or now < self.until:
            self.quiet = None
            return False
        self.quiet = now if self.quiet is None else self.quiet
        return now - self.quiet >= (MORE if spoke else self.patience)


def _metadata(given: Message | None) -> Message | None:
    for key, value in (given or {}).items():
        if not isinstance(value, str):
            param = f"response.metadata.{key}"
            raise Wrong(f"{param} must be text", param=param)
    return given


def _verbatim(config: events.ResponseConfig) -> str | None:
    """The words that a response is to say as they stand, if it names any."""
    said = (config.metadata or {}).get("say")
    if isinstance(said, str) and said.strip():
        return said
    found = _SAY.search(config.instructions or "")
    if found:
        return found.group(1).strip()
    if config.conversation == "none":
        for item in reversed(config.input or ()):
            if isinstance(item, events.MessageItem) and item.role == "assistant":
                text = " ".join(part.text or part.transcript or "" for part in item.content)
                return text.strip() or None
    return None


__all__ = ["TONES", "Item", "Port", "Realtime"]
