"""The caller's side of a session: when they spoke, which item that is, and what they said.

In: the network's own hearing, beat by beat (voice activity, words), and what the client commits.
Out: speech_started and stopped, committed items, transcripts. Times that are sent are milliseconds
of the sound that the client has appended, so the fill of the clock does not count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from antiphon.runtime.session import SECONDS
from antiphon.serving.realtime.configuration import SemanticVad, ServerVad
from antiphon.serving.realtime.conversation import Conversation, Item
from antiphon.serving.realtime.events import Message
from antiphon.serving.realtime.response import Send
from antiphon.serving.turns import LULL, VoiceActivity

SETTLE = 0.64  # s after the end of speech in which words of it may still come
NEAR = 0.3  # s by which a word's end may lie behind the end of its item


@dataclass
class _Spell:
    """A stretch of the caller's speech that is, or will be, an item."""

    id: str
    start: float
    end: float | None = None
    committed: bool = False
    words: list[str] = field(default_factory=list[str])
    told: int = 0
    """How many of its words were sent."""
    wanted: bool = True
    """Whether its transcript is sent."""


class Hearing:
    """What a session knows of its caller."""

    def __init__(self, send: Send, conversation: Conversation, new_id: Any) -> None:
        self._send, self._conversation, self._new_id = send, conversation, new_id
        self._detection: ServerVad | SemanticVad | None = None
        self._activity = VoiceActivity()
        self._now = self._filled = 0.0
        self._open: _Spell | None = None  # announced and going on
        self._waiting: list[_Spell] = []  # committed, their words may still come
        self._over_agent = 0  # frames in which the caller spoke while the agent did
        self._spelt_at = -1.0
        self._since = 0.0  # where the sound begins that was not committed
        self.transcribes = True

    @property
    def detection(self) -> ServerVad | SemanticVad | None:
        """How turns are found."""
        return self._detection

    def configure(self, detection: ServerVad | SemanticVad | None, *, transcribes: bool) -> None:
        """Take a session's wishes, from the next beat on."""
        if detection is None and self.announced:
            self.stop()
        elif detection is not None and not self.announced:
            self._open = None  # words kept for a commit that the client no longer makes
        self._detection, self.transcribes = detection, transcribes
        if detection is not None:
            self._activity.threshold = detection.threshold
            self._activity.silence = max(SECONDS, detection.silence)

    @property
    def speaking(self) -> bool:
        """Whether the caller was heard to speak in the last frames."""
        return self._activity.speaking and self._now - self._activity.last < 2 * SECONDS

    @property
    def announced(self) -> bool:
        """Whether the client was told that the caller speaks."""
        return self._open is not None and self._detection is not None

    @property
    def over_agent(self) -> float:
        """Seconds for which the caller has spoken over the agent, without a longer pause."""
        return self._over_agent * SECONDS

    def beat(
        self, now: float, vad: float, filled: float, *, agent_speaks: bool, spelling: bool = False
    ) -> None:
        """A frame was heard: `now` and `filled` (how much of it was fill) in seconds.

        spelling: a piece of a caller's word came in it.
        """
        self._now, self._filled = now, self._filled + filled
        if spelling:
            self._spelt_at = now
        edge = self._activity.push(now, vad)
        if not agent_speaks:
            self._over_agent = 0
        elif vad >= self._activity.threshold:
            self._over_agent += 1
        elif now - self._activity.last > 3 * SECONDS:
            self._over_agent = 0
        if self._detection is not None:
            if edge == "stopped" and self._open is not None:
                self.stop()
            elif self.speaking and self._open is None and not agent_speaks:
                self.start()
        self._settle()

    def start(self) -> None:
        """Tell that the caller speaks."""
        if self._open is None:
            start = max(self._activity.started, self._since)
            self._open = _Spell(self._new_id(), start, wanted=self.transcribes)
            detection = self._detection
            lead = detection.prefix_padding_ms if isinstance(detection, ServerVad) else 0
            at = max(0, self._ms(start) - lead)
            self._send(
                "input_audio_buffer.speech_started", audio_start_ms=at, item_id=self._open.id
            )

    def stop(self) -> None:
        """Tell that the caller's turn is over, and commit it."""
        spell, self._open = self._open, None
        if spell is not None:
            spell.end = self._activity.last
            self._activity.stop()
            self._send(
                "input_audio_buffer.speech_stopped",
                audio_end_ms=self._ms(max(spell.end, spell.start)),
                item_id=spell.id,
            )
            self._commit(spell)

    def commit(self, until: float) -> str:
        """The client commits what it has appended, which is heard by `until` (call's seconds)."""
        spell, self._open = self._open, None
        if spell is None:
            spell = _Spell(self._new_id(), self._since, wanted=self.transcribes)
        self._activity.stop()
        spell.end = until
        self._commit(spell)
        return spell.id

    def word(self, text: str, end: float) -> None:
        """A word of the caller's, whose sound was over at `end` (call's seconds)."""
        for spell in (*self._waiting, *([self._open] if self._open else [])):
            if spell.end is None or end <= spell.end + NEAR:
                break
        else:
            if self._detection is None:
                # Not committed yet: kept for the item to come.
                spell = self._open = _Spell(self._new_id(), self._since, wanted=self.transcribes)
            else:
                # Said beside the agent's voice, or too softly to count as speech.
                spell = _Spell(self._new_id(), end, end, wanted=self.transcribes)
                self._commit(spell, quietly=True)
        spell.words.append(text)
        self._tell_words(spell)
        if spell.end is not None and spell in self._waiting:
            spell.end = max(spell.end, end)

    def clear(self) -> None:
        """What was not committed is forgotten."""
        self._open = None
        self._activity.stop()
        self._since = self._now

    def finish(self) -> None:
        """The call is over."""
        if self.announced:
            self.stop()
        for spell in self._waiting:
            self._complete(spell)
        self._waiting.clear()

    # -- the parts ----------------------------------------------------------------

    def _ms(self, at: float) -> int:
        return max(0, round((at - self._filled) * 1e3))

    def _commit(self, spell: _Spell, *, quietly: bool = False) -> None:
        spell.committed = True
        self._since = max(self._since, spell.end or self._now)
        content: Message = {"type": "input_audio", "transcript": None}
        item = Item(spell.id, {"type": "message", "role": "user", "content": [content]})
        before = self._conversation.last
        previous = before.id if before else None
        if not quietly:
            self._send("input_audio_buffer.committed", previous_item_id=previous, item_id=spell.id)
        self._conversation.add(item)
        self._send("conversation.item.added", previous_item_id=previous, item=item.as_json())
        self._send("conversation.item.done", previous_item_id=previous, item=item.as_json())
        self._waiting.append(spell)
        self._tell_words(spell)

    def _tell_words(self, spell: _Spell) -> None:
        if not spell.wanted or not (spell.committed or self.announced):
            return  # the client does not know this item yet
        for word in spell.words[spell.told :]:
            self._send(
                "conversation.item.input_audio_transcription.delta",
                item_id=spell.id,
                content_index=0,
                delta=f" {word}" if spell.told else word,
            )
            spell.told += 1

    def _settle(self) -> None:
        """Complete the transcripts whose words have all had their time."""
        if self._now - self._spelt_at < LULL:
            return
        while self._waiting and self._now - (self._waiting[0].end or 0.0) >= SETTLE:
            self._complete(self._waiting.pop(0))

    def _complete(self, spell: _Spell) -> None:
        text = " ".join(spell.words)
        if spell.id in self._conversation:
            self._conversation.get(spell.id).fields["content"][0]["transcript"] = text
        if spell.wanted:
            seconds = round(max(0.0, (spell.end or spell.start) - spell.start), 2)
            self._send(
                "conversation.item.input_audio_transcription.completed",
                item_id=spell.id,
                content_index=0,
                transcript=text,
                usage={"type": "duration", "seconds": seconds},
            )
