"""An agent for whole files: answer one, transcribe one, say a text; or open a session.

agent = Agent.load("cafe")
answer = agent.answer("order.wav")
print(answer.caller_text, answer.agent_text, answer.order)
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.audio.io import frames, read
from antiphon.bundle import Bundle, find, load
from antiphon.corpus.calls import CallVocabulary
from antiphon.corpus.delivery import delivery
from antiphon.corpus.order import Order, fold
from antiphon.corpus.scenario import Scenario, load_scenario
from antiphon.errors import AudioError
from antiphon.runtime.engine import Engine, open_graph
from antiphon.runtime.events import (
    AudioEvent,
    CallerWordEvent,
    CallEvent,
    Event,
    Samples,
)
from antiphon.runtime.latency import (
    AUDIBLE,
    Latency,
    first_audible,
    frame_costs,
    replies,
    speech_end,
)
from antiphon.runtime.session import SECONDS, Session
from antiphon.runtime.words import Pieces, Turn

Audio = str | os.PathLike[str] | Samples

PATIENCE = 3.0  # seconds of silence after which no answer is taken to come
SETTLE = 1.0  # seconds of the agent's silence after which its answer is taken to be over
LONGEST = 20.0  # seconds after which even a voice that never ends is left


@dataclass(frozen=True)
class Answer:
    """What an agent made of a recording."""

    caller_text: str
    agent_text: str
    agent_turns: tuple[Turn, ...]
    calls: tuple[CallEvent, ...]
    order: Order | None
    """The order that stands after all calls."""
    latency_ms: Latency
    caller: Samples = field(repr=False)
    """What the agent heard, float32 [N], 16 kHz."""
    audio: Samples = field(repr=False)
    """The agent's voice as played, float32 [N], 16 kHz: on the caller's clock."""
    events: tuple[Event, ...] = field(repr=False)
    """Every event but the audio."""

    def reply_to(self, call: CallEvent) -> str:
        """The agent's turn in which a call was made; "" where it said nothing."""
        said = [turn.text for turn in self.agent_turns if turn.frame * SECONDS <= call.time]
        return said[-1] if said else ""

    def as_json(self, audio: str | None = None) -> dict[str, Any]:
        """A JSON object; `audio` is the path that the agent's voice was written to."""
        return {
            "caller_text": self.caller_text,
            "agent_text": self.agent_text,
            "calls": [{"name": call.name, "arguments": call.arguments} for call in self.calls],
            "order": self.order,
            "latency_ms": self.latency_ms.model_dump(),
            "audio": audio,
        }


class Played:
    """A recording that is played to somebody, and what comes back.

    audio: a file, or float32 [N] at 16 kHz. `caller_end` (seconds) is where the caller's speech
    ends, found by energy if not given. Raises AudioError when the recording cannot be used.
    """

    def __init__(self, audio: Audio, *, caller_end: float | None = None) -> None:
        self._caller = _samples(audio)
        self._end = speech_end(self._caller) if caller_end is None else caller_end
        self._heard: list[Samples] = []
        self._voice: list[Samples] = []
        self._events: list[Event] = []

    def through(
        self,
        hear: Callable[[Samples], Iterable[Event]],
        *,
        tail: float | None = None,
        settle: float = SETTLE,
        realtime: bool = False,
    ) -> None:
        """Let `hear` have the frames, float32 [1280], and give what it answers: a session's `push`,
        or that with a stage behind it.

        tail: silence after the recording, seconds; None waits until the agent has answered and is
        still for `settle` seconds. realtime: at the clock's pace.
        """
        began = time.perf_counter()
        for frame in _with_tail(self._caller, self._voice, self._end or 0.0, tail, settle):
            if realtime:
                due = began + (len(self._heard) + 1) * SECONDS
                time.sleep(max(0.0, due - time.perf_counter()))
            self._heard.append(frame)
            self.take(hear(frame))

    def take(self, events: Iterable[Event]) -> None:
        """What was answered."""
        _sort(events, self._voice, self._events)

    @property
    def events(self) -> tuple[Event, ...]:
        """Every event so far but the audio."""
        return tuple(self._events)

    def answer(
        self,
        scenario: Scenario,
        process_seconds: Sequence[float],
        *,
        caller_text: str,
        agent_text: str,
        turns: Sequence[Turn],
    ) -> Answer:
        """All of it; process_seconds: what each frame cost."""
        costs = frame_costs(process_seconds)
        first = None
        if self._end:
            voice = np.concatenate(self._voice)
            first = first_audible(voice, self._end, process=costs[0] / 1e3)
        calls = tuple(event for event in self._events if isinstance(event, CallEvent))
        return Answer(
            caller_text=caller_text,
            agent_text=agent_text,
            agent_turns=tuple(turns),
            calls=calls,
            order=fold(calls, scenario),
            latency_ms=Latency(
                first_audible=None if first is None else round(first * 1e3, 1),
                frame_p50=round(costs[0], 2),
                frame_p99=round(costs[1], 2),
                real_time_factor=round(costs[2], 4),
                late_frames=costs[3],
            ),
            caller=np.concatenate([*self._heard, np.zeros(FRAME, dtype=np.float32)]),
            # A frame plays when the caller's frame is full: one frame later on the clock.
            audio=np.concatenate([np.zeros(FRAME, dtype=np.float32), *self._voice]),
            events=self.events,
        )


@dataclass(frozen=True)
class Transcript:
    """What a recording says, and when each word begins."""

    text: str
    words: tuple[CallerWordEvent, ...] = field(repr=False)

    def __str__(self) -> str:
        return self.text


class Agent:
    """A bundle, ready to run. Sessions of one agent share its weights and nothing else."""

    def __init__(self, bundle: Bundle, *, temperature: tuple[float, float] | None = None) -> None:
        """`temperature` is (text, codes); None takes the bundle's. Raises BundleError."""
        self.bundle = bundle
        self.vocabulary = CallVocabulary.from_tools(list(bundle.manifest.tools))
        self.pieces = Pieces(bundle.tokenizer)
        self._temperature = temperature
        self._graph = open_graph(bundle)

    @classmethod
    def load(
        cls, path_or_name: str | Path = "cafe", *, temperature: tuple[float, float] | None = None
    ) -> Agent:
        """The agent in a bundle folder, or of a bundle by name. Raises BundleError."""
        return cls(load(find(path_or_name)), temperature=temperature)

    @cached_property
    def scenario(self) -> Scenario:
        """The scenario that the agent was made for. A session needs none, so it is read late."""
        return load_scenario(self.bundle.scenario)

    def engine(self, batch: int = 1) -> Engine:
        """A new engine of `batch` slots over the agent's weights."""
        return Engine(self.bundle, batch, temperature=self._temperature, graph=self._graph)

    def session(
        self,
        seed: int = 0,
        *,
        rate: int = SAMPLE_RATE,
        mute: bool = False,
        style: str | None = None,
        speed: float | None = None,
    ) -> Session:
        """A new call. `rate` (Hz) is that of the samples that will be pushed.

        style (one of `antiphon.STYLES`), speed (relative tempo, 0.5 to 2): how the agent is told
        to speak; None leaves it to the agent, who leans towards the caller.
        Raises AntiphonError for others, and for a bundle that knows none.
        """
        return Session(
            self.engine(),
            self.pieces,
            self.vocabulary,
            seed=seed,
            rate=rate,
            mute=mute,
            delivery=delivery(style, speed),
        )

    def answer(
        self,
        audio: Audio,
        *,
        seed: int = 0,
        tail: float | None = None,
        caller_end: float | None = None,
        realtime: bool = False,
        style: str | None = None,
        speed: float | None = None,
    ) -> Answer:
        """Play a recording to the agent and let it finish.

        audio: a file, or float32 [N] at 16 kHz. `tail` is the silence after it in seconds; None
        waits until the agent has answered and is still. `caller_end` (seconds) is where the
        caller's speech ends, found by energy if not given. `realtime` feeds at the clock's pace.
        style, speed: as `session` takes them.
        Raises AudioError when the recording cannot be used.
        """
        played = Played(audio, caller_end=caller_end)
        with self.session(seed, style=style, speed=speed) as session:
            played.through(session.push, tail=tail, realtime=realtime)
            played.take(session.finish())
            return played.answer(
                self.scenario,
                session.process_seconds,
                caller_text=session.caller_text,
                agent_text=session.agent_text,
                turns=session.agent_turns,
            )

    def transcribe(self, audio: Audio, *, seed: int = 0, tail: float = 1.5) -> Transcript:
        """What a recording says; the agent only listens. Raises AudioError."""
        events: list[Event] = []
        with self.session(seed, mute=True) as session:
            for chunk in frames(_samples(audio)):
                _sort(session.push(chunk), [], events)
            _sort(session.push(np.zeros(round(tail * SAMPLE_RATE))), [], events)
            _sort(session.finish(), [], events)
            words = tuple(event for event in events if isinstance(event, CallerWordEvent))
            return Transcript(session.caller_text, words)

    def say(
        self, text: str, *, seed: int = 0, style: str | None = None, speed: float | None = None
    ) -> Samples:
        """`text` in the agent's voice, float32 [N] at 16 kHz; style and speed as in `session`.

        Raises AntiphonError when there is nothing sayable in it.
        """
        silence = np.zeros(FRAME, dtype=np.float32)
        voice: list[Samples] = []
        with self.session(seed, mute=True, style=style, speed=speed) as session:
            session.say(text)
            while session.saying:
                _sort(session.push(silence), voice, [])
            delays = session.delays
            enough = delays.text_lead + -(-delays.codec_lookahead // FRAME) + 4
            quiet = 0
            for _ in range(round(LONGEST / SECONDS)):
                _sort(session.push(silence), voice, [])
                quiet = 0 if np.abs(voice[-1]).max() >= AUDIBLE else quiet + 1
                if quiet >= enough:
                    break
        spoken = np.concatenate(voice)
        spans = replies(spoken)
        if not spans:
            return spoken
        margin = 0.1  # seconds: breath and release are below the audible threshold
        start = max(0, round((spans[0][0] - margin) * SAMPLE_RATE))
        return spoken[start : round((spans[-1][1] + margin) * SAMPLE_RATE)]


def _samples(audio: Audio) -> Samples:
    if isinstance(audio, np.ndarray):
        if audio.ndim != 1 or not len(audio):
            raise AudioError(f"one channel of samples is needed, got shape {audio.shape}")
        return np.asarray(audio, dtype=np.float32)
    return read(audio)


def _sort(incoming: Iterable[Event], voice: list[Samples], others: list[Event]) -> None:
    for event in incoming:
        if isinstance(event, AudioEvent):
            voice.append(event.samples)
        else:
            others.append(event)


def _with_tail(
    caller: Samples, voice: list[Samples], caller_end: float, tail: float | None, settle: float
) -> Iterator[Samples]:
    """The recording's frames, then silence until `tail`, or until the agent has answered.

    `voice` grows as the frames are used: it is how the end of the answer is seen.
    """
    yield from frames(caller)
    silence = np.zeros(FRAME, dtype=np.float32)
    if tail is not None:
        for _ in range(round(tail / SECONDS)):
            yield silence
        return
    least = len(caller) / SAMPLE_RATE
    last_loud: float | None = None
    seen = 0
    while len(voice) * SECONDS < max(least, caller_end) + LONGEST:
        for index in range(seen, len(voice)):
            if np.abs(voice[index]).max() >= AUDIBLE:
                last_loud = (index + 1) * SECONDS
        seen = len(voice)
        now = seen * SECONDS
        answered = last_loud is not None and last_loud > caller_end
        still = now - (last_loud if answered and last_loud is not None else caller_end)
        if still >= (settle if answered else PATIENCE):
            return
        yield silence
