"""A whole guard for one call: filter, monitor, breaker and cascade as one stage.

In: beats of a call. Out: the same beats with what may go on, from whoever answers by now. It is
what a server puts between its clock and its protocols, and a loop in process around a session.

    end_to_end   the network, unheld; what is found in time is stopped
    guarded      the network, held back and checked
    cascade      the cascade answers, in the network's voice where that still speaks
    handover     a person is asked to take the call; the line is kept with a phrase
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Protocol

import numpy as np

from antiphon.audio import FRAME, FRAME_RATE
from antiphon.bundle.manifest import Delays
from antiphon.corpus import grammar
from antiphon.errors import AntiphonError
from antiphon.guard.breaker import (
    Breaker,
    Change,
    Confidence,
    Operator,
    Risky,
    Signal,
    Tick,
    Trouble,
    Wish,
    worse,
)
from antiphon.guard.checks import Rulebook
from antiphon.guard.classifier import Ask
from antiphon.guard.config import Level
from antiphon.guard.events import GuardEvent, Judge, Say
from antiphon.guard.filter import VOICE, Filter, Reviewed
from antiphon.guard.heard import fits
from antiphon.guard.matching import Phrases
from antiphon.guard.monitor import Monitor, TurnLike
from antiphon.guard.operator import Handover, Line, LogOperators, Operators
from antiphon.guard.pulse import Pulse
from antiphon.guard.second_ear import SecondEar
from antiphon.guard.state import Said
from antiphon.runtime.clock import ClockEvent, HeardEvent
from antiphon.runtime.events import (
    AgentWordEvent,
    AudioEvent,
    CallerWordEvent,
    CallEvent,
    Samples,
    TurnEvent,
)

if TYPE_CHECKING:
    from antiphon.guard.takeover import Beside, Standby

_LOOK = 1.0  # s between looks at the risk
_ONE = 2.0  # s within which blocks are one trouble: a sentence and its call are blocked one by one
_HEARD = 20.0  # s of the caller that are kept for the cascade
_NETWORK = ("end_to_end", "guarded")  # levels at which the network answers


class Stage(Protocol):
    """What stands between an agent and its caller."""

    def review(self, events: Sequence[ClockEvent], /) -> Sequence[Reviewed]:
        """A beat's events as they shall go on; one AudioEvent is among them."""
        ...


class _Heard:
    """What the caller said to the agent's last answer, and since: frames, float32 [1280]."""

    def __init__(self) -> None:
        longest = round(_HEARD * FRAME_RATE)
        self._before: deque[Samples] = deque(maxlen=longest)
        self._since: deque[Samples] = deque(maxlen=longest)
        self._answering = False

    def hear(self, samples: Samples) -> None:
        self._since.append(samples)

    def answered(self, answering: bool) -> None:
        """Whether the agent is answering in this beat: when it begins, what was said is past."""
        if answering and not self._answering:
            self._before, self._since = self._since, self._before
            self._since.clear()
        self._answering = answering

    def since_answer(self, *, but_one: bool) -> Samples | None:
        """Float32 [N] from the beginning of the agent's last answer on, or of the one before."""
        frames = [*self._before, *self._since] if but_one else list(self._since)
        longest = self._since.maxlen or 0
        return np.concatenate(frames[-longest:]) if frames else None


class Service:
    """What the calls of a service share: rules, monitor, the service's breaker, the cascade.

    ready: the phrases in the agent's voice. standby: the cascade; None: a person takes over where
    it would. executor: for whatever must not keep the beat; None does it at once (tests,
    recordings). on_change: told of every change of the service's level, for the audit log.
    """

    def __init__(
        self,
        rules: Rulebook,
        *,
        delays: Delays | None = None,
        ready: Mapping[str, Samples] | None = None,
        judge: Judge | None = None,
        classify: Ask | None = None,
        standby: Standby | None = None,
        operators: Operators | None = None,
        executor: Executor | None = None,
        monitor: Monitor | None = None,
        on_change: Callable[[Change], None] | None = None,
    ) -> None:
        self.rules, self.delays = rules, delays or Delays()
        self.ready, self.judge, self.classify = ready or {}, judge, classify
        self.standby, self.executor = standby, executor
        self.operators: Operators = operators or LogOperators()
        self.monitor = monitor or Monitor(rules)
        own = rules.config.breaker
        self.breaker = Breaker(own.model_copy(update={"faults": own.service_faults}))
        self.reason = ""
        """Why the service is where it is."""
        self.deadlines: Callable[[], int] | None = None
        """How many deadlines were missed so far, where there is a clock that counts them."""
        self.on_change = on_change
        """Told of every change of the service's level."""
        self.guards: dict[str, Guard] = {}
        """Those of the calls that go on, by the call's id."""
        self._began = time.monotonic()
        self._looked = -_LOOK
        self._missed = 0

    def alike(self) -> Service:
        """Another with the same rules, phrases and cascade, to which nothing has happened yet."""
        return Service(
            self.rules,
            delays=self.delays,
            ready=self.ready,
            judge=self.judge,
            classify=self.classify,
            standby=self.standby,
            operators=self.operators,
            executor=self.executor,
            on_change=self.on_change,
        )

    @property
    def clock(self) -> float:
        """Seconds since the service was made: `now`, for whoever has no clock of their own."""
        return time.monotonic() - self._began

    def take(self, signal: Signal, now: float) -> Change | None:
        """A signal for the whole service: an operator's switch, a missed deadline."""
        change = self.breaker.take(signal, now)
        if change is not None:
            self.reason = change.reason
            if self.on_change is not None:
                self.on_change(change)
        return change

    def look(self, now: float) -> None:
        """Let the service's breaker see its risk; to be called every second or so."""
        if now - self._looked >= _LOOK:
            self._looked = now
            window = self.rules.config.breaker.window * 5
            self.take(Risky(self.monitor.risk(window)), now)
            self._late(now)
            self.take(Tick(), now)

    def _late(self, now: float) -> None:
        """Deadlines that were missed since the last look."""
        if self.deadlines is None:
            return
        missed = self.deadlines()
        for _ in range(min(missed - self._missed, self.rules.config.breaker.missed)):
            self.take(Trouble("missed", "Deadlines were missed."), now)
        self._missed = missed

    def second_ear(self) -> SecondEar | None:
        """A second ear for a new call, where one is wanted and there."""
        standby, wanted = self.standby, self.rules.config.reading.listeners
        if standby is None or not wanted or not self.rules.has("reading"):
            return None
        listening = sum(guard.listens for guard in self.guards.values())
        recogniser = standby.take_idle() if listening < wanted else None
        if recogniser is None:
            return None
        return SecondEar(recogniser, self.executor, done=lambda: standby.give_back(recogniser))

    def guard(self, call_id: str, say: Say | None, *, now: float = 0.0, seed: int = 0) -> Guard:
        """The guard of a new call; `now` is the service's clock (s)."""
        return Guard(self, call_id, say, now=now, seed=seed)


class Guard:
    """One call's stage. Close it when the call is over."""

    def __init__(
        self, service: Service, call_id: str, say: Say | None, *, now: float = 0.0, seed: int = 0
    ) -> None:
        rules = service.rules
        self.service, self.call_id = service, call_id
        self._second_ear = service.second_ear()
        self.filter = Filter(
            rules,
            delays=service.delays,
            say=say,
            ready=service.ready,
            judge=service.judge,
            classify=service.classify,
            executor=service.executor,
            second_ear=self._second_ear,
        )
        self.breaker = Breaker(rules.config.breaker)
        self._say, self._seed, self._offset = say, seed, now
        self._network = True  # whether the network still speaks what it is given
        self._gone = False  # whether it has ended for good
        self._pulse = Pulse()
        self._speaks = False  # whether the caller is speaking
        self._wish = ""  # why the caller wants a person, as long as they go on speaking
        self._blocked = False  # whether the last answer was blocked
        self._troubled = -_ONE  # when a block was last counted
        self._level: Level = rules.config.breaker.start
        self._takeover: Beside | None = None
        self._misses = 0
        self._frame: Samples = np.zeros(FRAME, dtype=np.float32)
        self._lines: deque[str] = deque()  # the cascade's, for the network to say
        self._caller = _Heard()
        self._wants = Phrases(rules.config.breaker.person)
        self._wished, self._handed = False, False
        self._looked = 0.0
        self._now = 0.0
        self._told: list[Reviewed] = []
        self.reason = ""
        """Why the call is where it is."""
        service.guards[call_id] = self
        service.monitor.opened(call_id, now)
        self._apply_level("")

    @property
    def level(self) -> Level:
        """Who answers: by this call or by the service, whichever trusts the network less."""
        return worse(self.breaker.level, self.service.breaker.level)

    @property
    def listens(self) -> bool:
        """Whether a second ear hears this call."""
        return self._second_ear is not None and not self._second_ear.closed

    # -- the stage --------------------------------------------------------------

    def review(self, events: Sequence[ClockEvent], /) -> list[Reviewed]:
        """A beat's events as they shall go on."""
        for event in events:
            if isinstance(event, HeardEvent):
                self.heard(event.samples)
                self._speaks = event.out.vad >= VOICE
                if self._pulse.stopped(event.out):
                    self._fault("The engine stands still.")
            elif isinstance(event, AudioEvent):
                self._now = event.time
        if self._takeover is not None and not self._network:
            # The cascade hears for it.
            events = [event for event in events if not isinstance(event, CallerWordEvent)]
        passed = self.filter.review(events)
        self._caller.answered(self.filter.answering)
        self._signals(passed)
        self._grant()
        if self._takeover is not None:
            passed = self._with_cascade(passed, self._takeover)
        self._look()
        told, self._told = self._told, []
        out = [*passed, *told]
        for rate in self.filter.divergences():
            self.service.monitor.divergence(self.call_id, rate)
        self.service.monitor.events(self.call_id, out, self._offset + self._now)
        return out

    def heard(self, samples: Samples) -> None:
        """The caller's frame, where no HeardEvent tells it: float32 [1280] at 16 kHz."""
        self._caller.hear(samples)
        self._frame = samples

    def result(self, output: str) -> None:
        """What a tool gave."""
        self.filter.result(output)

    def turn(self, turn: TurnLike) -> None:
        """A finished turn of either side: the risk of repeats, frustration and strange talk."""
        self.service.monitor.turn(self.call_id, turn)

    def missed(self) -> None:
        """A deadline of this call was missed."""
        self.service.monitor.missed(self.call_id)
        self._take(Trouble("missed", "A deadline was missed."))

    def failed(self, reason: str) -> None:
        """The engine gave nothing and will not again: `beat_alone` from now on."""
        self._gone, self._speaks = True, False
        if self.breaker.state.pinned and self.breaker.level in _NETWORK:
            self._take(Operator(None))  # nobody can be held to a network that is no more
        self._fault(reason)

    def beat_alone(self, caller: Samples, now: float) -> list[Reviewed]:
        """A beat without the network: the caller's frame, float32 [1280]; what they hear at
        `now` (s)."""
        self.heard(caller)
        return self.review([AudioEvent(time=now, samples=np.zeros(FRAME, dtype=np.float32))])

    def switch(self, level: Level | None, who: str, why: str = "") -> None:
        """An operator's switch, for this call alone; None lets go.

        Raises AntiphonError for a level at which a network answers that is no more.
        """
        if self._gone and level in _NETWORK:
            raise AntiphonError(
                "the network of this call has ended; it can be cascade or handover, not " + level
            )
        self._take(Operator(level, who, why))

    def close(self) -> None:
        """The call is over."""
        if self._takeover is not None:
            self._takeover.close()
            self._takeover = None
        if self._second_ear is not None:
            self._second_ear.close()
        self.service.guards.pop(self.call_id, None)
        self.service.monitor.closed(self.call_id, self._offset + self._now)

    # -- signals ----------------------------------------------------------------

    def _signals(self, events: Sequence[Reviewed]) -> None:
        for event in events:
            match event:
                case GuardEvent(action="blocked"):
                    self._blocked = True
                    self._count(event)
                case GuardEvent(action="call_blocked"):
                    self._count(event)
                case GuardEvent(action="fault"):
                    self._fault(event.reason)
                case GuardEvent(action="resumed"):
                    self._blocked = False
                case CallerWordEvent():
                    self._listen()
                case _:
                    pass

    def _count(self, block: GuardEvent) -> None:
        if self._now - self._troubled >= _ONE:
            self._troubled = self._now
            self._take(Trouble("block", block.reason))

    def _fault(self, reason: str) -> None:
        """The engine cannot be trusted, in this call; of several calls, in all."""
        self._network = False
        trouble = Trouble("engine", self._clean(reason))
        self._take(trouble)
        self.service.take(trouble, self._offset + self._now)

    def _listen(self) -> None:
        """Whether the caller asks for a person."""
        if self._wished or self._wish:
            return
        rules = self.service.rules
        words = tuple(self.filter.state.waiting.split())
        match = self._wants.first(words)
        intents = rules.config.breaker.person_intents
        if match is not None:
            self._wish = f'The caller asked for a person ("{match.phrase}").'
        elif intents and rules.reader.read(words, among=intents) is not None:
            self._wish = "The caller asked for a person."

    def _grant(self) -> None:
        """Give the caller who has asked for a person one, when they have said so to the end."""
        if self._wish and (not self._speaks or self.filter.answering):
            self._wished, wish, self._wish = True, self._wish, ""
            self._take(Wish(wish))

    def _look(self) -> None:
        level = self.level
        if level != self._level:
            self.reason = f"For all calls: {self.service.reason}"
            self._apply_level(self.reason)
        if self._now - self._looked < _LOOK:
            return
        self._looked = self._now
        self.service.look(self._offset + self._now)
        monitor = self.service.monitor
        risk = monitor.call_risk(self.call_id)
        sure = monitor.recent_confidence(self.call_id)
        if sure is not None:
            mend = self.service.rules.config.breaker.calibration
            turns = int(risk.repeats.n)
            self._take(Confidence(mend(sure) if mend is not None else sure, turns))
        if not self._gone:  # a network that has gone is not tried again
            self._take(Tick())
        if self._takeover is not None and self._takeover.error:
            self._take(Trouble("cascade", f"The cascade failed: {self._takeover.error}"))
            self._take(Trouble("cascade", f"The cascade failed: {self._takeover.error}"))

    def _take(self, signal: Signal) -> None:
        change = self.breaker.take(signal, self._now)
        if change is not None:
            self.reason = change.reason
            self._apply_level(change.reason)

    # -- who answers ------------------------------------------------------------

    def _apply_level(self, reason: str) -> None:
        before, level = self._level, self.level
        self._level = level
        self.filter.holding = level != "end_to_end"
        self.filter.only_given = level in ("cascade", "handover")
        if level != before:
            data = {"before": before, "after": level}
            self._told.append(GuardEvent(time=self._now, action="level", reason=reason, data=data))
        if level == "cascade" and self._takeover is None:
            if self.service.standby is None:
                self._take(Trouble("cascade", "There is no cascade."))
                self._take(Trouble("cascade", "There is no cascade."))
                if self.level == "cascade":
                    self._hand_over("There is no cascade.")
            else:
                self._begin_takeover(self.service.standby)
        elif level != "cascade" and self._takeover is not None:
            self._takeover.close()
            self._takeover = None
            # The trial shows whether it speaks again.
            self._network, self._pulse = not self._gone, Pulse()
        if level == "handover":
            self._hand_over(reason)

    def _begin_takeover(self, standby: Standby) -> None:
        from antiphon.guard.takeover import Beside, Takeover, story_of

        # An answer that is broken off was none.
        cut = self._blocked or self.filter.answering
        audio = self._caller.since_answer(but_one=cut)
        waiting = self.filter.state.turn if cut else self.filter.state.waiting
        # Words that the cascade can read are better than hearing them again, if they were spelt.
        words = waiting.split()
        state, rules = self.filter.state, self.service.rules
        believed = fits(words, state.spelt_turn, rules.config.heard)
        readable = bool(words) and believed and rules.reader.read(words) is not None
        story = story_of(state, blocked=cut, audio=None if readable else audio)
        if self._second_ear is not None:
            self._second_ear.close()  # the cascade needs its recogniser
        say = self._lines.append if self._relays else None
        start = self._now

        def make() -> Takeover:
            return Takeover(standby, story, say=say, seed=self._seed, start=start)

        self._takeover = Beside(make, self.service.executor)
        self._blocked = False

    @property
    def _relays(self) -> bool:
        """Whether the network says what the cascade answers."""
        return self._network and self._say is not None

    def _with_cascade(self, events: list[Reviewed], takeover: Beside) -> list[Reviewed]:
        """The beat with the cascade's answer in it, and without the network's own."""
        out = takeover.push(self._frame, self.filter.state.tone)
        if takeover.misses > self._misses:
            self._misses = takeover.misses
            self._take(Trouble("cascade", "The cascade did not understand."))
        if any(isinstance(e, TurnEvent) and e.state == "yielding" for e in out.told):
            self.filter.drop()
        while self._lines and self.level == "cascade":
            self.filter.replace(self._lines.popleft())
        passed: list[Reviewed] = []
        for event in events:
            if isinstance(event, AudioEvent) and not self._relays:
                event = self._spoken(event, out.agent)
            if isinstance(event, TurnEvent):
                continue  # the network's own, whom nobody hears
            passed.append(event)
        for text in out.said:
            words = tuple(grammar.plain(text).split())
            self.filter.state.begin(self._now)
            self.filter.state.finish(Said(words, self._now, over=True))
        for event in out.told:
            if isinstance(event, CallerWordEvent):
                if self._network:
                    continue  # the network tells them too, and sooner
                self.filter.state.hear(event)
                self._listen()
            if isinstance(event, AgentWordEvent) and self._relays:
                continue  # told as the network says them
            if isinstance(event, CallEvent):
                self.filter.state.make(event)
            passed.append(event)
        return passed

    def _spoken(self, event: AudioEvent, cascade: Samples) -> AudioEvent:
        """The beat's voice: the cascade's, from its first sound on."""
        if not cascade.any():
            return event
        self.filter.drop()
        return event.model_copy(update={"samples": cascade})

    def _hand_over(self, reason: str) -> None:
        if self._handed:
            return
        self._handed = True
        state, rules = self.filter.state, self.service.rules
        redact = rules.redactor
        said = state.transcript()
        message = Handover(
            call_id=self.call_id,
            time=self._now,
            reason=reason,
            transcript=tuple(Line(speaker=who, text=redact.text(text)) for who, text in said),
            order=tuple(redact.value(item) for item in state.order),
            tone=state.tone,
            waiting=redact.text(state.waiting),
        )
        self._told.append(
            GuardEvent(
                time=self._now,
                action="handover",
                reason=message.reason,
                phrase=rules.config.breaker.handover,
            )
        )
        self.service.operators.take(message)
        self.filter.replace(rules.config.breaker.handover)

    def _clean(self, text: str) -> str:
        return self.service.rules.redactor.text(text)
