"""OpenAI's Realtime protocol (GA), as a stock client speaks it: no socket, messages in and out.

The server finds the caller's turns, by its own default. When it says that the caller has begun,
or that a response was cancelled, what was not yet played is dropped and the item is truncated to
what was. A tool's result goes back at once; the next response is asked for when the one that
made the call is over, because two at a time are an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from antiphon.corpus.calls import Tool
from antiphon.errors import AntiphonError
from antiphon.evaluation.protocol import Told
from antiphon.evaluation.systems import realtime_events as events
from antiphon.evaluation.systems.realtime_events import DONE, REFUSED, Message, encode
from antiphon.evaluation.systems.realtime_playback import Playback
from antiphon.runtime.events import CallerWordEvent, Samples

RATE = 24_000  # Hz, the only one that the protocol has for PCM
LISTENER = "gpt-4o-mini-transcribe"  # the caller's words; other servers take it for "yes"


class RealtimeDialect:
    """One call's state."""

    rate = RATE

    def __init__(self, instructions: str, tools: Sequence[Tool], model: str) -> None:
        self.playback = Playback(RATE)
        self.ready = False
        """Whether the session is as it was asked for; an error before that ends the call."""
        self._instructions, self._tools = instructions, tools
        self._ids = count(1)
        self._truncations: set[str] = set()
        self._dropped: set[str] = set()  # items whose sound is no longer wanted
        self._turns: dict[str, list[float]] = {}  # item: start and end of the caller's speech, s
        self._responding = False
        self._owed = False  # a response, to the results of tools
        self._torn: list[events.CallDone] = []  # unreadable, perhaps because it was cut off

    def hello(self) -> Message:
        """What opens the session."""
        audio = {"type": "audio/pcm", "rate": RATE}
        session: Message = {
            "type": "realtime",
            "instructions": self._instructions,
            "output_modalities": ["audio"],
            "audio": {
                "input": {"format": audio, "transcription": {"model": LISTENER}},
                "output": {"format": audio},
            },
            "tools": [{"type": "function", **tool.model_dump()} for tool in self._tools],
            "tool_choice": "auto",
        }
        return {"type": "session.update", "session": session}

    def append(self, samples: Samples) -> Message:
        """The caller's next sound, float32 [N] at `rate`."""
        return {"type": "input_audio_buffer.append", "audio": encode(samples)}

    def goodbye(self) -> Message | None:
        """What closes the session: nothing but the socket."""
        return None

    def receive(self, text: str | bytes) -> tuple[list[Message], list[Told]]:
        """What a message of the server's makes the client send, and tell. Raises AntiphonError."""
        sends, told = self._react(text)
        if self._owed and not self._responding:
            self._owed = False
            sends.append({"type": "response.create", "event_id": f"create_{next(self._ids)}"})
        return sends, told

    def _react(self, text: str | bytes) -> tuple[list[Message], list[Told]]:
        match event := events.parse(text, events.REALTIME):
            case events.Updated():
                self.ready = True
            case events.AudioDelta() if event.item_id not in self._dropped:
                self.playback.add(event.item_id, event.delta)
            case events.TranscriptDelta() if event.item_id not in self._dropped:
                self.playback.write(event.item_id, event.delta)
            case events.TranscriptDone():
                self.playback.end_words()
            case events.SpeechStarted():
                self._turns[event.item_id] = [event.audio_start_ms / 1e3]
                return self._interrupt(), []
            case events.SpeechStopped():
                self._turns.setdefault(event.item_id, []).append(event.audio_end_ms / 1e3)
            case events.Transcribed():
                return [], self._caller_said(event)
            case events.CallDone():
                return self._call(event)
            case events.ResponseCreated():
                self._responding = True
            case events.ResponseDone():
                return self._response_done(event.response)
            case events.ErrorEvent():
                self._error(event.error)
            case _:
                pass
        return [], []

    def _interrupt(self) -> list[Message]:
        sends: list[Message] = []
        for item, played in self.playback.drop():
            self._dropped.add(item)
            event_id = f"truncate_{next(self._ids)}"
            self._truncations.add(event_id)
            sends.append(
                {
                    "type": "conversation.item.truncate",
                    "event_id": event_id,
                    "item_id": item,
                    "content_index": 0,
                    "audio_end_ms": played,
                }
            )
        return sends

    def _caller_said(self, event: events.Transcribed) -> list[Told]:
        """A turn's words, spread evenly over where the server heard it; else all of them now."""
        now = self.playback.now
        words = [word for word in event.transcript.split() if any(map(str.isalnum, word))]
        span = self._turns.get(event.item_id, [])
        start, end = (span[0], span[1]) if len(span) == 2 else (now, now)
        step = (end - start) / max(1, len(words))
        return [
            CallerWordEvent(time=now, text=word, end=start + step * (index + 1))
            for index, word in enumerate(words)
        ]

    def _call(self, event: events.CallDone) -> tuple[list[Message], list[Told]]:
        call = events.call_event(event.name, event.arguments, self.playback.now)
        if not events.is_readable(call) and self._responding:
            self._torn.append(event)
            return [], []
        output = DONE if events.is_readable(call) else REFUSED
        item = {"type": "function_call_output", "call_id": event.call_id, "output": output}
        self._owed = True
        return [{"type": "conversation.item.create", "item": item}], [call]

    def _response_done(self, response: events.Response) -> tuple[list[Message], list[Told]]:
        self._responding = False
        self.playback.end_words()
        torn, self._torn = self._torn, []
        if response.status == "failed":
            problem = response.status_details.error if response.status_details else None
            raise AntiphonError(f"could not respond: {problem or 'no reason given'}")
        if response.status == "cancelled":
            return self._interrupt(), []
        sends: list[Message] = []
        told: list[Told] = []
        for event in torn if response.status != "incomplete" else ():
            answer, call = self._call(event)
            sends += answer
            told += call
        return sends, told

    def _error(self, problem: events.Problem) -> None:
        """Raise, but for the two races that no client can win."""
        # The item was over, or shorter than what was played of it, when it was truncated.
        if problem.event_id in self._truncations:
            return
        # The server began a response of its own: the owed one comes after it.
        if problem.code == "conversation_already_has_active_response":
            self._owed = self._responding = True
            return
        raise AntiphonError(f"reports an error: {problem}")
