"""Who speaks: the beats of a call become the agent's spells of speech and finished turns.

In: the events of each beat, as the clock tells them. Out: when the agent began and ended to speak,
and turns of both sides with words, calls and the gap between them. Pure: no clock, no sockets.
All times are seconds of the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from antiphon.audio import SAMPLE_RATE
from antiphon.runtime.clock import ClockEvent, HeardEvent
from antiphon.runtime.engine import END, FIRST_PIECE
from antiphon.runtime.events import (
    AgentWordEvent,
    AudioEvent,
    CallerWordEvent,
    CallEvent,
    Samples,
    ToneEvent,
)
from antiphon.runtime.latency import AUDIBLE
from antiphon.runtime.session import SECONDS

SILENT_AFTER_END = 3  # silent frames after the text's end that end a spell of speech
SILENT_WITHOUT_END = 15  # silent frames that end one whose text never ended: 1.2 s
SETTLE = 0.8  # seconds after the caller's last sound in which words of it may still be told
LULL = 0.4  # seconds after a piece of a word in which the next one may come, or the word be told
PAUSE = 2.0  # seconds of the caller's silence that end a turn to which nobody answered
WAIT_FOR_VOICE = 1.5  # seconds that a tool call waits for the agent to speak with it
_LETTER, _BREATH = 0.075, 0.08  # seconds: words are told by their end, this guesses the start


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ToolCallEvent(CallEvent):
    """A tool call with the id under which its result comes back."""

    id: str


class ToolCall(_Frozen):
    """A tool call in a turn; `result` is what the client answered, if it had by then."""

    id: str
    name: str
    arguments: dict[str, Any]
    result: str | None = None


class Turn(_Frozen):
    """What one side said in one go."""

    index: int
    """0, 1, 2 ... over both sides, in the order in which they are told: as they began."""
    speaker: Literal["caller", "agent"]
    text: str
    words: tuple[tuple[str, float, float | None], ...]
    """(word, start, end): a caller's start is guessed, an agent's end is not known."""
    start: float
    end: float
    tone: str | None = None
    """The caller's, last told."""
    calls: tuple[ToolCall, ...] = ()
    gap_ms: float | None = None
    """From the end of the caller's last word before it to the agent's first audible sample; below
    0 where the agent began before that. None where it spoke without being spoken to."""
    interrupted: bool = False


class AgentFloor:
    """Whether the agent has the floor, from its text and its voice."""

    def __init__(self) -> None:
        self.speaking = False
        self._ended = True
        self._silent = 0

    def push(self, out_text: int, voice: Samples) -> Literal["started", "stopped"] | None:
        """The next beat: the agent's text id, and its voice float32 [1280] as it is played."""
        loud = bool(len(voice)) and float(np.abs(voice).max()) >= AUDIBLE
        spelling = out_text >= FIRST_PIECE
        self._silent = 0 if loud or spelling else self._silent + 1
        if spelling:
            self._ended = False
        elif out_text == END:
            # From here on it is counted: what breaks off one text may begin another.
            self._ended, self._silent = True, 0
        if not self.speaking:
            self.speaking = loud or spelling
            return "started" if self.speaking else None
        if self._silent >= (SILENT_AFTER_END if self._ended else SILENT_WITHOUT_END):
            self.speaking = False
            return "stopped"
        return None

    def stop(self) -> bool:
        """The agent was silenced; whether it had the floor."""
        was, self.speaking, self._ended = self.speaking, False, True
        return was


class VoiceActivity:
    """When the caller speaks, by the network's own hearing."""

    def __init__(self, threshold: float = 0.5, silence: float = 0.5) -> None:
        """`silence` (seconds) ends a spell of speech."""
        self.threshold, self.silence = threshold, silence
        self.speaking = False
        self.started = 0.0
        """Where the spell began."""
        self.last = 0.0
        """The end of the last frame with speech."""

    def push(self, now: float, vad: float) -> Literal["started", "stopped"] | None:
        """The frame that ended at `now`, with its probability of speech."""
        if vad >= self.threshold:
            self.last = now
            if not self.speaking:
                self.speaking, self.started = True, now - SECONDS
                return "started"
        elif self.speaking and now - self.last >= self.silence - 1e-6:
            self.speaking = False
            return "stopped"
        return None

    def stop(self) -> None:
        """The spell is over, whoever says so."""
        self.speaking = False


class _Open:
    """A turn that is not over."""

    def __init__(self, order: int, start: float) -> None:
        self.order, self.start = order, start
        self.end = start
        self.words: list[tuple[str, float, float | None]] = []
        self.calls: list[ToolCall] = []
        self.first_sound: float | None = None
        self.over: float | None = None  # when it was seen to be over
        self.interrupted = False


class TurnTracker:
    """Finished turns of both sides, as soon as all their words can have been told.

    `push` takes one beat's events and returns the turns that are finished by them, in order;
    `finish` those that were open at the end of a call.
    """

    def __init__(self) -> None:
        self._floor = AgentFloor()
        self._vad = VoiceActivity()
        self._caller: _Open | None = None
        self._agent: _Open | None = None
        self._loose: list[tuple[float, ToolCall]] = []
        self._results: dict[str, str] = {}
        self._tone: str | None = None
        self._asked: float | None = None  # end of the last word of a caller's turn not yet answered
        self._spelt_at = 0.0  # when the last piece of a caller's word came
        self._begun = 0
        self._told_turns = 0
        self._now = 0.0

    def push(self, events: Sequence[ClockEvent]) -> list[Turn]:
        """One beat."""
        text, voice, vad = 0, None, 0.0
        for event in events:
            if isinstance(event, HeardEvent):
                self._now, text, vad = event.time, event.out.agent_text, event.out.vad
                if event.out.caller_text >= FIRST_PIECE:
                    self._spelt_at = self._now
            elif isinstance(event, AudioEvent):
                voice = event
        if voice is not None:
            self._now = max(self._now, voice.time)
            self._hear(vad)
            self._speak(text, voice)
        for event in events:
            if isinstance(event, CallerWordEvent):
                self._caller_word(event)
            elif isinstance(event, AgentWordEvent):
                self._agent_word(event)
            elif isinstance(event, ToolCallEvent):
                self._call(event)
            elif isinstance(event, ToneEvent):
                self._tone = event.tone
        return self._finished()

    def tool_result(self, call_id: str, output: str) -> None:
        """A tool's result; it is kept with its call if that turn is not over."""
        self._results[call_id] = output

    def interrupt(self) -> None:
        """The agent was silenced in its turn."""
        self._floor.stop()
        if self._agent is not None and self._agent.over is None:
            self._agent.interrupted = True
            self._agent.over = self._agent.end = self._now
            self._agent.words = [w for w in self._agent.words if w[1] < self._now]

    def finish(self) -> list[Turn]:
        """The call is over."""
        for turn in (self._caller, self._agent):
            if turn is not None and turn.over is None:
                turn.over = self._now
        if self._loose and self._agent is None:
            self._agent = self._begin(self._loose[0][0])
            self._agent.over = self._now
        self._take_loose()
        return self._finished(at_once=True)

    # -- the two sides ----------------------------------------------------------

    def _hear(self, vad: float) -> None:
        edge = self._vad.push(self._now, vad)
        if edge == "started" and self._caller is None:
            self._caller = self._begin(self._vad.started)
        if self._caller is None:
            return
        if self._vad.speaking:
            self._caller.over = None
            self._caller.end = max(self._caller.end, self._vad.last)
        elif self._caller.over is None:
            answered = self._agent is not None and self._agent.order > self._caller.order
            if answered or self._now - self._vad.last >= PAUSE:
                self._caller.over = self._now

    def _speak(self, text: int, voice: AudioEvent) -> None:
        edge = self._floor.push(text, voice.samples)
        if edge == "started":
            self._agent_turn()
        turn = self._agent
        if turn is None or turn.over is not None:
            return
        loud = np.flatnonzero(np.abs(voice.samples) >= AUDIBLE)
        if len(loud):
            if turn.first_sound is None:
                turn.first_sound = voice.time + float(loud[0]) / SAMPLE_RATE
            turn.end = voice.time + float(loud[-1] + 1) / SAMPLE_RATE
        if edge == "stopped":
            turn.over = self._now

    def _agent_turn(self) -> _Open:
        if self._agent is None:
            self._agent = self._begin(self._now)
        elif self._agent.over is not None and not self._agent.interrupted:
            self._agent.over = None  # it went on before the turn was told
        self._take_loose()
        return self._agent

    def _begin(self, start: float) -> _Open:
        self._begun += 1
        return _Open(self._begun, start)

    def _caller_word(self, event: CallerWordEvent) -> None:
        if self._caller is None:
            self._caller = self._begin(max(0.0, event.end - _BREATH))
            self._caller.over = self._now
        self._spelt_at = self._now
        words = self._caller.words
        guess = event.end - _BREATH - _LETTER * len(event.text)
        floor = words[-1][2] or 0.0 if words else 0.0
        words.append((event.text, max(0.0, min(max(guess, floor), event.end)), event.end))
        self._caller.end = max(self._caller.end, event.end)

    def _agent_word(self, event: AgentWordEvent) -> None:
        turn = self._agent
        if turn is not None and turn.interrupted:
            return  # meant, not heard
        turn = turn or self._agent_turn()
        turn.words.append((event.text, event.start, None))

    def _call(self, event: ToolCallEvent) -> None:
        call = ToolCall(id=event.id, name=event.name, arguments=event.arguments)
        if self._agent is not None:
            self._agent.calls.append(call)
        else:
            self._loose.append((event.time, call))

    def _take_loose(self) -> None:
        if self._agent is not None:
            self._agent.calls += [call for _, call in self._loose]
            self._loose = []

    # -- what is over -----------------------------------------------------------

    def _finished(self, *, at_once: bool = False) -> list[Turn]:
        if self._loose and self._now - self._loose[0][0] >= WAIT_FOR_VOICE and not self._agent:
            self._agent = self._begin(self._loose[0][0])
            self._agent.over = self._now
            self._take_loose()
        done: list[Turn] = []
        caller, agent = self._caller, self._agent
        ends = [turn for turn in (caller, agent) if turn is not None and turn.over is not None]
        for turn in sorted(ends, key=lambda turn: turn.order):
            if turn is caller:
                still = self._now - self._spelt_at
                settled = self._now - self._vad.last >= SETTLE and still >= LULL
                if not at_once and not settled:
                    continue
                self._caller = caller = None
                done += self._told(turn, "caller")
            elif caller is None or caller.order > turn.order:
                self._agent = None
                done += self._told(turn, "agent")
        return done

    def _told(self, turn: _Open, speaker: Literal["caller", "agent"]) -> list[Turn]:
        """The finished turn; nothing where there was sound and neither a word nor a call."""
        if not turn.words and not turn.calls:
            return []
        words = tuple(sorted(turn.words, key=lambda word: word[1]))
        gap = None
        if speaker == "caller":
            self._asked = words[-1][2]
        elif turn.first_sound is not None:
            if self._asked is not None:
                gap = round((turn.first_sound - self._asked) * 1e3, 1)
            self._asked = None
        calls = (
            call.model_copy(update={"result": self._results.pop(call.id, None)})
            for call in turn.calls
        )
        self._told_turns += 1
        told = Turn(
            index=self._told_turns - 1,
            speaker=speaker,
            text=" ".join(text for text, *_ in words),
            words=words,
            start=turn.start,
            end=max(turn.end, turn.start),
            tone=self._tone if speaker == "caller" else None,
            calls=tuple(calls),
            gap_ms=gap,
            interrupted=turn.interrupted,
        )
        return [told]
