"""One call with the cascade: 20 ms of the caller in, 20 ms of the agent and events out.

The parts in the order in which sound passes them: voice activity, recogniser, reader, policy,
voice. All times are seconds of the caller's audio; what `push` returns plays right after the
samples that it was given.
"""

from __future__ import annotations

import random
from collections import deque
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from antiphon.audio import SAMPLE_RATE
from antiphon.cascade.policy import Policy
from antiphon.cascade.recogniser import Heard
from antiphon.cascade.turns import Activity
from antiphon.corpus.calls import Call
from antiphon.corpus.order import Order
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.turn_reader import Reader, Reading
from antiphon.corpus.voices.speech import Speech, Voice
from antiphon.errors import AntiphonError, AudioError
from antiphon.runtime.events import (
    AgentWordEvent,
    CallerWordEvent,
    CallEvent,
    Samples,
    TurnEvent,
    TurnState,
)

TICK = 320  # samples, 20 ms
PRE_ROLL = 0.3  # s before the onset that the recogniser gets: quiet first consonants
CATCH_UP = 3  # ticks recognised in one: the pre-roll is worked off without a late tick
TAIL = 0.2  # s of a reply's end over which a caller may begin without breaking in
LONGEST_TURN = 20.0  # s after which a turn is taken to be over


class Settings(BaseModel):
    """How the cascade listens; times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    silence: float = 0.7
    """Silence that ends a turn whose words so far are a whole sentence of the grammar."""
    patience: float = 1.2
    """Silence that ends any turn. With `silence` the same, the words are not looked at."""
    threshold: float = 0.5
    """Probability of speech from which a window counts as speech."""
    onset: float = 0.09
    """Speech that opens a turn."""
    barge_in: float = 0.4
    """Speech over the agent's voice that makes it stop; what is shorter is let pass."""
    least: float = 0.25
    """A turn shorter than this that was not understood gets no answer: it may be a cough."""
    misfit: float = 10.0
    """How much worse than a loop over all phones the grammar may fit a turn's words, in the
    recogniser's units a frame."""
    worst: float = 1e9
    """The same over the worst 0.3 s."""
    fallback: str = "out_of_domain"
    """The intent whose replies answer what was not understood."""


class Out(NamedTuple):
    """What the cascade gave for 20 ms: its voice in the next 20, float32 [TICK], and events."""

    agent: Samples
    told: tuple[AgentWordEvent | CallerWordEvent | CallEvent | TurnEvent, ...] = ()


class Detector(Protocol):
    """Voice activity: `vad.Vad`, or a test's."""

    def push(self, samples: Samples) -> list[float]: ...


class Listener(Protocol):
    """Speech recognition, a turn at a time: `recogniser.Recogniser`, or a test's."""

    def reset(self) -> None: ...
    def open(self) -> None: ...
    def push(self, samples: Samples) -> None: ...
    def partial(self) -> list[str]: ...
    def close(self) -> Heard | None: ...


class CascadeSession:
    """A call. Close it when it is over, or use it in a `with` block."""

    def __init__(
        self,
        scenario: Scenario,
        reader: Reader,
        vad: Detector,
        recogniser: Listener,
        voice: Voice,
        settings: Settings,
        seed: int,
    ) -> None:
        """The recogniser is this session's until it is closed."""
        self.settings = settings
        self._rng = random.Random(seed)
        self._policy = Policy(scenario, self._rng, settings.fallback)
        self._reader, self._voice = reader, voice
        self._fillers = frozenset(scenario.dialogue.fillers)
        self._recogniser: Listener | None = recogniser
        recogniser.reset()
        self._vad = vad
        self._activity = Activity(settings.threshold, settings.onset)
        self._ticks = 0
        self._recent: deque[Samples] = deque(maxlen=round((PRE_ROLL + 0.3) * SAMPLE_RATE / TICK))
        self._waiting: deque[Samples] = deque()  # of the open turn, not yet recognised
        self._turn: float | None = None  # where the open turn's samples begin, seconds
        self._looked = 0.0  # end of speech at which the words were last looked at
        self._playing: Samples = np.zeros(0, dtype=np.float32)
        self._words: deque[tuple[str, float]] = deque()  # to be spoken, with their starts
        self._over_agent = False  # the speech that is heard began under the agent's voice
        self._yielded = False  # the caller broke in and still has the floor
        self._state: TurnState = "listening"
        self._told: list[AgentWordEvent | CallerWordEvent | CallEvent | TurnEvent] = []

    # -- what stands ------------------------------------------------------------

    @property
    def time(self) -> float:
        """Seconds of the caller's audio heard so far."""
        return self._ticks * TICK / SAMPLE_RATE

    @property
    def speaking(self) -> bool:
        """Whether a reply is being played."""
        return len(self._playing) > 0

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls made so far."""
        return tuple(self._policy.calls)

    @property
    def order(self) -> Order | None:
        """What is on order."""
        return self._policy.order

    # -- the clock --------------------------------------------------------------

    def push(self, caller: npt.ArrayLike) -> Out:
        """20 ms of the caller, float [TICK] at 16 kHz. Raises AudioError for anything else."""
        if self._recogniser is None:
            raise AntiphonError("the session is closed")
        samples = np.asarray(caller, dtype=np.float32)
        if samples.shape != (TICK,) or not np.isfinite(samples).all():
            raise AudioError(f"a tick is {TICK} finite samples of one channel, got {samples.shape}")
        self._ticks += 1
        self._recent.append(samples)
        for probability in self._vad.push(samples):
            self._activity.push(probability)
        if self._turn is not None:
            self._waiting.append(samples)
            self._catch_up(self._recogniser, CATCH_UP)
            self._listen(self._recogniser)
        elif self._activity.speaking:
            self._open(self._recogniser)
            self._catch_up(self._recogniser, CATCH_UP)
        agent = self._speak()
        told, self._told = tuple(self._told), []
        return Out(agent, told)

    def say(self, text: str) -> None:
        """From the next tick on say this, in place of what is being said."""
        self._reply(text)

    def close(self) -> None:
        """End the call; the recogniser is free for another."""
        if self._recogniser is not None:
            self._recogniser.reset()
            self._recogniser = None

    def __enter__(self) -> CascadeSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- listening --------------------------------------------------------------

    def _open(self, recogniser: Listener) -> None:
        """Speech has begun: give the recogniser what was just heard."""
        self._over_agent = len(self._playing) > TAIL * SAMPLE_RATE
        wanted = round((self.time - self._activity.onset + PRE_ROLL) * SAMPLE_RATE / TICK)
        kept = list(self._recent)[-wanted:]
        self._turn = self.time - len(kept) * TICK / SAMPLE_RATE
        self._looked = 0.0
        self._waiting.extend(kept)
        recogniser.open()

    def _catch_up(self, recogniser: Listener, most: int) -> None:
        """Give the recogniser what waits, but no more than `most` ticks of it."""
        for _ in range(min(most, len(self._waiting))):
            recogniser.push(self._waiting.popleft())

    def _listen(self, recogniser: Listener) -> None:
        heard = self._activity
        spoken = heard.last - heard.onset
        if self._over_agent and spoken >= self.settings.barge_in:
            self._yield()
        if heard.silence >= self.settings.silence:
            if self._over_agent:
                self._drop(recogniser)  # a word under the agent's voice, no turn
            elif heard.silence >= self.settings.patience or self._whole(recogniser):
                self._end(recogniser)
        elif self.time - (self._turn or 0.0) >= LONGEST_TURN:
            self._end(recogniser)

    def _whole(self, recogniser: Listener) -> bool:
        """Whether the words so far are a sentence; asked once in each silence."""
        if self._looked == self._activity.last:
            return False
        self._looked = self._activity.last
        words = recogniser.partial()
        return bool(words) and self._reader.read(words, self._policy.state) is not None

    def _drop(self, recogniser: Listener) -> None:
        self._waiting.clear()
        recogniser.close()
        self._turn, self._yielded = None, False
        self._activity.close()

    def _end(self, recogniser: Listener) -> None:
        """The turn is over: read it, act, answer."""
        began = self._turn or 0.0
        spoken = self._activity.last - self._activity.onset
        self._turn, self._yielded = None, False
        self._activity.close()
        self._catch_up(recogniser, len(self._waiting))
        heard = recogniser.close()
        reading = self._read(heard)
        if reading is None and spoken < self.settings.least:
            return
        if heard is not None and all(word in self._fillers for word in heard.text):
            return
        if heard is not None and reading is not None:  # what does not fit was not said
            self._told += [
                CallerWordEvent(time=self.time, text=word, end=round(began + end, 3))
                for word, _, end in heard.words
            ]
        move = self._policy.move(reading)
        if move.call is not None:
            self._told.append(
                CallEvent(time=self.time, name=move.call.name, arguments=move.call.arguments)
            )
        if move.text:
            self._reply(move.text)

    def _read(self, heard: Heard | None) -> Reading | None:
        """The turn's reading, where its words fit what was heard."""
        if heard is None or heard.misfit > self.settings.misfit:
            return None
        if heard.worst > self.settings.worst:
            return None
        return self._reader.read(heard.text, self._policy.state)

    # -- speaking ---------------------------------------------------------------

    def _reply(self, text: str) -> None:
        speech: Speech = self._voice.speak(text, self._rng)
        self._playing = speech.samples
        self._words = deque((word, self.time + start) for word, start, _ in speech.words)
        self._over_agent = False

    def _speak(self) -> Samples:
        """The next tick of the reply; its words are told as they begin to sound."""
        quiet: TurnState = "yielding" if self._yielded else "listening"
        self._turn_to("speaking" if self.speaking else quiet)
        said, self._playing = self._playing[:TICK], self._playing[TICK:]
        until = self.time + TICK / SAMPLE_RATE
        while self._words and (self._words[0][1] < until or not len(self._playing)):
            word, start = self._words.popleft()
            self._told.append(AgentWordEvent(time=self.time, text=word, start=round(start, 3)))
        return np.pad(said, (0, TICK - len(said))) if len(said) < TICK else said

    def _yield(self) -> None:
        """The caller has the floor: what was still to be said is dropped."""
        self._over_agent = False
        if self.speaking:
            self._yielded = True
            self._playing = np.zeros(0, dtype=np.float32)
            self._words.clear()

    def _turn_to(self, state: TurnState) -> None:
        if state != self._state:
            self._state = state
            self._told.append(TurnEvent(time=self.time, state=state, probability=1.0))
