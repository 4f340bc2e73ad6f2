"""OpenAI's Live protocol, where the model owns the turns: no socket, messages in and out.

All that comes is played; nothing is cancelled or truncated. Transcripts have times on the
session's clock, which goes on with the caller's audio and so is the trial's. Tools are used by a
response that the session runs beside the voice: its calls are read, and its results given.
"""

from __future__ import annotations

from collections.abc import Sequence

from antiphon.corpus.calls import Tool
from antiphon.errors import AntiphonError
from antiphon.evaluation.protocol import Told
from antiphon.evaluation.systems import realtime_events as events
from antiphon.evaluation.systems.realtime_events import DONE, REFUSED, Message, encode
from antiphon.evaluation.systems.realtime_playback import Playback, Words
from antiphon.runtime.events import CallerWordEvent, Samples

RATE = 24_000  # Hz
MODEL = "gpt-live-1"  # where the address names none: the session must
_STILL = 0.3  # s without a fragment after which a word is over: nothing says so
_VOICE = "voice"
_ENDS = ("response.completed", "response.incomplete", "response.failed")


class LiveDialect:
    """One call's state."""

    rate = RATE

    def __init__(self, instructions: str, tools: Sequence[Tool], model: str) -> None:
        self.playback = Playback(RATE, still=_STILL)
        self.ready = False
        """Whether the session has started; an error before that ends the call."""
        self._instructions, self._tools = instructions, tools
        self._model = model or MODEL
        self._heard, self._touched = Words(last=True), 0.0
        self._responding = False
        self._owed = False

    def hello(self) -> Message:
        """What opens the session."""
        session: Message = {
            "model": self._model,
            "instructions": self._instructions,
            "audio": {"format": {"type": "audio/pcm", "rate": RATE}},
        }
        if self._tools:
            session["delegation"] = {
                "type": "responses",
                "responses": {
                    "model": self._model,
                    "instructions": self._instructions,
                    "tools": [{"type": "function", **tool.model_dump()} for tool in self._tools],
                    "tool_choice": "auto",
                },
            }
        return {"type": "session.start", "session": session}

    def append(self, samples: Samples) -> Message:
        """The caller's next sound, float32 [N] at `rate`."""
        return {"type": "session.input_audio.append", "audio": encode(samples)}

    def goodbye(self) -> Message | None:
        """What closes the session."""
        return {"type": "session.close"}

    def receive(self, text: str | bytes) -> tuple[list[Message], list[Told]]:
        """What a message of the server's makes the client send, and tell. Raises AntiphonError."""
        sends, told = self._react(text)
        if self._owed and not self._responding:
            self._owed = False
            sends.append({"type": "response.create"})
        if self.playback.now - self._touched > _STILL:
            told += self._caller_said(self._heard.flush())
        return sends, told

    def _react(self, text: str | bytes) -> tuple[list[Message], list[Told]]:
        match event := events.parse(text, events.LIVE):
            case events.Started():
                self.ready = True
            case events.OutputAudio():
                self.playback.add(_VOICE, event.delta)
            case events.OutputTranscript():
                self.playback.write(_VOICE, event.delta, event.start_ms / 1e3)
            case events.InputTranscript():
                self._touched = self.playback.now
                return [], self._caller_said(self._heard.feed(event.delta, event.end_ms / 1e3))
            case events.ResponseEvent():
                return self._nested(event.event)
            case events.Closed():
                raise AntiphonError(f"ended the session: {event.reason}")
            case events.ErrorEvent():
                raise AntiphonError(f"reports an error: {event.error}")
            case _:
                pass
        return [], []

    def _caller_said(self, words: list[tuple[str, float]]) -> list[Told]:
        now = self.playback.now
        return [CallerWordEvent(time=now, text=text, end=end) for text, end in words]

    def _nested(self, event: events.Nested) -> tuple[list[Message], list[Told]]:
        """An event of the response beside the voice."""
        if event.type == "response.created":
            self._responding = True
        elif event.type in _ENDS:
            self._responding = False
        elif event.type == "response.output_item.done" and event.item is not None:
            return self._call(event.item) if event.item.type == "function_call" else ([], [])
        return [], []

    def _call(self, item: events.Item) -> tuple[list[Message], list[Told]]:
        call = events.call_event(item.name, item.arguments, self.playback.now)
        output = DONE if events.is_readable(call) else REFUSED
        result = {"type": "function_call_output", "call_id": item.call_id, "output": output}
        self._owed = True
        return [{"type": "response.item.create", "item": result}], [call]
