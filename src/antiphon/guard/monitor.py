"""Watches calls and says how risky they are: each one, and all of them in rolling windows.

In: the events of each call as they went out (the guard's among them) and its finished turns. Out:
`Risk` snapshots. It holds no sound and no text beyond a call's last turns; it may be told by a
server's observers or by a loop in process. Times are seconds of one clock, the caller's choice.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from antiphon.corpus import grammar
from antiphon.corpus.calls import schema_error
from antiphon.corpus.edits import distance
from antiphon.guard.calibration import Reliability, reliability
from antiphon.guard.checks import Rulebook
from antiphon.guard.events import GuardEvent
from antiphon.guard.risk import Counts, Rate, Risk, risk_of
from antiphon.runtime.clock import ClockEvent, HeardEvent
from antiphon.runtime.events import AudioEvent, CallEvent
from antiphon.runtime.session import SECONDS

WINDOWS = (60.0, 300.0, 3600.0)  # s
_STEP = 5.0  # s that windows move by
_FLUSH = 1.0  # s in which a call's counts reach the windows
_OUTCOMES = 5_000  # outcomes that calibration looks at
_ALIKE = 0.25  # share of letters that may differ in what is said again
_LEAST = 6  # letters from which a turn can be a repeat
_VOICE = 0.5  # voice activity from which somebody may have spoken
_AGAIN = ("repeat",)  # intents that ask for what was said
_OTHER = ("out_of_domain",)
_UNSAFE = ("unsafe", "forbidden", "personal", "language", "classifier")
_CLAIMS = ("claims", "script")
_FRUSTRATED = ("annoyed",)


class TurnLike(Protocol):
    """A finished turn of either side, as the server tells it."""

    @property
    def speaker(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...
    @property
    def tone(self) -> str | None: ...


@dataclass
class _Call:
    """What is kept of a call that goes on."""

    counts: Counts = field(default_factory=lambda: Counts(calls=1))
    told: Counts = field(default_factory=Counts)
    """What of it the windows know."""
    flushed: float = -1.0
    """When that was."""
    said: deque[str] = field(default_factory=lambda: deque[str](maxlen=4))
    """The caller's last turns."""
    caller_end: float | None = None
    """When the caller's last turn ended; None: the agent has answered it."""
    voiced: bool = False
    """Whether a voice was heard since the agent spoke."""
    blocked: bool = False
    """Whether the last answer was blocked."""
    flagged: set[str] = field(default_factory=set[str])
    """Checks that found something in the present turn."""
    confidence: deque[float] = field(default_factory=lambda: deque[float](maxlen=100))


class Monitor:
    """The risk of a service's calls. `rules` reads what callers say."""

    def __init__(self, rules: Rulebook, windows: Sequence[float] = WINDOWS) -> None:
        self._rules = rules
        self.windows = tuple(windows)
        self._calls: dict[str, _Call] = {}
        self._total = Counts()
        self._steps: deque[tuple[float, Counts]] = deque()  # (end, counts) of stretches of _STEP
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=_OUTCOMES)
        self._now = 0.0

    # -- calls ------------------------------------------------------------------

    def opened(self, call_id: str, now: float) -> None:
        """A call begins."""
        self._calls[call_id] = _Call()
        self._add(call_id, now)

    def closed(self, call_id: str, now: float) -> None:
        """A call is over."""
        self._add(call_id, now)
        self._calls.pop(call_id, None)

    def knows(self, call_id: str) -> bool:
        """Whether this call goes on."""
        return call_id in self._calls

    def events(self, call_id: str, events: Sequence[ClockEvent | GuardEvent], now: float) -> None:
        """A beat of a call, as it went out."""
        call = self._of(call_id)
        for event in events:
            match event:
                case AudioEvent():
                    call.counts.minutes += SECONDS / 60
                case HeardEvent():
                    call.voiced = call.voiced or event.out.vad >= _VOICE
                    if event.out.vad >= _VOICE:
                        self.confidence(call_id, event.out.confidence)
                case CallEvent():
                    self._call(call, event)
                case GuardEvent():
                    self._guard(call, event)
                case _:
                    pass
        if now - call.flushed >= _FLUSH:
            self._add(call_id, now)

    def turn(self, call_id: str, turn: TurnLike) -> None:
        """A finished turn."""
        call = self._of(call_id)
        if turn.speaker == "caller":
            self._caller_turn(call, turn)
        else:
            self._agent_turn(call, turn)
        self._add(call_id, self._now)

    def confidence(self, call_id: str, value: float) -> None:
        """How sure the network was of what it heard, 0 to 1."""
        call = self._of(call_id)
        kept = min(max(value, 0.0), 1.0) if math.isfinite(value) else 0.0
        call.confidence.append(kept)
        call.counts.confident += kept
        call.counts.confidences += 1

    def divergence(self, call_id: str, rate: float) -> None:
        """The character error rate of a turn that was read back."""
        counts = self._of(call_id).counts
        counts.judged += 1
        counts.diverged += rate

    def missed(self, call_id: str, times: int = 1) -> None:
        """Deadlines that were missed."""
        self._of(call_id).counts.missed += times

    def outcome(self, confidence: float, right: bool) -> None:
        """How sure it was, and whether it was right, where somebody knows: for calibration."""
        self._outcomes.append((min(max(confidence, 0.0), 1.0), right))

    def over_block(self, call_id: str) -> None:
        """A person says that a block was wrong."""
        self._of(call_id).counts.over_blocks += 1

    # -- figures ----------------------------------------------------------------

    def call_risk(self, call_id: str) -> Risk:
        """One call so far."""
        return risk_of(self._of(call_id).counts, time=self._now)

    def risk(self, window: float | None = None) -> Risk:
        """All calls; `window` (s) takes the last of them, to within five seconds."""
        found = self.calibration()
        ece = Rate(value=found.ece, n=found.n) if found is not None else None
        if window is None:
            return risk_of(self._total, time=self._now, ece=ece)
        counts = Counts()
        for end, part in self._steps:
            if end > self._now - window:
                counts += part
        return risk_of(counts, time=self._now, window=window, ece=ece)

    def risks(self) -> dict[str, Risk]:
        """Of every window, by its seconds, and "all"."""
        found = {f"{window:.0f}": self.risk(window) for window in self.windows}
        return {**found, "all": self.risk()}

    def calibration(self, bins: int = 10) -> Reliability | None:
        """The reliability diagram of the outcomes that are known."""
        return reliability([c for c, _ in self._outcomes], [r for _, r in self._outcomes], bins)

    def recent_confidence(self, call_id: str) -> float | None:
        """The mean of a call's last hundred frames with a voice."""
        kept = self._of(call_id).confidence
        return sum(kept) / len(kept) if kept else None

    # -- what happened ----------------------------------------------------------

    def _of(self, call_id: str) -> _Call:
        return self._calls.setdefault(call_id, _Call())

    def _call(self, call: _Call, event: CallEvent) -> None:
        call.counts.tool_calls += 1
        if schema_error(event.name, event.arguments, self._rules.scenario.tools):
            call.counts.invalid_calls += 1

    def _guard(self, call: _Call, event: GuardEvent) -> None:
        counts = call.counts
        if event.action == "call_blocked":
            counts.tool_calls += 1
            counts.invalid_calls += 1
        elif event.action == "fault":
            counts.faults += 1
        if event.action not in ("blocked", "flagged"):
            return
        call.flagged.add(event.check)
        if event.action == "blocked":
            counts.blocks += 1
            counts.heard += event.heard
            call.blocked = True
            counts.agent_turns += 1  # what was blocked is no turn that anybody was told
            self._charge(call)

    def _charge(self, call: _Call) -> None:
        """Put what the checks found down to a turn."""
        call.counts.hallucinated += any(check in _CLAIMS for check in call.flagged)
        call.counts.violations += any(check in _UNSAFE for check in call.flagged)
        call.flagged.clear()

    def _caller_turn(self, call: _Call, turn: TurnLike) -> None:
        counts = call.counts
        words = tuple(grammar.plain(turn.text).split())
        text = " ".join(words)
        counts.caller_turns += 1
        reading = self._rules.reader.read(words) if words else None
        counts.out_of_domain += reading is None or reading.intent in _OTHER
        again = any(_same(text, before) for before in call.said)
        counts.repeats += again or (reading is not None and reading.intent in _AGAIN)
        if call.blocked and again:
            counts.over_blocks += 1
        if turn.tone is not None:
            counts.toned += 1
            counts.frustrated += turn.tone in _FRUSTRATED
        call.blocked = False
        call.said.append(text)
        call.caller_end = turn.end

    def _agent_turn(self, call: _Call, turn: TurnLike) -> None:
        counts = call.counts
        if call.flagged or not call.blocked:
            counts.agent_turns += 1
        self._charge(call)
        asks = self._rules.ground.is_prompt(tuple(grammar.plain(turn.text).split()))
        if call.caller_end is None and not call.blocked and not asks:
            if call.voiced:
                counts.noise_answers += 1
            else:
                counts.silence_answers += 1
        call.caller_end, call.voiced = None, False

    # -- windows ----------------------------------------------------------------

    def _add(self, call_id: str, now: float) -> None:
        """Put what is new in a call into the present stretch."""
        self._now = max(self._now, now)
        call = self._of(call_id)
        new = call.counts - call.told
        call.told, call.flushed = call.counts.copy(), self._now
        self._total += new
        if not self._steps or self._now > self._steps[-1][0]:
            self._steps.append((self._now + _STEP, Counts()))
        end, counts = self._steps[-1]
        self._steps[-1] = (end, counts + new)
        longest = max(self.windows, default=0.0)
        while self._steps and self._steps[0][0] <= self._now - longest:
            self._steps.popleft()


def _same(text: str, before: str) -> bool:
    longest = max(len(text), len(before))
    return longest >= _LEAST and distance(text, before) <= _ALIKE * longest
