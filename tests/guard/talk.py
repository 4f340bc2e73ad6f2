"""An agent that says given words: its beats as the server's clock tells them, and its voice.

Every sample of the voice is another number, so a test can say of each that was heard where it came
from. Text leads sound, and a word is told, exactly as in the runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from antiphon.bundle.manifest import Delays
from antiphon.runtime.clock import ClockEvent, HeardEvent
from antiphon.runtime.engine import END, FIRST_PIECE, PAD, StepOutput
from antiphon.runtime.events import (
    AgentWordEvent,
    AudioEvent,
    CallerWordEvent,
    CallEvent,
    Event,
    Samples,
)

FRAME, RATE, SECONDS = 1280, 16_000, 0.08
DELAYS = Delays()
SETTLED = 3


@dataclass
class Said:
    """A word of the agent's: its first piece comes in `frame`."""

    text: str
    frame: int
    pieces: int = 1

    @property
    def start(self) -> float:
        return (self.frame + 1 + DELAYS.text_lead) * SECONDS + DELAYS.codec_lookahead / RATE


def sentence(text: str, frame: int = 20, every: int = 4, pieces: int = 1) -> list[Said]:
    """A text's words, one every so many frames."""
    return [Said(w, frame + every * i, pieces) for i, w in enumerate(text.split())]


def noise(count: int, seed: int = 0) -> Samples:
    """Loud samples, no two alike."""
    rng = np.random.default_rng(seed)
    loud = rng.permutation(np.linspace(0.05, 0.24, count))
    return (rng.choice((-1, 1), count) * loud).astype(np.float32)


def tone(count: int, seed: int = 0) -> Samples:
    """A voice: 190 Hz and its harmonics, never twice the same frame."""
    time = np.arange(count) / RATE
    wave = sum(np.sin(2 * np.pi * 190 * k * time) / k for k in range(1, 6))
    swell = 1 + 0.2 * np.sin(2 * np.pi * 3.1 * time)
    return (0.15 * swell * wave).astype(np.float32)


@dataclass
class Talk:
    """What an agent does, frame by frame. `say` is what a filter calls to have words said."""

    words: list[Said] = field(default_factory=list[Said])
    caller: Sequence[tuple[str, float, float]] = ()
    """(word, end, told): seconds."""
    calls: Sequence[tuple[float, str, dict[str, Any]]] = ()
    others: Sequence[Event] = ()
    frames: int = 120
    voice: Callable[[int, int], Samples] = noise
    spoil: Callable[[int, Samples], Samples] | None = None
    """frame number, samples -> what the engine gives instead."""
    length: float = 0.3
    """Seconds that a word sounds where no other begins."""
    heard: bool = True
    """Whether the beats hold a HeardEvent."""
    obeys: bool = True
    speaks_until: float = 0.0
    """Seconds up to which the caller is heard to speak."""
    asked: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.raw = np.zeros(0, dtype=np.float32)
        self._all = self.voice(self.frames * FRAME, 7)
        self._broken = (0, 0)  # how many words were broken off, and at which sample

    def say(self, text: str) -> None:
        """In the next frame it breaks off, and then says these words and no others."""
        self.asked.append(text)
        if not self.obeys:
            return
        kept = [word for word in self.words if word.frame < self._at + 1]
        self._broken = len(kept), (self._at + 2) * FRAME
        self.words = kept + sentence(text, self._at + 2)

    def run(self, stage: Any) -> Run:
        """Let a stage review every beat."""
        out: list[Any] = []
        for at in range(self.frames):
            self._at = at
            out += stage.review(self.beat(at))
        return Run(out, self.raw)

    def beat(self, at: int) -> list[ClockEvent]:
        now = (at + 1) * SECONDS
        samples = self._sound(at)
        if self.spoil is not None:
            samples = self.spoil(at, samples)
        self.raw = np.concatenate((self.raw, samples))
        events: list[ClockEvent] = []
        if self.heard:
            events.append(
                HeardEvent(time=now, samples=np.zeros(FRAME, np.float32), out=self._out(at))
            )
        events.append(AudioEvent(time=now, samples=samples))
        for text, end, told in self.caller:
            if now - SECONDS < told <= now:
                events.append(CallerWordEvent(time=now, text=text, end=end))
        events += [
            AgentWordEvent(time=now, text=word.text, start=word.start)
            for i, word in enumerate(self.words)
            if self._told(i) == at
        ]
        for time, name, arguments in self.calls:
            if now - SECONDS < time <= now:
                events.append(CallEvent(time=now, name=name, arguments=arguments))
        events += [event for event in self.others if now - SECONDS < event.time <= now]
        return events

    def _told(self, index: int) -> int:
        """The frame in which a word is told."""
        word = self.words[index]
        settled = word.frame + word.pieces - 1 + SETTLED
        if index + 1 < len(self.words):
            return min(settled, self.words[index + 1].frame)
        return settled

    def _out(self, at: int) -> StepOutput:
        text = PAD
        for word in self.words:
            if word.frame <= at < word.frame + word.pieces:
                text = FIRST_PIECE + 1
        if self.words and at == self.words[-1].frame + self.words[-1].pieces + 2:
            text = END
        zeros = np.zeros(4, dtype=np.float32)
        return StepOutput(
            agent=zeros,
            agent_text=text,
            caller_text=PAD,
            call=0,
            vad=0.9 if (at + 1) * SECONDS <= self.speaks_until else 0.0,
            turn=zeros,
            tone=zeros,
            pitch=0.0,
            energy=0.0,
            confidence=0.9 - at * 1e-5,  # a network's outputs are never alike
            text_ready=0.0,
            codes=np.zeros(1, dtype=np.int64),
        )

    def span(self, index: int) -> tuple[int, int]:
        """The samples of the raw voice in which a word sounds."""
        word = self.words[index]
        # Raw sample 0 plays at 0.08 s.
        first = round((word.start - SECONDS) * RATE)
        last = first + round(self.length * RATE)
        if index + 1 < len(self.words):
            last = min(last, round((self.words[index + 1].start - SECONDS) * RATE))
        words, until = self._broken
        return (first, min(last, until)) if index < words else (first, last)

    def _sound(self, at: int) -> Samples:
        out = np.zeros(FRAME, dtype=np.float32)
        for index in range(len(self.words)):
            first, last = self.span(index)
            a, b = max(first, at * FRAME), min(last, (at + 1) * FRAME)
            if a < b:
                out[a - at * FRAME : b - at * FRAME] = self._all[a:b]
        return out


@dataclass
class Run:
    """What came of it."""

    events: list[Any]
    raw: Samples

    @property
    def audio(self) -> Samples:
        return np.concatenate([e.samples for e in self.events if e.type == "audio"])

    @property
    def guard(self) -> list[Any]:
        return [event for event in self.events if event.type == "guard"]

    @property
    def text(self) -> str:
        return " ".join(e.text for e in self.events if e.type == "agent_word")

    @property
    def calls(self) -> list[Any]:
        return [event for event in self.events if event.type == "call"]

    def sources(self) -> dict[int, int]:
        """Raw sample -> where it was heard, for every loud raw sample that was."""
        where = {float(value): i for i, value in enumerate(self.raw) if value}
        heard = [where.get(float(value), -9) for value in self.audio]
        # A number that is equal by chance has no neighbour beside it.
        return {
            at: i
            for i, at in enumerate(heard)
            if at >= 0 and (at + 1 in heard[i + 1 : i + 2] or at - 1 in heard[max(i - 1, 0) : i])
        }


def caller(text: str, end: float = 1.0, told: float = 1.2) -> list[tuple[str, float, float]]:
    """A caller's words, all told by `told`."""
    words = text.split()
    return [(word, end - 0.2 * (len(words) - 1 - i), told) for i, word in enumerate(words)]
