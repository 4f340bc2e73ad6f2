"""The cascade: a scenario, and everything that sessions of it share.

cascade = Cascade.load("scenarios/cafe.yaml")
with cascade.session(seed=7) as session:
    agent, told = session.push(caller)  # 20 ms each
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.io import read
from antiphon.cascade.network import Network, compile_network, vocabulary
from antiphon.cascade.pronounce import dictionary
from antiphon.cascade.recogniser import Recogniser, model_dictionary
from antiphon.cascade.session import TICK, CascadeSession, Settings
from antiphon.cascade.vad import Vad
from antiphon.cascade.voice import Engine, open_voice
from antiphon.corpus.order import fold
from antiphon.corpus.scenario import Scenario, load_scenario
from antiphon.corpus.turn_reader import Reader
from antiphon.runtime.agent import LONGEST, PATIENCE, SETTLE, Answer, Audio
from antiphon.runtime.events import AgentWordEvent, CallerWordEvent, CallEvent, Event, Samples
from antiphon.runtime.latency import AUDIBLE, Latency, frame_costs, replies, speech_end
from antiphon.runtime.words import Turn

_GROUP = 4  # ticks in the 80 ms over which costs are told


class Cascade:
    """A modular agent for a scenario. Sessions share its grammar and voice and nothing else."""

    def __init__(
        self, scenario: Scenario, *, settings: Settings | None = None, voice: Engine = "auto"
    ) -> None:
        """Compiles the grammar, about 2 s. Raises VoiceError without a voice to speak with."""
        self.scenario = scenario
        self.settings = settings or Settings()
        self.reader = Reader(scenario)
        self.voice = open_voice(voice)
        self.pronunciations = dictionary(vocabulary(scenario), model_dictionary())
        self.network: Network = compile_network(scenario, self.pronunciations.__contains__)
        self._idle: list[Recogniser] = []

    @classmethod
    def load(
        cls, path: str | Path, *, settings: Settings | None = None, voice: Engine = "auto"
    ) -> Cascade:
        """The cascade for a scenario file. Raises ScenarioError, VoiceError."""
        return cls(load_scenario(path), settings=settings, voice=voice)

    @contextmanager
    def session(self, seed: int = 0) -> Generator[CascadeSession]:
        """A new call; the same seed and samples give the same call."""
        recogniser = (
            self._idle.pop() if self._idle else Recogniser(self.network, self.pronunciations)
        )
        session = CascadeSession(
            self.scenario, self.reader, Vad(), recogniser, self.voice, self.settings, seed
        )
        try:
            yield session
        finally:
            session.close()
            self._idle.append(recogniser)

    def answer(self, audio: Audio, *, seed: int = 0, caller_end: float | None = None) -> Answer:
        """Play a recording to the cascade and let it finish, as `Agent.answer` does.

        `caller_end` (seconds) is where the caller's speech ends, found by energy if not given.
        Costs are told for 80 ms. Raises AudioError when the recording cannot be used.
        """
        given = audio if isinstance(audio, np.ndarray) else read(audio)
        caller = np.asarray(given, dtype=np.float32)
        end = speech_end(caller) if caller_end is None else caller_end
        voice: list[Samples] = [np.zeros(TICK, dtype=np.float32)]
        events: list[Event] = []
        costs: list[float] = []
        with self.session(seed) as session:
            for samples in _ticks(caller, voice, end or 0.0):
                began = time.perf_counter()
                agent, told = session.push(samples)
                costs.append(time.perf_counter() - began)
                voice.append(agent)
                events += told
            calls = tuple(event for event in events if isinstance(event, CallEvent))
        played = np.concatenate(voice)
        groups = [sum(costs[i : i + _GROUP]) for i in range(0, len(costs) - _GROUP + 1, _GROUP)]
        p50, p99, factor, late = frame_costs(groups)
        # What plays was already shifted by the tick in which it was made.
        first = next((a - end for a, b in replies(played) if b > end), None) if end else None
        return Answer(
            caller_text=" ".join(e.text for e in events if isinstance(e, CallerWordEvent)),
            agent_text=" ".join(e.text for e in events if isinstance(e, AgentWordEvent)),
            agent_turns=_turns(events),
            calls=calls,
            order=fold(calls, self.scenario),
            latency_ms=Latency(
                first_audible=None if first is None else round(first * 1e3, 1),
                frame_p50=round(p50, 2),
                frame_p99=round(p99, 2),
                real_time_factor=round(factor, 4),
                late_frames=late,
            ),
            caller=np.pad(caller, (0, max(0, len(played) - len(caller)))),
            audio=played,
            events=tuple(events),
        )


def _ticks(caller: Samples, voice: list[Samples], end: float) -> Iterator[Samples]:
    """The recording, then silence until the answer is over or none has come.

    `voice` grows as the ticks are used.
    """
    for start in range(0, len(caller), TICK):
        chunk = caller[start : start + TICK]
        yield np.pad(chunk, (0, TICK - len(chunk))) if len(chunk) < TICK else chunk
    silence = np.zeros(TICK, dtype=np.float32)
    second = SAMPLE_RATE // TICK
    while len(voice) < (max(end, len(caller) / SAMPLE_RATE) + LONGEST) * second:
        now = len(voice) / second
        loud = next((i for i in range(len(voice), 0, -1) if _audible(voice[i - 1])), 0) / second
        if now - max(loud, end) >= (SETTLE if loud > end else PATIENCE):
            return
        yield silence


def _audible(samples: Samples) -> bool:
    return bool(np.abs(samples).max() >= AUDIBLE)


def _turns(events: list[Event]) -> tuple[Turn, ...]:
    """The agent's words by reply; `frame` counts 80 ms, as in a bundle's answer.

    A turn is dated by the caller's words before it, so that a call made with it lies in it.
    """
    turns: list[Turn] = []
    fresh, began = True, 0.0
    for event in events:
        if isinstance(event, CallerWordEvent | CallEvent):
            fresh, began = True, event.time
        elif isinstance(event, AgentWordEvent):
            frame = int(began * SAMPLE_RATE // (TICK * _GROUP))
            if fresh or not turns:
                turns.append(Turn(event.text, frame))
            else:
                turns[-1] = Turn(f"{turns[-1].text} {event.text}", turns[-1].frame)
            fresh = False
    return tuple(turns)
