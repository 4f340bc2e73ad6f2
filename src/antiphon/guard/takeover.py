"""The cascade takes a call over within a turn, with all that was said and ordered so far.

In: what is known of the call (`CallState`), and the caller's frames from then on. Out: the
cascade's events, and its replies: as words for the network's own voice where it still speaks, else
as sound in the cascade's. Needs `antiphon[cascade]`.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import NamedTuple

import numpy as np

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.cascade import Cascade, CascadeSession
from antiphon.cascade.policy import Move, Policy
from antiphon.cascade.recogniser import Recogniser
from antiphon.cascade.session import TICK, Detector, Listener
from antiphon.cascade.vad import Vad
from antiphon.corpus.calls import Call
from antiphon.corpus.conversation import Speaker
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.turn_reader import Reading
from antiphon.corpus.voices.speech import Speech, Voice
from antiphon.errors import ScenarioError
from antiphon.guard.state import CallState
from antiphon.runtime.events import AgentWordEvent, CallEvent, Event, Samples, Tone, TurnEvent

_LETTER, _WORD = 0.075, 0.08  # s: how long the network will take for words that it is given
_BEHIND = 25  # frames of the caller that may wait for a slow cascade: 2 s


class Story(NamedTuple):
    """What the cascade must know to go on with a call."""

    calls: tuple[CallEvent, ...] = ()
    """Tool calls that went out."""
    waiting: str = ""
    """The caller's words that nobody has answered yet, plain."""
    made: tuple[CallEvent, ...] = ()
    """The calls among `calls` that these words led to."""
    tone: Tone | None = None
    audio: Samples | None = None
    """What the caller said in them, float32 [N] at 16 kHz; used where the words cannot be read."""


def story_of(state: CallState, *, blocked: bool, audio: Samples | None = None) -> Story:
    """The story so far. `blocked`: the agent's last sentence was not heard, so what it would have
    answered waits still."""
    waiting = state.turn if blocked else state.waiting
    made = tuple(state.calls_of_turn()) if blocked else ()
    return Story(tuple(state.calls), waiting, made, state.tone, audio)


class TonedPolicy(Policy):
    """The cascade's policy, with replies in the caller's tone and calls made before it came."""

    def __init__(
        self, scenario: Scenario, rng: random.Random, fallback: str, calls: Sequence[Call]
    ) -> None:
        super().__init__(scenario, rng, fallback)
        self.calls = list(calls)
        self.tone: Tone | None = None
        self.misses = 0
        """Turns that were not understood."""

    def move(self, reading: Reading | None) -> Move:
        """As the policy does; the reply is the scenario's for the tone, where it has one."""
        move = super().move(reading)
        if reading is None:
            self.misses += 1
            return move
        spec = self._scenario.intents[reading.intent]
        if self.tone is None or self.tone not in spec.reply or not move.text:
            return move
        if spec.reply_empty and not self.order and move.call is None:
            return move
        held = (self.order or {"items": []})["items"]
        try:
            text = self._scenario.reply(
                reading.intent, reading.slots, reading.items, held, self._rng, self.tone
            )
        except ScenarioError:
            return move
        return Move(text or move.text, move.call)


class Relay:
    """A voice that gives its text away: silence as long as the words will take."""

    name = "relay"
    speaker: Speaker = "agent"

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def speak(self, text: str, rng: random.Random, tone: str = "neutral") -> Speech:
        """Have it said elsewhere."""
        self._say(text)
        words: list[tuple[str, float, float]] = []
        at = 0.0
        for word in text.split():
            end = at + _WORD + _LETTER * len(word)
            words.append((word, at, end))
            at = end
        samples = np.zeros(round(at * SAMPLE_RATE), dtype=np.float32)
        return Speech(samples, tuple(words), 0.0, at)


class _Session(CascadeSession):
    """A cascade's session that goes on with a call."""

    def resume(self, policy: TonedPolicy) -> None:
        """From here on this policy answers."""
        self._policy = policy
        self.replies: list[str] = []
        """What was answered since somebody looked."""

    def _reply(self, text: str) -> None:
        self.replies.append(text)
        super()._reply(text)

    def answer(self, words: Sequence[str], made: Sequence[CallEvent]) -> bool:
        """Answer a turn that was heard before; whether it could be read. A call that was made for
        it is not made again."""
        reading = self._reader.read(words, self._policy.state)
        if reading is None:
            return False
        policy = self._policy
        before = list(policy.calls)
        done = [Call(name=call.name, arguments=call.arguments) for call in made]
        policy.calls = [call for call in before if call not in done]
        move = policy.move(reading)
        if done and move.call not in done:
            policy.calls = before  # it did something else: the caller must say it again
            move = policy.move(None)
        elif done:
            policy.calls = before
        if move.call is not None and move.call not in done:
            call = CallEvent(time=self.time, name=move.call.name, arguments=move.call.arguments)
            self._told.append(call)
        if move.text:
            self._reply(move.text)
        return True


class Standby:
    """A cascade with recognisers in hand: one takes seconds to make, and a call cannot wait."""

    def __init__(
        self,
        cascade: Cascade,
        ready: int = 1,
        *,
        recogniser: Callable[[], Listener] | None = None,
        detector: Callable[[], Detector] = Vad,
    ) -> None:
        """ready: how many are made at once. recogniser, detector: in place of the cascade's own."""
        self.cascade, self.detector = cascade, detector
        self._recogniser = recogniser
        self._lock = threading.Lock()
        self._idle = [self._make() for _ in range(ready)]

    def _make(self) -> Listener:
        if self._recogniser is not None:
            return self._recogniser()
        return Recogniser(self.cascade.network, self.cascade.pronunciations)

    def take(self) -> Listener:
        """A recogniser that nobody uses."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._make()

    def take_idle(self) -> Listener | None:
        """A recogniser that nobody uses and that is there; None where there is none."""
        with self._lock:
            return self._idle.pop() if self._idle else None

    def give_back(self, recogniser: Listener) -> None:
        """It is free again."""
        recogniser.reset()
        with self._lock:
            self._idle.append(recogniser)


class Out(NamedTuple):
    """80 ms of the cascade: its sound (silence where the network speaks for it), and events."""

    agent: Samples
    told: tuple[Event, ...]
    said: tuple[str, ...] = ()
    """Replies that begin, whole."""


class Takeover:
    """The cascade in one call.

    say: makes the network speak; None: the cascade's own voice is heard.
    """

    def __init__(
        self,
        standby: Standby,
        story: Story,
        *,
        say: Callable[[str], None] | None = None,
        seed: int = 0,
        start: float = 0.0,
    ) -> None:
        """`start` (s) is the call's time now. Answers what waits, so that it is said at once."""
        cascade = standby.cascade
        self._standby, self._start = standby, start
        self._recogniser: Listener | None = standby.take()
        voice: Voice = Relay(say) if say is not None else cascade.voice
        self._session = _Session(
            cascade.scenario,
            cascade.reader,
            standby.detector(),
            self._recogniser,
            voice,
            cascade.settings,
            seed,
        )
        calls = [Call(name=call.name, arguments=call.arguments) for call in story.calls]
        fallback = cascade.settings.fallback
        self.policy = TonedPolicy(cascade.scenario, random.Random(seed), fallback, calls)
        self.policy.tone = story.tone
        self._session.resume(self.policy)
        self._early: list[Event] = []
        """What came of answering what was heard before."""
        self._answer(story)
        # Hearing it again took the session's clock with it.
        self._start = start - self._session.time

    def _answer(self, story: Story) -> None:
        words = [word for word in story.waiting.split() if word]
        if words and self._session.answer(words, story.made):
            return
        if story.audio is not None and len(story.audio):
            # Heard again from its beginning, and then as if its silence were over.
            quiet = np.zeros(round(self._session.settings.patience * SAMPLE_RATE) + FRAME)
            again = np.concatenate((story.audio, quiet)).astype(np.float32)
            said = len(self.policy.calls), self._session.speaking
            for at in range(0, len(again) - TICK + 1, TICK):
                self._early += self._session.push(again[at : at + TICK]).told
                if (len(self.policy.calls), self._session.speaking) != said:
                    return
        if words:
            self._session.say(self.policy.move(None).text)

    @property
    def misses(self) -> int:
        """Turns that the cascade did not understand."""
        return self.policy.misses

    @property
    def yielding(self) -> bool:
        """Whether the caller has just broken in."""
        return self._broke_in

    _broke_in = False

    def push(self, caller: Samples, tone: Tone | None = None) -> Out:
        """The caller's next frame, float32 [1280] at 16 kHz."""
        if tone is not None:
            self.policy.tone = tone
        agent: list[Samples] = []
        now = self._start + self._session.time
        told: list[Event] = [e.model_copy(update={"time": now}) for e in self._early]
        self._early.clear()
        self._broke_in = False
        for at in range(0, FRAME, TICK):
            out = self._session.push(caller[at : at + TICK])
            agent.append(out.agent)
            for event in out.told:
                self._broke_in |= isinstance(event, TurnEvent) and event.state == "yielding"
                told.append(self._dated(event))
        said, self._session.replies = tuple(self._session.replies), []
        return Out(np.concatenate(agent), tuple(told), said)

    def close(self) -> None:
        """The call is over, or somebody else answers it."""
        if self._recogniser is not None:
            self._session.close()
            self._standby.give_back(self._recogniser)
            self._recogniser = None

    def _dated(self, event: Event) -> Event:
        """On the call's clock."""
        changes = {"time": event.time + self._start}
        if isinstance(event, AgentWordEvent):
            changes["start"] = event.start + self._start
        elif event.type == "caller_word":
            changes["end"] = event.end + self._start
        return event.model_copy(update=changes)


class Beside:
    """A takeover whose work is done by an executor's threads: the beat never waits for it.

    What is pushed is worked on in order; what has come of it is taken with the next beats. While
    nothing has, the caller hears silence.
    """

    def __init__(self, make: Callable[[], Takeover], executor: Executor | None) -> None:
        """`make` builds the takeover, which may take seconds."""
        self._executor = executor
        self._frames: deque[tuple[Samples, Tone | None]] = deque(maxlen=_BEHIND)
        self._done: deque[Out] = deque()
        self._lock = threading.Lock()
        self._work: Future[None] | None = None
        self._takeover: Takeover | None = None
        self._make, self._closed = make, False
        self.error = ""
        """Why it cannot answer; "" while it can."""

    @property
    def misses(self) -> int:
        """Turns that the cascade did not understand."""
        return self._takeover.misses if self._takeover is not None else 0

    def push(self, caller: Samples, tone: Tone | None = None) -> Out:
        """The caller's next frame; what is there by now of the cascade's."""
        self._frames.append((caller, tone))
        if self._executor is None:
            self._run()
        elif self._work is None or self._work.done():
            self._work = self._executor.submit(self._run)
        with self._lock:
            outs = [self._done.popleft() for _ in range(min(1, len(self._done)))]
        if not outs:
            return Out(np.zeros(FRAME, dtype=np.float32), ())
        return outs[0]

    def _run(self) -> None:
        try:
            if self._takeover is None:
                self._takeover = self._make()
            while self._frames and not self._closed:
                caller, tone = self._frames.popleft()
                out = self._takeover.push(caller, tone)
                with self._lock:
                    self._done.append(out)
        except Exception as error:  # whatever it is, a person must take the call
            self.error = str(error) or type(error).__name__

    def close(self) -> None:
        """The call is over."""
        self._closed = True
        if self._work is not None and not self._work.done():
            self._work.add_done_callback(lambda _: self._end())
        else:
            self._end()

    def _end(self) -> None:
        if self._takeover is not None:
            self._takeover.close()
