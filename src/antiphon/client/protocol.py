"""OpenAI's Realtime protocol (GA) from the client's side: no socket, no clock, messages in and out.

What the server sends becomes events; what a caller wants becomes messages. A response is asked for
only while none is in progress, because two at a time are an error; what is asked for meanwhile
waits. Event names are those of the API's reference.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, cast

from antiphon.audio.quick_resample import QuickResampler
from antiphon.client import messages
from antiphon.client.errors import ProtocolError
from antiphon.client.events import (
    AgentWords,
    Audio,
    CallerWords,
    Event,
    Extra,
    Problem,
    Samples,
    ToolCall,
    Turn,
)
from antiphon.client.messages import Message
from antiphon.client.sound import RATE, decode, encode

LISTENER = "gpt-4o-mini-transcribe"  # who writes down the caller; servers of others take it for yes
EXTRAS = "antiphon"
"""In a session's `include`: the server's own events are wanted too."""
_OURS = "antiphon."
_BUSY = "conversation_already_has_active_response"
_NOTHING_TO_CANCEL = "response_cancel_not_active"


class Dialect:
    """One call's state. `rate` (Hz) is that of the samples on the caller's side of it."""

    def __init__(self, rate: int) -> None:
        """Raises AudioError for rates that have no short common multiple with the wire's."""
        self.rate = rate
        self.session: Message | None = None
        """The session as the server shows it; None before it has."""
        self.settled = False
        """Whether the server has taken the session that was asked for."""
        self.refused: str | None = None
        """Why it has not."""
        self._up = QuickResampler(rate, RATE)
        self._down = QuickResampler(RATE, rate)
        self._ids = count(1)
        self._responding = False
        self._wanted: deque[Message] = deque()  # responses that are still to be asked for
        self._asked: Message | None = None  # the one that was, and has not begun
        self._sound_of = ""  # the item whose sound came last
        self._turn: str | None = None  # the agent's item that is being said

    # -- what is sent -------------------------------------------------------------

    def hello(
        self,
        *,
        instructions: str | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        extras: bool = False,
        session: Mapping[str, Any] | None = None,
    ) -> Message:
        """What sets the session up: sound in both directions, and what is given."""
        form = {"type": "audio/pcm", "rate": RATE}
        wanted: Message = {
            "type": "realtime",
            "output_modalities": ["audio"],
            "audio": {
                "input": {"format": form, "transcription": {"model": LISTENER}},
                "output": {"format": form},
            },
        }
        if instructions is not None:
            wanted["instructions"] = instructions
        if tools is not None:
            wanted["tools"] = [{"type": "function", **tool} for tool in tools]
        if extras:
            wanted["include"] = [EXTRAS]
        return self.update(_merged(wanted, session or {}))

    def update(self, session: Mapping[str, Any]) -> Message:
        """What changes the session: fields that are not named stay."""
        self.settled, self.refused = False, None
        return self._message("session.update", session={"type": "realtime", **session})

    def append(self, samples: Samples) -> str:
        """The caller's next sound, float32 [N] at `rate`, as text; "" where none is due yet."""
        sound = self._up(samples)
        if not len(sound):
            return ""
        return f'{{"type":"input_audio_buffer.append","audio":"{encode(sound)}"}}'

    def say(self, text: str) -> list[Message]:
        """The agent is to say `text` when it has said what it is saying."""
        self._wanted.append(
            self._message("response.create", response={"instructions": f"say: {text}"})
        )
        return self._due()

    def tool_result(self, id: str, output: str, *, respond: bool = True) -> list[Message]:
        """What a tool gave; `respond`: and the agent may go on."""
        item = {"type": "function_call_output", "call_id": id, "output": output}
        sends = [self._message("conversation.item.create", item=item)]
        if respond and not any("response" not in message for message in self._wanted):
            self._wanted.append(self._message("response.create"))
        return sends + self._due()

    def interrupt(self) -> Message:
        """The agent is to stop."""
        self._wanted.clear()
        return self._message("response.cancel")

    def truncate(self, item: str, seconds: float) -> Message:
        """Only so much of an item was heard."""
        return self._message(
            "conversation.item.truncate",
            item_id=item,
            content_index=0,
            audio_end_ms=max(0, round(seconds * 1e3)),
        )

    def _message(self, type: str, **fields: Any) -> Message:
        return {"type": type, "event_id": f"{type}#{next(self._ids)}", **fields}

    def _due(self) -> list[Message]:
        """The next response, if it can be asked for now."""
        if not self._wanted or self._responding or self._asked is not None:
            return []
        self._asked = self._wanted.popleft()
        return [self._asked]

    # -- what is received -----------------------------------------------------------

    def receive(self, text: str | bytes, now: float) -> tuple[list[Event], list[Message]]:
        """A message of the server's, which came at `now`: what it tells, and what it makes be sent.

        Raises ProtocolError for what the protocol does not have.
        """
        message = messages.parsed(text)
        name = cast("str", message["type"])
        if name.startswith(_OURS):
            fields = {k: v for k, v in message.items() if k not in ("type", "event_id")}
            return [Extra(time=now, name=name.removeprefix(_OURS), fields=fields)], []
        known = messages.known(message)
        if known is None:
            return [], []
        return self._react(known, now), self._due()

    def _react(self, message: messages.Known, now: float) -> list[Event]:
        match message:
            case messages.Sound():
                sound = self._down_for(message.item_id)(_samples(message))
                audio = Audio(time=now, samples=sound, item=message.item_id)
                return [*self._begins(message.item_id, now), audio]
            case messages.Said():
                words = AgentWords(time=now, text=message.delta, item=message.item_id)
                return [*self._begins(message.item_id, now), words]
            case messages.SaidAll():
                text = message.transcript if message.transcript is not None else message.text
                return [AgentWords(time=now, text=text or "", item=message.item_id, final=True)]
            case messages.Heard():
                return [CallerWords(time=now, text=message.delta, item=message.item_id)]
            case messages.HeardAll():
                words = message.transcript
                return [CallerWords(time=now, text=words, item=message.item_id, final=True)]
            case messages.NotHeard():
                return [_problem(message.error, now)]
            case messages.Speech():
                return [_caller_turn(message, now)]
            case messages.ItemDone():
                return _call(message.item, now)
            case messages.Session():
                self.session = message.session
                self.settled = self.settled or message.type == "session.updated"
                return []
            case messages.Responded():
                return self._responded(message, now)
            case messages.Error():
                return self._error(message.error, now)

    def _down_for(self, item: str) -> QuickResampler:
        if item != self._sound_of:
            self._sound_of, self._down = item, QuickResampler(RATE, self.rate)
        return self._down

    def _begins(self, item: str, now: float) -> list[Event]:
        if item == self._turn:
            return []
        ended = self._ends(now)
        self._turn = item
        return [*ended, Turn(time=now, speaker="agent", state="started", item=item)]

    def _ends(self, now: float, *, interrupted: bool = False) -> list[Event]:
        item, self._turn = self._turn, None
        if item is None:
            return []
        turn = Turn(time=now, speaker="agent", state="ended", item=item, interrupted=interrupted)
        return [turn]

    def _responded(self, message: messages.Responded, now: float) -> list[Event]:
        self._responding = message.type == "response.created"
        if self._responding:
            return []
        self._asked = None
        response = message.response
        cut = response.status in ("cancelled", "incomplete")
        events = self._ends(now, interrupted=cut)
        if response.status == "failed":
            details = response.status_details or messages.Details()
            events.append(_problem(details.error or messages.Trouble(message=details.reason), now))
        return events

    def _error(self, trouble: messages.Trouble, now: float) -> list[Event]:
        asked, about = self._asked, trouble.event_id or ""
        mine = asked is not None and (about == asked["event_id"] or not about)
        if asked is not None and mine and trouble.code == _BUSY:
            # The server began a response of its own: the one that was asked for comes after it.
            self._wanted.appendleft(asked)
            self._asked, self._responding = None, True
            return []
        if asked is not None and about == asked["event_id"]:
            self._asked = None
        if about.startswith("conversation.item.truncate#") or trouble.code == _NOTHING_TO_CANCEL:
            return []  # it was over before: a race that no client can win
        if not self.settled and (about.startswith("session.update#") or not about):
            self.refused = str(trouble)
        return [_problem(trouble, now)]


def _samples(message: messages.Sound) -> Samples:
    try:
        return decode(message.delta)
    except ValueError as error:
        raise ProtocolError(f"sent {message.type} with {error}") from None


def _problem(trouble: messages.Trouble, now: float) -> Problem:
    return Problem(time=now, message=str(trouble), code=trouble.code, param=trouble.param)


def _caller_turn(message: messages.Speech, now: float) -> Turn:
    started = message.type.endswith("started")
    at = message.audio_start_ms if started else message.audio_end_ms
    return Turn(
        time=now,
        speaker="caller",
        state="started" if started else "ended",
        item=message.item_id,
        at=None if at is None else at / 1e3,
    )


def _call(item: messages.Item, now: float) -> list[Event]:
    """A finished tool call. One that was cut off is none; one that cannot be read is a problem."""
    if item.type != "function_call" or item.status == "incomplete":
        return []
    try:
        arguments: Any = json.loads(item.arguments or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        message = (
            f"the arguments of a call of {item.name} are no JSON object: {item.arguments[:60]}"
        )
        return [Problem(time=now, message=message, code="invalid_arguments")]
    made = cast("Message", arguments)
    return [ToolCall(time=now, id=item.call_id, name=item.name, arguments=made)]


def _merged(base: Message, over: Mapping[str, Any]) -> Message:
    """`over` laid over `base`, objects deeply."""
    out = dict(base)
    for key, value in over.items():
        old = out.get(key)
        if isinstance(old, dict) and isinstance(value, Mapping):
            value = _merged(cast("Message", old), cast("Mapping[str, Any]", value))
        out[key] = value
    return out
