"""Holds the agent's voice back until the words that it belongs to were checked.

In: a beat's events, as the runtime or the server's clock gives them. Out: the same with the voice
that may be heard by now, the words as they begin to sound, the calls that may go out, and what the
guard has to say. What is blocked is never played: the voice passes 20 ms at a time, and only where
the word that it can belong to is known, checked and right.

>>> filter = Filter(scenario, say=session.say)                    # doctest: +SKIP
>>> for events in beats(session, samples):
...     for event in filter.review(events): ...
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Literal, NamedTuple

import numpy as np

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.bundle.manifest import Delays
from antiphon.corpus import grammar
from antiphon.corpus.scenario import Scenario
from antiphon.guard.call_gate import CallGate
from antiphon.guard.checks import Rulebook, first_wrong
from antiphon.guard.classifier import Ask, Classifier
from antiphon.guard.ear import Ear, Piece
from antiphon.guard.events import Finding, GuardEvent, Judge, Say
from antiphon.guard.hold import BLOCK, Sentence, Voice, Word, Words
from antiphon.guard.reading import Second
from antiphon.guard.replace import Given, Patch, Replacer
from antiphon.guard.second_ear import SecondEar
from antiphon.guard.sound import Fault, SoundWatch, VoicePrint
from antiphon.guard.state import CallState, Said
from antiphon.runtime.clock import ClockEvent, HeardEvent
from antiphon.runtime.engine import END, FIRST_PIECE
from antiphon.runtime.events import (
    AgentWordEvent,
    AudioEvent,
    CallerWordEvent,
    CallEvent,
    Samples,
    ToneEvent,
    TurnEvent,
)
from antiphon.runtime.session import SECONDS

Reviewed = ClockEvent | GuardEvent
VOICE = 0.5  # voice activity from which the caller is speaking
_Action = Literal["blocked", "flagged", "fault", "answered"]
_MISREAD = ("claims",)  # checks whose findings the caller's words can mend
_WAITS = ("claims",)  # checks whose findings the caller's late words may clear
_ENGINE = ("nan", "stuck")  # faults of the sound that are the engine's
_WORD = 0.3  # s that a word takes
_ASKS = 3  # words from which a turn that nobody can read wants an answer
_LOOSE_WAIT = 0.4  # s that a voice without words waits for them
_OPEN_WAIT = 1.0  # s that a word may take to be told
_FADE = 80  # samples over which the last one dies away where the voice is cut
_RAMP = np.linspace(1.0, 0.0, _FADE + 1, dtype=np.float32)[1:]
_AGAIN = SAMPLE_RATE  # samples within which the same fault is not told twice
_DELAYS = 20_000  # words whose delay is kept


class Filter:
    """One call's output filter: a stage between the agent and the caller."""

    def __init__(
        self,
        scenario: Scenario | Rulebook,
        checks: Iterable[str] | None = None,
        holdback_ms: float | None = None,
        *,
        delays: Delays | None = None,
        say: Say | None = None,
        ready: Mapping[str, Samples] | None = None,
        judge: Judge | None = None,
        classify: Ask | None = None,
        executor: Executor | None = None,
        second_ear: SecondEar | None = None,
    ) -> None:
        """checks: names, in place of the scenario's choice. holdback_ms: None takes the scenario's,
        or the lead of the text over the voice in whole frames. say: how the agent is made to speak.
        ready: phrases in the agent's voice (`guard.ready`). classify: in place of the scenario's
        URL. executor: where the judge and the classifier work; None: in the beat, which is for
        recordings and tests. second_ear: hears the caller too. Raises ScenarioError.
        """
        self.rules = scenario if isinstance(scenario, Rulebook) else Rulebook(scenario, checks)
        config, self.delays = self.rules.config, delays or Delays()
        self.state = CallState(self.rules.scenario)
        self.added_ms: deque[float] = deque(maxlen=_DELAYS)
        """By how much each word that was heard was delayed."""
        self.holding = True
        """Whether the voice is held back; without, what is found is only stopped if in time."""
        self.only_given = False
        """Whether nothing is heard but what the guard gave the agent to say."""
        wanted = config.holdback_ms if holdback_ms is None else holdback_ms
        self._hold = round((lead_ms(self.delays) if wanted is None else wanted) / 1e3 * SAMPLE_RATE)
        self._texts = self.rules.text_checks()
        patience = (self._hold / SAMPLE_RATE) + config.patience_ms / 1e3
        self._second_ear, self._second = second_ear, self.rules.reading(second_ear)
        self._gate = CallGate(self.rules, self.state, patience, self._second)
        self._unsafe = self.rules.unsafe()
        self._voiced: float | None = None  # when the caller was last heard to speak
        self._replacer = Replacer(ready or {}, say, self.delays)
        self._sound: SoundWatch | None = None
        if self.rules.has("audio"):
            self._sound = SoundWatch(config.audio, VoicePrint.of((ready or {}).values()))
        self._ear: Ear | None = None
        if judge is not None and self.rules.has("speech"):
            self._ear = Ear(judge, config.speech, executor=executor)
        self._classifier: Classifier | None = None
        if config.classifier is not None:
            self._classifier = Classifier(config.classifier, executor=executor, ask=classify)
        self._voice, self._words = Voice(), Words(self.delays)
        self._next = -self._hold  # the sample of the raw voice that is played next
        self._patch: Patch | None = None
        self._given: Given | None = None
        self._faults: deque[Fault] = deque()
        self._fault_at: dict[str, int] = {}
        self._open: float | None = None  # when the first piece of an untold word came
        self._waited = self._loose = 0.0  # s: of this block; of voice without words, let fall
        self._last = 0.0  # the last sample that was played
        self._sounded = 0.0  # when the agent was last heard to say more than a murmur
        self._unheard = 0  # words in a row that were due and could not be heard
        self._blocked = False  # whether the agent was not heard since
        self._now = 0.0
        self._told: list[AgentWordEvent | CallEvent | GuardEvent] = []

    # -- the stage --------------------------------------------------------------

    def review(self, events: Sequence[ClockEvent], /) -> list[Reviewed]:
        """A beat's events as they shall go on; of the voice, 80 ms for 80 ms."""
        passed: list[Reviewed] = []
        audio: AudioEvent | None = None
        text: int | None = None
        told = False
        self._told = []
        for event in events:
            match event:
                case AgentWordEvent():
                    told = True
                    self._take_word(event)
                    continue
                case CallEvent():
                    if not self.only_given:
                        self._gate.take(event)
                    continue
                case AudioEvent():
                    audio = event
                case HeardEvent():
                    text = event.out.agent_text
                    self.state.spell(event.time, event.out.spelt)
                    self._hear(event)
                case CallerWordEvent():
                    self.state.hear(event)
                case ToneEvent():
                    self.state.tone = event.tone
                case TurnEvent():
                    self._turn(event)
                case _:
                    pass
            passed.append(event)
        if audio is not None:
            self._now = self.state.time = audio.time
            self._take_voice(audio)
        if text is not None:
            self._track(text, told)
        self._check(last=audio is None)
        if audio is not None:
            played = audio.model_copy(update={"samples": self._play()})
            passed = [played if event is audio else event for event in passed]
        self._words.forget(self._voice.time(self._next))
        return [*passed, *self._told]

    def result(self, output: str) -> None:
        """What a tool gave: it supports claims."""
        self.state.learn(output)

    def divergences(self) -> list[float]:
        """Character error rates of what the judge read back since the last time."""
        if self._ear is None:
            return []
        rates, self._ear.errors = self._ear.errors, []
        return rates

    def replace(self, phrase: str, check: str = "", reason: str = "") -> None:
        """Say a phrase in the place of whatever the agent is saying."""
        self.drop()
        self._instead(phrase)
        if reason:
            self._tell("flagged", Finding(check, reason), phrase=phrase)

    def drop(self) -> None:
        """What is held is not heard, nor what is said instead: the caller has the floor."""
        self._patch = None
        self._words.hush(self._voice.time(max(self._next, 0)))

    @property
    def answering(self) -> bool:
        """Whether the agent is in the middle of a sentence of its own."""
        sentence = self._words.latest
        if sentence is None or sentence.void or sentence.given:
            return False
        return not sentence.over or any(not word.out for word in sentence.words)

    @property
    def _begun(self) -> tuple[str, ...]:
        """The plain words that were heard of the sentence that is being said; none where the last
        of them has not sounded to its end, for whoever went on would say it twice."""
        sentence, here = self._words.latest, self._voice.time(max(self._next, 0) + BLOCK)
        if sentence is None or not self.answering:
            return ()
        heard = sum(word.out and not word.void for word in sentence.words)
        if not heard:
            return ()
        last, following = sentence.words[heard - 1], sentence.words[heard : heard + 1]
        whole = last.sounds_until <= here or any(word.earliest <= here for word in following)
        return sentence.tokens[: last.last] if whole else ()

    @property
    def speaking(self) -> bool:
        """Whether something is being said in the agent's place."""
        return self._patch is not None or self._given is not None

    # -- taking -----------------------------------------------------------------

    def _turn(self, event: TurnEvent) -> None:
        if event.state == "yielding" and self._given is None:
            self.drop()
        elif event.state == "listening":
            self._words.finish()

    def _take_word(self, event: AgentWordEvent) -> None:
        given = self._given
        if given is not None and given.is_next(event.text, event.start):
            word = self._words.take(event, void=not given.take(), given=True)
            # What sounds sooner is the rest of the word that was broken off.
            word.earliest = max(word.earliest, given.soonest + BLOCK / SAMPLE_RATE)
            if not given.waiting:
                self._given = None
            return
        # What it was saying before it was given words, and what it wants beside them, is not heard.
        void = given is not None or self.only_given
        word = self._words.take(event, void=void)
        if len(word.sentence.words) == 1 and not word.void:
            self.state.begin(word.start)

    def _track(self, text: int, told: bool) -> None:
        """Whether a word has begun that is not told yet; text: the frame's piece of it."""
        piece = text >= FIRST_PIECE
        if told or text == END:
            self._open = self._now if piece else None
        elif piece and self._open is None:
            self._open = self._now
        if text == END:
            self._words.finish()

    def _take_voice(self, audio: AudioEvent) -> None:
        samples = audio.samples
        faults: list[Fault] = []
        if self._sound is not None:
            samples, faults = self._sound.push(samples)
        self._voice.push(audio.time, samples)
        for fault in faults:
            if fault.at - self._fault_at.get(fault.kind, -_AGAIN) < _AGAIN:
                continue
            self._fault_at[fault.kind] = fault.at
            self._faults.append(fault)
            if fault.kind in _ENGINE:
                self._tell("fault", Finding("audio", fault.reason))
        given = self._given
        if given is not None and given.over(self._now):
            self._given = None
        elif given is not None and given.silent(self._now):
            self._given = None
            self._tell("fault", Finding("audio", "It does not say what it is given to say."))

    # -- checking ---------------------------------------------------------------

    def _check(self, *, last: bool) -> None:
        """Look at whatever is new, calls first: they may support what is said."""
        if self._second is not None:
            self.state.hear_second(self._second.words())
        for event in self._gate.release(self._now, at_once=last):
            self._told.append(event)
        if self._gate.ask is not None:
            ask, self._gate.ask = self._gate.ask, None
            self.replace(ask.ask)
        self._answer_for_it()
        if self._gate.instead is not None:
            instead, self._gate.instead = self._gate.instead, None
            self.replace(instead.after(self._begun))
        for sentence in self._words.sentences:
            if sentence.void or sentence.given:
                continue
            seen = (len(sentence.tokens), self.state.version, sentence.over)
            if seen == sentence.seen:
                continue
            sentence.seen = seen
            self._look_at(sentence)
        if self._ear is not None:
            self._listen(self._ear)

    def _hear(self, event: HeardEvent) -> None:
        """The caller's frame."""
        voiced = event.out.vad >= VOICE
        if voiced:
            self._voiced = event.time
        if self._second_ear is not None:
            self._second_ear.push(event.samples, voiced=voiced)

    def _answer_for_it(self) -> None:
        """Answer a turn that the agent leaves unanswered: by its words, where the scenario can
        read them, or with what is said to who was not understood."""
        if self._second is None or not self._left_alone or self._second.listens():
            return
        waiting = self.state.waiting
        second = self._second.of(self.state, waiting) if waiting else None
        patience = self.rules.config.reading.unanswered
        reason = f"The agent left the caller without an answer for {patience:g} s."
        if second is not None and not second.skipped and second.text:
            self._told += self._gate.mend(second, self._now, reason, "answered")
            if self._gate.instead is not None:
                self.state.begin(self._now)
        elif self._asked(waiting):
            check = (
                "unsafe" if self._unsafe is not None and self._unsafe.asked(waiting) else "reading"
            )
            phrase = self.rules.config.phrase_for(check, self.rules.scenario)
            self.state.begin(self._now)
            self._instead(phrase)
            self._tell("answered", Finding(check, reason), phrase=phrase)

    def _asked(self, waiting: str) -> bool:
        """Whether words that the scenario cannot read were said to the agent, to be answered. What
        begins while it speaks may be meant for somebody else."""
        said = [w for w in self.state.caller_words if w.end > self._sounded + _WORD]
        own = grammar.plain(" ".join(w.text for w in said)).split()
        return len(own) >= _ASKS and waiting.split()[-len(own) :] == own

    @property
    def _left_alone(self) -> bool:
        """Whether the caller has been silent for long, and nobody says anything."""
        patience = self.rules.config.reading.unanswered
        if not patience or self._voiced is None or self._now - self._voiced < patience:
            return False
        return not (self.only_given or self.answering or self.speaking or self._gate.busy)

    def _by_the_words(self, finding: Finding) -> Second | None:
        """What the caller's words ask for, where the agent claimed something else."""
        if self._second is None or finding.check not in _MISREAD:
            return None
        second = self._second.of(self.state, self.state.turn)
        return second if second is not None and second.text else None

    def _look_at(self, sentence: Sentence) -> None:
        said = Said(sentence.tokens, sentence.start, sentence.over)
        finding = first_wrong(self._texts, said, self.state)
        if finding is None or finding.action == "block":
            sentence.finding = finding
        elif finding.reason not in sentence.flags:
            sentence.flags.add(finding.reason)
            self._tell("flagged", finding, sentence=sentence)
        if self._classifier is not None:
            self._classifier.look(sentence.number, sentence.tokens)
        if sentence.over and not sentence.kept:
            sentence.kept = True
            if self.rules.ground.is_murmur(sentence.tokens):
                self.state.retract(sentence.words[0].start)
            else:
                self.state.finish(said)

    def _listen(self, ear: Ear) -> None:
        for number, finding in ear.findings():
            for sentence in self._words.sentences:
                if sentence.number == number and sentence.finding is None and not sentence.void:
                    sentence.finding = finding
        sentence = self._words.latest
        if sentence is None or sentence.void or sentence.given or ear.busy:
            return
        until = self._voice.time(self._voice.end)
        whole = [word for word in sentence.words if word.sounds_until <= until]
        if len(whole) <= sentence.read:
            return
        sentence.read = len(whole)
        more = sentence.words[len(whole)].text if len(whole) < len(sentence.words) else ""
        first = self._voice.at(sentence.words[0].earliest)
        samples = self._voice.cut(first, self._voice.end)
        ear.listen(Piece(sentence.number, samples, tuple(word.text for word in whole), more))

    # -- playing ----------------------------------------------------------------

    def _play(self) -> Samples:
        """The next 80 ms that are heard."""
        out = np.zeros(FRAME, dtype=np.float32)
        for at in range(0, FRAME, BLOCK):
            block = out[at : at + BLOCK]
            if self._patch is not None:
                self._play_patch(self._patch, block, at)
            else:
                self._play_block(block, at)
            if not block.any() and self._last:
                block[:_FADE] = self._last * _RAMP
                self._last = 0.0
            else:
                self._last = float(block[-1])
        return out

    def _play_patch(self, patch: Patch, block: Samples, at: int) -> None:
        samples, words = patch.next_block()
        block[:] = samples
        self._sounded = self._now
        for text, offset in words:
            start = self._now + (at + offset) / SAMPLE_RATE
            self._told.append(AgentWordEvent(time=self._now, text=text, start=round(start, 3)))
        if patch.over:
            self._patch = None
        # The agent's own voice goes by unheard, but for a sentence that it has begun meanwhile.
        if self._words.owner(self._voice.time(self._next + BLOCK))[0] != "agent":
            self._next = min(self._next + BLOCK, self._voice.end)

    def _play_block(self, block: Samples, at: int) -> None:
        self._catch_up(FRAME - at)
        verdict = self._verdict(self._next)
        if verdict.waits:
            self._waited += BLOCK / SAMPLE_RATE
            return
        self._waited = 0.0
        if verdict.finding is not None:
            self._block(verdict.finding, verdict.sentence)
            return
        if verdict.heard:
            block[:] = self._voice.cut(self._next, self._next + BLOCK)
            if block.any() and not self._murmurs(self._next + BLOCK):
                self._sounded = self._now
        self._loose = 0.0 if verdict.heard else self._loose
        self._next += BLOCK
        self._tell_words(at + BLOCK)

    def _murmurs(self, until: int) -> bool:
        """Whether what sounds up to this sample is, as far as it is known, only a murmur."""
        word = self._words.owner(self._voice.time(until))[1]
        return word is not None and self.rules.ground.begins_murmur(word.sentence.tokens)

    def _catch_up(self, left: int) -> None:
        """Leave silence out while more is held than should be."""
        hold = self._hold if self.holding else 0
        behind = self._voice.end - hold - (self._next + left)
        while behind >= BLOCK and not self._voice.loud(self._next, self._next + BLOCK):
            self._next += BLOCK
            behind -= BLOCK

    def _verdict(self, at: int) -> _Verdict:
        """What is to be done with the 20 ms from sample `at` on."""
        until = self._voice.time(at + BLOCK)
        if at + BLOCK > self._voice.end or at < 0:
            return _SILENCE if at < 0 else _WAIT
        while self._faults and self._faults[0].at < at + BLOCK:
            fault = self._faults.popleft()
            if self._words.owner(until)[0] != "void":
                return _Verdict(finding=Finding("audio", fault.reason))
        for sentence in self._words.sentences:
            verdict = self._wrong(sentence, until)
            if verdict is not None:
                return verdict
        owner, word = self._words.owner(until)
        if owner == "void":
            return _MUTE
        if not self._voice.loud(at, at + BLOCK):
            return _SILENCE
        if self._open is not None and self.holding and self._words.open_from(self._open) < until:
            return _WAIT if self._now - self._open < _OPEN_WAIT else _MUTE
        if owner == "nobody":
            return self._nobody()
        if word is not None:
            word.audible = True
        return _HEARD

    def _wrong(self, sentence: Sentence, until: float) -> _Verdict | None:
        """What a sentence's finding means for the voice up to `until`."""
        finding = sentence.finding
        if sentence.void or sentence.given or sentence.done:
            return None
        if finding is None and self._classifier is not None:
            due = [word for word in sentence.words if word.earliest < until]
            if due and due[-1].last > due[-1].first:
                finding = self._classifier.verdict(sentence.number, due[-1].last - 1)
                if finding is not None and finding.open:
                    return _WAIT
        if finding is None:
            return None
        word = sentence.word_at(finding.first)
        if word is None or word.earliest >= until:
            return None
        if finding.open or finding.check in _WAITS:
            sentence.waits_since = sentence.waits_since or self._now
            patience = self.rules.config.patience_ms / 1e3 if self.holding else 0.0
            if self._now - sentence.waits_since < patience - 1e-6:
                return _WAIT
        if finding.open and finding.passes:
            return None
        return _Verdict(finding=finding, sentence=sentence)

    def _nobody(self) -> _Verdict:
        """A voice that no word accounts for: it waits for one, then it is not let through."""
        if not self.rules.has("audio"):
            return _HEARD
        if self._waited < _LOOSE_WAIT and not self._loose:
            return _WAIT
        self._loose += BLOCK / SAMPLE_RATE
        if self._loose < self.rules.config.audio.loose:
            return _MUTE
        self._loose = 0.0
        return _Verdict(finding=Finding("audio", "There is a voice that says no words."))

    def _tell_words(self, played: int) -> None:
        """Tell the words that have begun to sound; `played`: samples of this frame so far."""
        until = self._voice.time(self._next)
        shift = self._now + played / SAMPLE_RATE - until
        for word in self._words.words:
            if word.start >= until:
                continue
            if not word.out:
                word.out = True
                if not word.void:
                    self._tell_word(word, shift)
            if not word.void and not word.sure and word.start + self._mute < until:
                word.sure = True
                self._miss(word)

    def _tell_word(self, word: Word, shift: float) -> None:
        if self._blocked and not word.sentence.given:
            self._blocked = False
            self._told.append(GuardEvent(time=self._now, action="resumed"))
        self.added_ms.append(shift * 1e3)
        start = round(word.start + shift, 3)
        self._told.append(AgentWordEvent(time=self._now, text=word.text, start=start))

    @property
    def _mute(self) -> float:
        return self.rules.config.audio.mute

    def _miss(self, word: Word) -> None:
        """A word is over: could it be heard?"""
        self._unheard = 0 if word.audible else self._unheard + 1
        if self._unheard >= 2 and self.rules.has("audio"):
            self._unheard = 0
            finding = Finding("audio", f'Its words cannot be heard ("{word.text}").')
            self._tell("fault", finding)
            self._block(finding, word.sentence)

    # -- blocking ---------------------------------------------------------------

    def _block(self, finding: Finding, sentence: Sentence | None) -> None:
        """The rest of what is being said is not heard; something else is said."""
        word = sentence.word_at(finding.first) if sentence is not None else None
        here = self._voice.time(max(self._next, 0))
        heard = word is not None and word.start < here and word.audible
        late = sentence is not None and sentence.over and all(w.out for w in sentence.words)
        if late and sentence is not None and sentence.words[-1].latest < here:
            sentence.done = True  # all of it was heard before anything was found
            self._tell("flagged", finding, sentence=sentence, heard=True)
            return
        begun = self._begun
        self._words.hush(here)
        phrase = self.rules.config.phrase_for(finding.check, self.rules.scenario)
        second = self._by_the_words(finding)
        if second is not None:
            self._told += self._gate.mend(second, self._now, finding.reason)
            if self._gate.instead is not None:
                phrase, self._gate.instead = self._gate.instead.after(begun), None
        self._tell("blocked", finding, sentence=sentence, heard=heard, phrase=phrase)
        self._blocked = True
        self._instead(phrase)

    def _instead(self, phrase: str) -> None:
        self._patch, self._given = self._replacer.begin(phrase, self._now)

    def _tell(
        self,
        action: _Action,
        finding: Finding,
        *,
        sentence: Sentence | None = None,
        heard: bool = False,
        phrase: str = "",
    ) -> None:
        redact = self.rules.redactor
        tokens = sentence.tokens[: finding.first + 1] if sentence is not None else ()
        self._told.append(
            GuardEvent(
                time=self._now,
                action=action,
                check=finding.check,
                reason=redact.text(finding.reason),
                text=redact.text(" ".join(tokens)),
                phrase=phrase,
                heard=heard,
            )
        )


class _Verdict(NamedTuple):
    waits: bool = False
    heard: bool = False
    finding: Finding | None = None
    sentence: Sentence | None = None


_WAIT, _MUTE = _Verdict(waits=True), _Verdict()
_HEARD = _SILENCE = _Verdict(heard=True)


def lead_ms(delays: Delays) -> float:
    """The lead of the text over its voice, in whole frames of 80 ms."""
    lead = delays.text_lead * SECONDS + delays.codec_lookahead / SAMPLE_RATE
    return math.ceil(lead / SECONDS - 1e-6) * SECONDS * 1e3
