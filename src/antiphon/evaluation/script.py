"""Scripted callers: deterministic people who say prepared things when the agent gives them cause.

A stimulus is data: clips, and the steps in which they are played. Its truth (when the caller
spoke, paused, broke in) is known to the sample, because the script made it; nothing is guessed
from sound. Only the agent's side is watched: is it audible, what did it say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from antiphon.corpus.calls import Call
from antiphon.corpus.conversation import Event, Word
from antiphon.evaluation.protocol import SECONDS, TICK, Told
from antiphon.runtime.events import AgentWordEvent, Samples
from antiphon.runtime.latency import AUDIBLE

Suite = Literal["task", "duplex", "tone", "speech", "risk"]
"""Suites that bring stimuli of their own; the others read the trials of these."""
Kind = Literal["turn", "barge_in", "backchannel", "side_talk", "noise"]
When = Literal["start", "caller_done", "agent_done", "agent_speaking"]

SETTLED = 0.7  # s of silence after which the agent's reply is taken to be over
TAIL = 2.5  # s that a trial goes on after the caller's last sound
UNANSWERED = 5.0  # s after which an answer is taken not to come
ANSWER = 20.0  # s after the caller's last sound at which even a voice that never ends is left


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Clip(_Part):
    """A prepared sound; times are seconds from its first sample."""

    path: str
    """Relative to the set of stimuli, or absolute."""
    text: str = ""
    voice: str = ""
    tone: str = "neutral"
    words: tuple[tuple[str, float, float], ...] = ()
    pauses: tuple[tuple[float, float], ...] = ()
    start: float
    """Where its first sound begins, and (`end`) its last one ends."""
    end: float


class Step(_Part):
    """A clip and its cause.

    when: `start`, from the trial's start; `caller_done`, from the last clip's end; `agent_done`,
    from the end of the agent's reply to it; `agent_speaking`, from the reply's first sound.
    """

    clip: Clip
    kind: Kind = "turn"
    when: When = "start"
    after: float = 0.0
    """Seconds from the cause to the clip's first sound."""
    patience: float = 6.0
    """Seconds of waiting for the agent to begin: then a turn is said anyway, the rest is left."""
    expects: Call | None = None
    """What the agent's reply must confirm; if it does not, the `repairs` are said in turn."""
    repairs: tuple[Clip, ...] = ()


class Goal(_Part):
    """The state in which a call must leave the scenario's tools; None: not looked at."""

    order: tuple[dict[str, Any], ...] | None = None
    """The items that stand on order, in any order; (): nothing."""
    calls: tuple[Call, ...] | None = None
    """All calls other than those that change the order, in any order."""


class Stimulus(_Part):
    """One caller's script and everything that a metric needs to know of it."""

    id: str
    """Unique in its set, and a path: "duplex/barge_in/007"."""
    suite: Suite
    kind: str
    """What it tests: "order", "barge_in", "silence" ..."""
    steps: tuple[Step, ...]
    goal: Goal | None = None
    condition: str = "clean"
    """The state of the line: a name of antiphon.evaluation.conditions."""
    seconds: float = 0.0
    """For a script without steps (silence): how long it lasts."""
    group: str = ""
    """What belongs together when intervals are drawn: the voice, or a pair's name."""
    facts: dict[str, Any] = {}
    """What only this kind's metrics know: a wanted tone of reply, ..."""


Load = Callable[[str], Samples]
"""A clip's path to float32 [N] at 16 kHz."""


class ScriptedCaller:
    """A stimulus that is being played: `tick` by `tick`, until `done`.

    agrees: whether a reply's words confirm a call (`Scenario.reply_agrees`).
    """

    def __init__(
        self, stimulus: Stimulus, load: Load, agrees: Callable[[Call, str], bool] | None = None
    ) -> None:
        self.stimulus = stimulus
        self.words: list[Word] = []
        self.events: list[Event] = []
        self._load, self._agrees = load, agrees
        self._step = 0  # the next one
        self._repaired = 0  # repairs said of the step before it
        self._tick = 0
        self._playing: Samples = np.zeros(0, dtype=np.float32)
        self._ended = 0.0  # the caller's last sound
        self._onset: float | None = None  # the agent's first sound since then
        self._last_sound = -1.0  # the agent's last one
        self._said: list[str] = []  # the agent's words since the caller's last turn

    @property
    def now(self) -> float:
        """Seconds since the trial's start."""
        return self._tick * SECONDS

    @property
    def done(self) -> bool:
        """Whether nothing more is to be said and the agent has settled."""
        if self._step < len(self.stimulus.steps) or len(self._playing):
            return False
        if not self.stimulus.steps:
            return self.now >= self.stimulus.seconds
        since = self.now - self._ended
        settled = self.now - self._last_sound >= SETTLED
        waited = since >= (TAIL if self._onset is not None else UNANSWERED)
        return (waited and settled and not self._repair_due()) or since >= ANSWER

    def tick(self, agent: Samples, told: Sequence[Told]) -> Samples:
        """The caller's next 20 ms, float32 [TICK]; `agent` is what is heard beside them."""
        self._listen(agent, told)
        if not len(self._playing):
            self._begin()
        said, self._playing = self._playing[:TICK], self._playing[TICK:]
        self._tick += 1
        return np.pad(said, (0, TICK - len(said))) if len(said) < TICK else said

    def _listen(self, agent: Samples, told: Sequence[Told]) -> None:
        self._said += [event.text for event in told if isinstance(event, AgentWordEvent)]
        if np.abs(agent).max(initial=0.0) < AUDIBLE:
            return
        self._last_sound = self.now + SECONDS
        if self._onset is None and self.now >= self._ended:
            self._onset = self.now

    def _begin(self) -> None:
        """Start the clip whose time has come, if there is one."""
        if self._repair_due():
            clip = self.stimulus.steps[self._step - 1].repairs[self._repaired]
            self._repaired += 1
            self._play(clip, "turn", {"repair": self._repaired})
            return
        if self._step == len(self.stimulus.steps):
            return
        step = self.stimulus.steps[self._step]
        due = self._due(step)
        if due is None:
            if self.now - self._ended > step.patience:
                self._give_up(step)
        elif self.now + SECONDS / 2 >= due - step.clip.start:
            self._step, self._repaired = self._step + 1, 0
            self._play(step.clip, step.kind, {"step": self._step - 1})

    def _due(self, step: Step) -> float | None:
        """When the step's first sound is due; None: its cause has not come yet."""
        if step.when == "start":
            return step.after
        if step.when == "caller_done":
            return self._ended + step.after
        if step.when == "agent_speaking":
            speaking = self._onset is not None and self.now - self._last_sound < SETTLED
            return self._onset + step.after if self._onset is not None and speaking else None
        if not self._agent_done():
            return None
        return self._last_sound + max(step.after, SETTLED)

    def _agent_done(self) -> bool:
        return self._onset is not None and self.now - self._last_sound >= SETTLED

    def _give_up(self, step: Step) -> None:
        if step.kind in ("turn", "barge_in") and step.when != "agent_speaking":
            self._step, self._repaired = self._step + 1, 0
            self._play(step.clip, step.kind, {"step": self._step - 1, "unanswered": True})
        else:
            self.events.append(
                Event(
                    kind="missed",
                    speaker="caller",
                    start=self.now,
                    end=self.now,
                    data={"step": self._step, "kind": step.kind},
                )
            )
            self._step += 1

    def _repair_due(self) -> bool:
        if self._step == 0 or self._agrees is None:
            return False
        step = self.stimulus.steps[self._step - 1]
        if step.expects is None or self._repaired >= len(step.repairs) or not self._agent_done():
            return False
        return not self._agrees(step.expects, " ".join(self._said))

    def _play(self, clip: Clip, kind: Kind, facts: Mapping[str, Any]) -> None:
        zero = self.now
        self._playing = self._load(clip.path)
        data: dict[str, Any] = {"text": clip.text, "tone": clip.tone, "voice": clip.voice, **facts}
        start, end = _ms(zero + clip.start), _ms(zero + clip.end)
        self.events.append(Event(kind=kind, speaker="caller", start=start, end=end, data=data))
        self.events += [
            Event(kind="pause", speaker="caller", start=_ms(zero + a), end=_ms(zero + b))
            for a, b in clip.pauses
        ]
        if kind != "noise":
            self.words += [
                Word(text=text, start=_ms(zero + a), end=_ms(zero + b), speaker="caller")
                for text, a, b in clip.words
            ]
        if kind in ("turn", "barge_in"):
            self._ended, self._onset, self._said = zero + clip.end, None, []


def _ms(seconds: float) -> float:
    return round(seconds, 3)
