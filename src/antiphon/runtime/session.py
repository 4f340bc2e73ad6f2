"""One call: samples in as they come, typed events out.

A session is its own clock when samples are pushed into it. A batching clock instead feeds many
sessions and steps the engine for all that are ready: `feed`, `ready`, `next_input`, `accept`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.audio.resample import StreamResampler
from antiphon.corpus.calls import CallDecoder, CallVocabulary
from antiphon.corpus.delivery import OWN, Delivery
from antiphon.errors import AntiphonError, AudioError, BundleError
from antiphon.runtime.engine import PAD, Engine, Noise, StepInput, StepOutput, forced
from antiphon.runtime.events import (
    TONES,
    TURN_STATES,
    AgentWordEvent,
    AudioEvent,
    CallerWordEvent,
    CallEvent,
    Event,
    ToneEvent,
    TurnEvent,
)
from antiphon.runtime.say import Script
from antiphon.runtime.words import Pieces, Turn, Word, WordStream

SECONDS = FRAME / SAMPLE_RATE
REMEMBERED = 45_000  # frames whose process time is kept: an hour
SPEAKING = 0.5  # voice activity above which the caller's tone is worth telling


class Session:
    """A call in one slot of an engine.

    `mute` keeps the agent's text at PAD, so that it only listens. `delivery` is how it is told to
    speak; it may be changed at any time.

    >>> with agent.session(seed=7) as session:            # doctest: +SKIP
    ...     for chunk in microphone:
    ...         for event in session.push(chunk):
    ...             ...
    """

    def __init__(
        self,
        engine: Engine,
        pieces: Pieces,
        vocabulary: CallVocabulary,
        *,
        seed: int = 0,
        rate: int = SAMPLE_RATE,
        mute: bool = False,
        delivery: Delivery = OWN,
    ) -> None:
        self.delays = engine.bundle.manifest.delays
        self._engine = engine
        self._pieces = pieces
        self._noise = Noise(engine.bundle, seed)
        self._calls = CallDecoder(vocabulary)
        if len(self._calls.mask()) != engine.call_vocabulary:
            raise BundleError(
                f"{engine.bundle.graph}: knows {engine.call_vocabulary} call tokens, the "
                f"manifest's tools make {len(self._calls.mask())}"
            )
        self._rate = rate
        self._resample = StreamResampler(rate, SAMPLE_RATE) if rate != SAMPLE_RATE else None
        self._mute = mute
        self._script: Script | None = None
        self._samples = np.zeros(0, dtype=np.float32)
        self._events: deque[Event] = deque()
        self._agent = WordStream(pieces)
        self._caller = WordStream(pieces)
        self._turn = 0
        self._tone: int | None = None
        self.frames = 0
        self.last: StepOutput | None = None
        """The last frame's raw output: voice activity, pitch, energy, confidence, codes."""
        self.process_seconds: deque[float] = deque(maxlen=REMEMBERED)
        self.delivery = delivery
        self._slot: int | None = engine.open()

    @property
    def delivery(self) -> Delivery:
        """The style and the speed that the agent is told; None leaves them to it."""
        return self._delivery

    @delivery.setter
    def delivery(self, wanted: Delivery) -> None:
        self._engine.check_delivery(wanted)
        self._delivery = wanted

    def push(self, samples: npt.ArrayLike) -> Iterator[Event]:
        """Take float samples [N], any N, at the session's rate; gives the events that followed.

        The work is done at once; events that are not iterated wait for the next call.
        Raises AudioError for samples that are not one channel of finite numbers.
        """
        self.feed(samples)
        self._advance()
        return self.events()

    def finish(self) -> Iterator[Event]:
        """The caller's audio is over: pad what is left of it to a frame, complete open words."""
        if self._resample is not None:
            tail = self._resample(np.zeros(0, dtype=np.float32), last=True)
            self._samples = np.concatenate((self._samples, tail))
            self._resample = StreamResampler(self._rate, SAMPLE_RATE)
        rest = -len(self._samples) % FRAME
        self._samples = np.concatenate((self._samples, np.zeros(rest, dtype=np.float32)))
        self._advance()
        self._tell_agent_word(self._agent.finish())
        self._tell_caller_word(self._caller.finish())
        return self.events()

    def events(self) -> Iterator[Event]:
        """The events that wait, oldest first."""
        while self._events:
            yield self._events.popleft()

    __iter__ = events

    def say(self, text: str) -> None:
        """From the next frame on the agent says `text`; what it was saying is broken off, and its
        own words wait until it is done.

        Raises AntiphonError when there is nothing sayable in it.
        """
        self._script = Script(self._pieces, text, instead=self._agent.speaking)

    @property
    def saying(self) -> bool:
        """Whether given words are still to be said (their last audio comes a little later)."""
        return self._script is not None

    def feed(self, samples: npt.ArrayLike) -> None:
        """Take samples without working on them: for a clock that batches sessions."""
        chunk = np.asarray(samples, dtype=np.float32)
        if chunk.ndim != 1:
            raise AudioError(f"a session takes one channel of samples, got shape {chunk.shape}")
        if not np.isfinite(chunk).all():
            raise AudioError("the samples hold NaN or infinite values; check their source")
        if self._resample is not None:
            chunk = self._resample(chunk)
        self._samples = np.concatenate((self._samples, chunk))

    @property
    def ready(self) -> bool:
        """Whether a whole frame waits."""
        return len(self._samples) >= FRAME

    def next_input(self) -> tuple[int, StepInput]:
        """(slot, input) of the next frame; to be followed by `accept` of its output."""
        if self._slot is None:
            raise AntiphonError("the session is closed")
        caller, self._samples = self._samples[:FRAME], self._samples[FRAME:]
        given = self._noise.frame(caller, self._calls.mask())
        if self._delivery != OWN:
            given = replace(given, control=self._delivery.control)
        if self._script is not None:
            given = self._script.direct(given)
        elif self._mute:
            given = forced(given, PAD)
        return self._slot, given

    def accept(self, out: StepOutput) -> None:
        """Take a frame's output and queue its events."""
        self.frames += 1
        self.last = out
        now = self.time
        if self._script is not None:
            self._script.heard(out.agent_text)
            if self._script.done:
                self._script = None
        self._events.append(AudioEvent(time=now, samples=out.agent))
        self._tell_caller_word(self._caller.push(out.caller_text))
        self._tell_agent_word(self._agent.push(out.agent_text))
        call = self._calls.push(out.call)
        if call is not None:
            arguments: dict[str, Any] = dict(call.arguments)
            self._events.append(CallEvent(time=now, name=call.name, arguments=arguments))
        self._tell_turn(out, now)
        self._tell_tone(out, now)

    @property
    def time(self) -> float:
        """Seconds of the caller's audio heard so far."""
        return self.frames * SECONDS

    @property
    def agent_text(self) -> str:
        """All that the agent meant to say so far."""
        return self._agent.text

    @property
    def agent_turns(self) -> list[Turn]:
        """The agent's turns so far, each with the frame in which its text began."""
        return self._agent.turns

    @property
    def caller_text(self) -> str:
        """All that the caller was heard to say so far."""
        return self._caller.text

    def close(self) -> None:
        """Give the slot back; the session takes no more samples."""
        if self._slot is not None:
            self._engine.close(self._slot)
            self._slot = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _advance(self) -> None:
        while self.ready:
            started = time.perf_counter()
            slot, given = self.next_input()
            out = self._engine.step({slot: given})[slot]
            self.accept(out)
            self.process_seconds.append(time.perf_counter() - started)

    def _tell_agent_word(self, word: Word | None) -> None:
        if word is not None:
            # The text leads its audio, and the audio plays from the end of its frame on.
            start = (word.frame + 1 + self.delays.text_lead) * SECONDS
            start += self.delays.codec_lookahead / SAMPLE_RATE
            self._events.append(AgentWordEvent(time=self.time, text=word.text, start=start))

    def _tell_caller_word(self, word: Word | None) -> None:
        if word is not None:
            end = max(0.0, (word.frame - self.delays.caller_text + 0.5) * SECONDS)
            self._events.append(CallerWordEvent(time=self.time, text=word.text, end=end))

    def _tell_turn(self, out: StepOutput, now: float) -> None:
        turn = int(np.argmax(out.turn))
        if turn != self._turn:
            self._turn = turn
            probability = float(out.turn[turn])
            event = TurnEvent(time=now, state=TURN_STATES[turn], probability=probability)
            self._events.append(event)

    def _tell_tone(self, out: StepOutput, now: float) -> None:
        tone = int(np.argmax(out.tone))
        if out.vad > SPEAKING and tone != self._tone:
            self._tone = tone
            probability = float(out.tone[tone])
            self._events.append(ToneEvent(time=now, tone=TONES[tone], probability=probability))
