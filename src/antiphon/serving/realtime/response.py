"""One response: the agent's spell of speech and its calls, as the events that tell of them.

In: sound, words and calls, in order. Out: events, each exactly once and in the order that clients
know: created, items, parts, deltas, done. It sends nothing itself and knows no clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal

from antiphon.audio import SAMPLE_RATE
from antiphon.runtime.events import Samples
from antiphon.serving.realtime.audio import Encoder
from antiphon.serving.realtime.conversation import Conversation, Item
from antiphon.serving.realtime.events import Message

Send = Callable[..., None]
"""send(type, **fields): one event to the client."""
Outcome = Literal["completed", "cancelled", "failed", "incomplete"]


class Response:
    """A response in progress. After `finish` it takes nothing more."""

    def __init__(
        self,
        id: str,
        send: Send,
        conversation: Conversation,
        new_id: Callable[[], str],
        encoder: Encoder,
        *,
        modality: Literal["audio", "text"] = "audio",
        voice: Any = None,
        metadata: Message | None = None,
        in_band: bool = True,
        sound: bool = True,
        max_output_tokens: int | str = "inf",
    ) -> None:
        """`in_band`: its items enter the conversation. `sound`: its audio is sent as events."""
        self.id, self.metadata = id, metadata
        self.done = False
        self.spoke = False
        """Whether the agent has begun to speak in it."""
        self.message: Item | None = None
        """The agent's message, once it speaks."""
        self._send, self._conversation, self._new_id = send, conversation, new_id
        self._encoder, self._modality, self._voice = encoder, modality, voice
        self._in_band, self._sound = in_band, sound
        self._most = max_output_tokens
        self._status: str = "in_progress"
        self._details: Message | None = None
        self._output: list[Item] = []
        self._began = 0.0  # seconds of the call at which its sound begins
        self._frames = 0
        send("response.created", response=self.as_json())

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it yet."""
        return not self._output

    def speak(self) -> None:
        """The agent begins: its message and its first part."""
        self.spoke = True
        if self.message is not None:
            return
        item = Item(
            self._new_id(), {"type": "message", "role": "assistant", "content": []}, "in_progress"
        )
        self.message = item
        self._add(item)
        part = self._part("")
        item.fields["content"].append(part)
        # The event's part is called "audio" or "text", the item's "output_audio", "output_text".
        self._tell("response.content_part.added", item, part=self._event_part(""))

    def sound(self, samples: Samples, at: float) -> None:
        """The agent's next sound, float32 [N] at 16 kHz, which plays from `at` (call's seconds)."""
        if self.message is None:
            self.speak()
        item = self.message
        assert item is not None
        if item.seconds == 0.0:
            self._began = at
        item.seconds += len(samples) / SAMPLE_RATE
        self._frames += 1
        if self._modality == "audio" and self._sound:
            self._tell("response.output_audio.delta", item, delta=self._encoder(samples))

    def word(self, text: str, start: float) -> None:
        """A word of the agent's, which sounds from `start` (seconds of the call)."""
        if self.message is None:
            self.speak()
        item = self.message
        assert item is not None
        delta = f" {text}" if item.words else text
        began = self._began if item.seconds else start
        item.words.append((text, max(0.0, start - began)))
        self._tell(f"{self._text_event}.delta", item, delta=delta)

    def call(self, call_id: str, name: str, arguments: Message) -> None:
        """A whole tool call."""
        text = json.dumps(arguments)
        fields = {"type": "function_call", "name": name, "call_id": call_id, "arguments": ""}
        item = Item(self._new_id(), fields, "in_progress")
        self._add(item)
        self._tell_call("delta", item, delta=text)
        item.fields["arguments"] = text
        self._tell_call("done", item, arguments=text, name=name)
        self._end(item, "completed")

    def finish(
        self, status: Outcome, reason: str | None = None, error: Message | None = None
    ) -> None:
        """It is over: what is open is closed, then it is done."""
        if self.done:
            return
        self.done = True
        item = self.message
        if item is not None:
            transcript = " ".join(word for word, _ in item.words)
            if self._modality == "audio":
                item.fields["content"][0]["transcript"] = transcript
                if self._sound:
                    self._tell("response.output_audio.done", item)
                self._tell(f"{self._text_event}.done", item, transcript=transcript)
            else:
                item.fields["content"][0]["text"] = transcript
                self._tell(f"{self._text_event}.done", item, text=transcript)
            self._tell("response.content_part.done", item, part=self._event_part(transcript))
            self._end(item, "completed" if status == "completed" else "incomplete")
        self._status = status
        if status != "completed":
            self._details = {"type": status}
            if reason is not None:
                self._details["reason"] = reason
            if error is not None:
                self._details["error"] = error
        self._send("response.done", response=self.as_json())

    def as_json(self) -> Message:
        """The response as events show it."""
        return {
            "id": self.id,
            "object": "realtime.response",
            "status": self._status,
            "status_details": self._details,
            "output": [item.as_json() for item in self._output],
            "conversation_id": self._conversation.id if self._in_band else None,
            "output_modalities": [self._modality],
            "max_output_tokens": self._most,
            "audio": {
                "output": {"format": self._encoder.format.as_json(), "voice": self._voice},
            },
            "usage": self._usage() if self.done else None,
            "metadata": self.metadata,
        }

    # -- the parts ----------------------------------------------------------------

    @property
    def _text_event(self) -> str:
        audio = self._modality == "audio"
        return "response.output_audio_transcript" if audio else "response.output_text"

    def _part(self, text: str) -> Message:
        if self._modality == "audio":
            return {"type": "output_audio", "transcript": text}
        return {"type": "output_text", "text": text}

    def _event_part(self, text: str) -> Message:
        if self._modality == "audio":
            return {"type": "audio", "transcript": text}
        return {"type": "text", "text": text}

    def _add(self, item: Item) -> None:
        self._output.append(item)
        self._send(
            "response.output_item.added",
            response_id=self.id,
            output_index=len(self._output) - 1,
            item=item.as_json(),
        )
        if self._in_band:
            before = self._conversation.add(item)
            self._send("conversation.item.added", previous_item_id=before, item=item.as_json())

    def _end(self, item: Item, status: Literal["completed", "incomplete"]) -> None:
        item.status = status
        self._send(
            "response.output_item.done",
            response_id=self.id,
            output_index=self._output.index(item),
            item=item.as_json(),
        )
        if self._in_band:
            before = self._conversation.before(item.id)
            self._send("conversation.item.done", previous_item_id=before, item=item.as_json())

    def _tell(self, type: str, item: Item, **fields: Any) -> None:
        self._send(
            type,
            response_id=self.id,
            item_id=item.id,
            output_index=self._output.index(item),
            content_index=0,
            **fields,
        )

    def _tell_call(self, what: str, item: Item, **fields: Any) -> None:
        self._send(
            f"response.function_call_arguments.{what}",
            response_id=self.id,
            item_id=item.id,
            output_index=self._output.index(item),
            call_id=item.fields["call_id"],
            **fields,
        )

    def _usage(self) -> Message:
        """Tokens as this network counts: a frame of sound is one, a word is one."""
        words = len(self.message.words) if self.message else 0
        heard = self._frames  # it hears as long as it speaks
        return {
            "total_tokens": heard + self._frames + words,
            "input_tokens": heard,
            "output_tokens": self._frames + words,
            "input_token_details": {
                "text_tokens": 0,
                "audio_tokens": heard,
                "image_tokens": 0,
                "cached_tokens": 0,
                "cached_tokens_details": {
                    "text_tokens": 0,
                    "audio_tokens": 0,
                    "image_tokens": 0,
                },
            },
            "output_token_details": {"text_tokens": words, "audio_tokens": self._frames},
        }
