"""A Live session as a value that changes: a client's messages in, messages and acts out.

    session.start -> Start, then `begin` -> session.started
    sound, words, tool calls of the call -> deltas, transcripts, delegations
    session.close -> Close, then `end` -> session.closed

Pure: no sockets, no clock, no tasks. Whoever holds it carries the acts out on the call.

Ours, where the reference has another: time goes on with the clock and not with the input, so a
client that sends nothing is heard as silent; the network makes its tool calls itself, and a
delegation tells of one; commentary is not put into the agent's words: "say: TEXT" is said as it
stands, when the agent is not speaking, and other commentary, which may be an instruction, is not.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from antiphon.errors import AntiphonError
from antiphon.runtime.events import (
    AgentWordEvent,
    AudioEvent,
    CallerWordEvent,
    ToneEvent,
)
from antiphon.serving.call import AgentStopped, CallMessage, Dtmf, Lost
from antiphon.serving.live import events as live
from antiphon.serving.live.acts import Close, Press, Push, Reaction, Reason, Result, Say, Start
from antiphon.serving.live.events import LiveError, Message, SessionConfig, Told
from antiphon.serving.live.responses import function_call, snapshot
from antiphon.serving.realtime.audio import Encoder, decode
from antiphon.serving.turns import ToolCallEvent, Turn

USAGE_EVERY = 10.0  # seconds of a call between reports of its usage
LETTER = (
    0.075  # seconds a letter of speech takes: one end of each word is told, this guesses the other
)
MOST_WAITING = 8  # texts that wait to be said
EXPIRED = "the session's time is over"
"""Why a call that lasted too long is closed."""
GOING_DOWN = "server: going down"
"""Why a call is closed that outlasts its server."""
MOST_CALLS = 512  # tool calls whose results may still come
_SAY = re.compile(r"^\s*say:(.+)\Z", re.IGNORECASE | re.MULTILINE | re.DOTALL)
"""A line of commentary from which on it is to be said; clients put sentences of their own first."""

OrderOf = Callable[[Sequence[ToolCallEvent]], tuple[Message | None, tuple[str, ...]]]
"""What is on order after some calls, and its items in the agent's words."""


def fresh_id(kind: str) -> str:
    """A new id: `evt_...`, `del_...`."""
    return f"{kind}_{secrets.token_hex(10)}"


@dataclass
class _Pending:
    """A tool call that was told; `delegation` is the id under which it was."""

    delegation: str
    answered: bool = False


class LiveSession:
    """One session.

    media: sound has its own way (WebRTC) and is in no message. tools: names of the agent's own.
    order: asks what is on order, for `antiphon.order`. config: of a session that needs no
    `session.start`.
    """

    def __init__(
        self,
        *,
        bundle: str,
        tools: Sequence[str] = (),
        order: OrderOf | None = None,
        media: bool = False,
        config: SessionConfig | None = None,
        ids: Callable[[str], str] = fresh_id,
    ) -> None:
        self.config = config or SessionConfig()
        self.state: Literal["new", "starting", "active", "closed"] = "starting" if config else "new"
        self.seconds = 0.0
        """How much of the call is over."""
        self._bundle, self._tools, self._order, self._media = bundle, tools, order, media
        self._ids = ids
        self._id, self._expires = "", 0
        self._encode: Encoder | None = None
        self._muted = False
        self._speaking = False
        self._waiting: list[Say] = []
        self._pending: dict[str, _Pending] = {}
        self._made: list[ToolCallEvent] = []
        self._reported = 0.0
        self._heard_any = self._said_any = False

    # -- from the client --------------------------------------------------------

    def receive(self, text: str | bytes) -> Reaction:
        """A message of the client's. What is wrong with it is answered, never raised."""
        try:
            command = live.read_command(text)
            return self._obey(command)
        except LiveError as error:
            return Reaction([self.problem(error)])

    def problem(self, error: AntiphonError, event_id: str | None = None) -> live.ErrorEvent:
        """An error as the client is told of it."""
        code, param = "invalid_value", None
        if isinstance(error, LiveError):
            code, param, event_id = error.code, error.param, error.event_id or event_id
        told = live.Problem(
            type="invalid_request_error",
            code=code,
            message=str(error),
            param=param,
            client_event_id=event_id,
        )
        return live.ErrorEvent(event_id=self._ids("evt"), client_event_id=event_id, error=told)

    def begin(self, session_id: str, expires_at: int, event_id: str | None = None) -> list[Told]:
        """The call is open. `expires_at` is a Unix time in seconds."""
        self._id, self._expires = session_id, expires_at
        self.state = "active"
        if not self._media:
            self._encode = Encoder(self.config.format)
        started = live.SessionStarted(
            event_id=self._ids("evt"), client_event_id=event_id, session=self.resource()
        )
        idle = self._without_effect()
        if not idle:
            return [started]
        info = live.Info(
            event_id=self._ids("evt"),
            code="parameters_without_effect",
            message=f"{self._bundle} does what it was trained for; without effect: "
            + ", ".join(idle),
        )
        return [started, info]

    def end(self, reason: str, event_id: str | None = None) -> list[Told]:
        """The call is over, for a reason of ours or of the call's. Nothing follows."""
        if self.state != "active":
            self.state = "closed"
            return []
        self.state = "closed"
        told: list[Told] = []
        known, sentence = _reason(reason)
        if sentence:
            problem = live.Problem(type="server_error", code="session_ended", message=sentence)
            told.append(live.ErrorEvent(event_id=self._ids("evt"), error=problem))
        closed = live.SessionClosed(
            event_id=self._ids("evt"),
            client_event_id=event_id,
            reason=known,
            session=self.resource(),
            usage=live.Usage(seconds=round(self.seconds, 2)),
        )
        return [*told, closed]

    def resource(self) -> Message:
        """The session as it is told to the client: what was asked for, and what holds."""
        asked = self.config.model_dump(exclude_none=True, mode="json")
        asked.setdefault("model", self._bundle)
        if not self._media:
            form = self.config.format
            told = {"type": form.type, "rate": form.hertz}
            asked.setdefault("audio", {})["format"] = told
        asked.setdefault("delegation", {"type": "client"})
        return {**asked, "id": self._id, "expires_at": self._expires, "status": "active"}

    def _obey(self, command: live.Command) -> Reaction:
        if isinstance(command, live.SessionStart):
            return self._start(command)
        if self.state != "active":
            raise LiveError(
                "the session has not begun; send session.start first and wait for session.started",
                code="session_not_started",
                event_id=command.event_id,
            )
        match command:
            case live.AudioAppend():
                return self._hear(command)
            case live.AudioMute() | live.AudioUnmute():
                self._muted = isinstance(command, live.AudioMute)
                muted, unmuted = "session.input_audio.muted", "session.input_audio.unmuted"
                told = live.AudioMuted(
                    type=muted if self._muted else unmuted,
                    event_id=self._ids("evt"),
                    client_event_id=command.event_id,
                )
                return Reaction([told])
            case live.Append():
                return self._append(command)
            case live.ItemCreate():
                return self._item(command)
            case live.ResponseCreate():
                return self._respond(command)
            case live.SessionUpdate():
                return self._update(command)
            case live.DtmfSend():
                return Reaction(acts=[Press(command.event)])
            case live.SessionClose():
                return Reaction(acts=[Close("close_requested")])

    def _start(self, command: live.SessionStart) -> Reaction:
        if self.state != "new":
            raise LiveError(
                "the session has begun already; open another connection for another session",
                code="session_already_started",
                event_id=command.event_id,
            )
        config = command.session
        self.config, self.state = config, "starting"
        return Reaction(acts=[Start(config.store is not False, command.event_id)])

    def _hear(self, command: live.AudioAppend) -> Reaction:
        if self._media:
            raise LiveError(
                "sound comes over the media track here, not in messages",
                code="unsupported_event",
                param="type",
                event_id=command.event_id,
            )
        form = self.config.format
        try:
            samples = decode(command.audio, form)
        except ValueError as error:
            raise LiveError(
                f"audio: {error}", code="invalid_value", param="audio", event_id=command.event_id
            ) from None
        return Reaction() if self._muted else Reaction(acts=[Push(samples, form.hertz)])

    @property
    def muted(self) -> bool:
        """Whether the caller's sound is to be held back (on a media track, by the holder)."""
        return self._muted

    def _append(self, command: live.Append) -> Reaction:
        now = round(self.seconds * 1e3)
        call_id = self._delegated(command)
        told = live.Appended(
            type=cast("Any", command.type + "ed"),
            event_id=self._ids("evt"),
            client_event_id=command.event_id,
            start_ms=now,
            end_ms=now,
        )
        reaction = Reaction([told])
        if call_id is not None and command.type != "session.instructions.append":
            self._pending[call_id].answered = True
            reaction.acts.append(Result(call_id, command.content))
        if command.type == "session.commentary.append":
            found = _SAY.search(command.content)
            if found is None:
                sentence = 'this agent says commentary of the form "say: TEXT", and no other'
                reaction.told.append(self._info("commentary_not_said", sentence))
                return reaction
            say = Say(found.group(1).strip(), command.event_id)
            if len(self._waiting) >= MOST_WAITING:
                raise LiveError(
                    f"{MOST_WAITING} texts wait to be said already; wait until they are",
                    code="rate_limit_exceeded",
                    event_id=command.event_id,
                )
            if self._speaking or self._waiting:
                self._waiting.append(say)
            else:
                reaction.acts.append(say)
        return reaction

    def _delegated(self, command: live.Append) -> str | None:
        """The tool call that an append answers, if it names a delegation."""
        wanted = command.delegation_id
        if wanted is None:
            return None
        if self.config.delegates == "client":
            for call_id, pending in self._pending.items():
                if pending.delegation == wanted:
                    return call_id
        raise LiveError(
            f"delegation_id: there is no client delegation {wanted[:60]!r} in this session",
            code="delegation_not_found",
            param="delegation_id",
            event_id=command.event_id,
        )

    # -- the backend, as far as there is one ------------------------------------

    def _backend(self, event_id: str | None) -> None:
        if self.config.delegates != "responses":
            raise LiveError(
                "this session delegates to the client; start one with delegation.type responses",
                code="invalid_delegation_type",
                param="type",
                event_id=event_id,
            )

    def _item(self, command: live.ItemCreate) -> Reaction:
        self._backend(command.event_id)
        item = command.item
        if item.type != "function_call_output":
            info = live.Info(
                event_id=self._ids("evt"),
                client_event_id=command.event_id,
                code="item_without_effect",
                message=f"the agent reads tool results only; a {item.type[:60]} has no effect",
            )
            return Reaction([info])
        pending = self._pending.get(item.call_id or "")
        if pending is None or pending.answered:
            raise LiveError(
                f"item.call_id: no tool call {str(item.call_id)[:60]!r} waits for a result",
                code="invalid_value",
                param="item.call_id",
                event_id=command.event_id,
            )
        pending.answered = True
        output = item.output if isinstance(item.output, str) else json.dumps(item.output)
        return Reaction(acts=[Result(str(item.call_id), output)])

    def _respond(self, command: live.ResponseCreate) -> Reaction:
        self._backend(command.event_id)
        owed = [call_id for call_id, pending in self._pending.items() if not pending.answered]
        if owed:
            raise LiveError(
                f"results are still to come for {', '.join(owed[:3])}; send them first",
                code="function_call_outputs_required",
                event_id=command.event_id,
            )
        last = next(reversed(self._pending.values()), None)
        delegation = last.delegation if last else None
        response = self._ids("resp")
        nested = [
            {
                "type": "response.created",
                "response": snapshot(response, "in_progress", self._bundle),
            },
            {
                "type": "response.completed",
                "response": snapshot(response, "completed", self._bundle),
            },
        ]
        return Reaction(self._nested(delegation, nested, command.event_id))

    def _nested(
        self, delegation: str | None, nested: Sequence[Message], event_id: str | None = None
    ) -> list[Told]:
        return [
            live.ResponseEvent(
                event_id=self._ids("evt"),
                client_event_id=event_id,
                delegation_id=delegation,
                event={**event, "sequence_number": number},
            )
            for number, event in enumerate(nested)
        ]

    def _update(self, command: live.SessionUpdate) -> Reaction:
        change = command.session.delegation
        if change is not None:
            if change.type != self.config.delegates:
                raise LiveError(
                    "session.delegation.type: it is settled when a session starts",
                    code="immutable_parameter",
                    param="session.delegation.type",
                    event_id=command.event_id,
                )
            now = self.config.delegation.model_dump() if self.config.delegation else {}
            merged = _merged(now, change.model_dump(exclude_unset=True))
            self.config = self.config.model_copy(
                update={"delegation": live.Delegation.model_validate(merged)}
            )
        told = live.SessionUpdated(
            event_id=self._ids("evt"), client_event_id=command.event_id, session=self.resource()
        )
        return Reaction([told])

    def _without_effect(self) -> list[str]:
        """What was asked for and changes nothing here."""
        config = self.config
        named = {
            "instructions": config.instructions,
            "input": config.input,
            "audio.output.voice": config.audio
            and config.audio.output
            and config.audio.output.voice,
        }
        idle = [name for name, value in named.items() if value]
        responses = config.delegation.responses if config.delegation else None
        tools = (responses and responses.tools) or ()
        strange = [str(tool.get("name") or tool.get("type")) for tool in tools]
        strange = [name[:60] for name in strange if name not in self._tools]
        if strange:
            has = ", ".join(self._tools) or "none"
            idle.append(f"the tools {', '.join(strange[:5])} (the agent's own are {has})")
        return idle

    # -- from the call ----------------------------------------------------------

    def tell(self, message: CallMessage) -> Reaction:
        """Something happened in the call."""
        if self.state != "active":
            return Reaction()
        self.seconds = max(self.seconds, getattr(message, "time", 0.0))
        match message:
            case AudioEvent():
                return Reaction(self._sound(message))
            case CallerWordEvent():
                start = message.end - LETTER * len(message.text)
                self._heard_any, space = True, " " if self._heard_any else ""
                word = self._transcript("input", space + message.text, start, message.end)
                return Reaction([word])
            case AgentWordEvent():
                end = message.start + LETTER * len(message.text)
                self._said_any, space = True, " " if self._said_any else ""
                self._speaking = True
                word = self._transcript("output", space + message.text, message.start, end)
                return Reaction([word])
            case ToolCallEvent():
                return Reaction(self._call(message))
            case AgentStopped():
                return self._stopped()
            case Dtmf():
                return Reaction([self._key(message)])
            case Lost():
                sentence = (
                    f"{message.seconds:.1f} s of sound came faster than it can be heard and is lost"
                )
                return Reaction([self._info("input_audio_lost", sentence)])
            case ToneEvent() | Turn() if self.config.antiphon and self.config.antiphon.events:
                return Reaction([self._extra(message)])
            case _:
                return Reaction()

    def _sound(self, message: AudioEvent) -> list[Told]:
        told: list[Told] = []
        if self._encode is not None:
            delta = self._encode(message.samples)
            told.append(live.OutputAudio(delta=delta))
        if self.seconds - self._reported >= USAGE_EVERY:
            self._reported = self.seconds
            usage = live.Usage(seconds=round(self.seconds, 2))
            told.append(live.UsageUpdated(event_id=self._ids("evt"), usage=usage))
        return told

    def _transcript(
        self, side: Literal["input", "output"], delta: str, start: float, end: float
    ) -> Told:
        heard, said = "session.input_transcript.delta", "session.output_transcript.delta"
        return live.Transcript(
            type=heard if side == "input" else said,
            event_id=self._ids("evt"),
            delta=delta,
            start_ms=max(0, round(start * 1e3)),
            end_ms=max(0, round(end * 1e3)),
        )

    def _stopped(self) -> Reaction:
        self._speaking = False
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return Reaction()
        first, *_ = waiting
        return Reaction(acts=[Say(" ".join(say.text for say in waiting), first.event_id)])

    def _key(self, message: Dtmf) -> Told:
        return live.DtmfReceived(event_id=self._ids("evt"), event=message.digit)

    def _info(self, code: str, sentence: str) -> Told:
        return live.Info(event_id=self._ids("evt"), code=code, message=sentence)

    def _extra(self, message: ToneEvent | Turn) -> Told:
        if isinstance(message, Turn):
            turn = message.model_dump(mode="json")
            return live.TurnTold(event_id=self._ids("evt"), turn=turn)
        return live.ToneTold(
            event_id=self._ids("evt"),
            tone=message.tone,
            probability=round(message.probability, 3),
            at_ms=round(message.time * 1e3),
        )

    def _call(self, call: ToolCallEvent) -> list[Told]:
        delegation, response = self._ids("del"), self._ids("resp")
        self._pending[call.id] = _Pending(delegation)
        if len(self._pending) > MOST_CALLS:
            del self._pending[next(iter(self._pending))]
        arguments = json.dumps(call.arguments)
        theirs = self.config.delegates == "client"
        told: list[Told] = [
            live.DelegationCreated(
                event_id=self._ids("evt"),
                offset_ms=round(call.time * 1e3),
                delegation=live.Delegated(
                    id=delegation,
                    target=self.config.delegates,
                    response_id=None if theirs else response,
                    call=live.ToolCallDelegated(
                        call_id=call.id, name=call.name, arguments=arguments
                    ),
                ),
            )
        ]
        if not theirs:
            told += self._nested(
                delegation, function_call(response, self._ids("fc"), self._bundle, call)
            )
        if self._order is not None and self.config.antiphon and self.config.antiphon.events:
            self._made = [*self._made, call][-MOST_CALLS:]
            order, items = self._order(self._made)
            told.append(live.OrderTold(event_id=self._ids("evt"), order=order, items=items))
        return told


def _merged(old: Message, new: Message) -> Message:
    """`new` over `old`; objects are merged, all else is replaced."""
    merged = dict(old)
    for name, value in new.items():
        below = merged.get(name)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[name] = _merged(cast("Message", below), cast("Message", value))
        else:
            merged[name] = value
    return merged


def _reason(reason: str) -> tuple[Reason, str]:
    """A call's reason in the protocol's words, and a sentence where they do not say enough."""
    if reason in ("close_requested", "expired", "content", "remote_hangup", "connection_lost"):
        return reason, ""
    if reason == "client":
        return "close_requested", ""
    if reason == EXPIRED:
        return "expired", ""
    if reason == GOING_DOWN:
        return "connection_lost", "the server is going down; call again in a moment"
    return "connection_lost", reason
