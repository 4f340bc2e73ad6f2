"""Does a long call end as it began? One call of many minutes, order after order.

What drifts in a streaming system drifts slowly: memory of the conversation, the voice fed back to
itself, the clock. The last five minutes are held against the first five.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.audio.io import read
from antiphon.corpus.order import effects
from antiphon.evaluation.commands import Clip
from antiphon.evaluation.metrics.prosody import contours
from antiphon.evaluation.statistics import Share, percentile, share
from antiphon.runtime.agent import Agent
from antiphon.runtime.events import AudioEvent, CallEvent, Samples
from antiphon.runtime.latency import AUDIBLE, replies, speech_end
from antiphon.runtime.session import SECONDS, Session

WINDOW = 300.0  # s at either end that are compared
_PATIENCE = 4.0  # s of silence after which no answer is taken to come
_SETTLE = 1.2  # s of the agent's silence after which its answer is over
_LONGEST = 20.0  # s that an answer may take


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Exchange(_Frozen):
    """One order in a long call. at: s from the call's start; gap: s to the answer, signed."""

    at: float
    right: bool
    gap: float | None
    pitch: float | None
    """Mean of the agent's F0 in the answer, Hz."""
    level: float | None
    """Mean level of the answer, dBFS."""
    frame_ms: float
    """Median process time of its frames."""


class Part(_Frozen):
    """One end of the calls."""

    exchanges: int
    right: Share
    answered: Share
    gap_p50: float | None
    pitch: float | None
    level: float | None
    frame_ms: float | None


class Endurance(_Frozen):
    """The report; `first` and `last` are the calls' first and last five minutes."""

    bundle: str
    data: str
    calls: int
    minutes: float
    seed: int
    first: Part
    last: Part
    whole: Part


@dataclass
class _Line:
    """A call under way and what was heard of it since the last order began."""

    session: Session
    voice: list[Samples]
    calls: list[CallEvent]

    def push(self, frame: Samples) -> None:
        for event in self.session.push(frame):
            if isinstance(event, AudioEvent):
                self.voice.append(event.samples)
            elif isinstance(event, CallEvent):
                self.calls.append(event)


def hold(
    agent: Agent,
    clips: Sequence[Clip],
    minutes: float,
    *,
    seed: int = 0,
    progress: Callable[[float], None] = lambda _: None,
) -> list[Exchange]:
    """One call of about `minutes`: the clips in a drawn order, again and again.

    `progress` is told the seconds of the call so far. Raises AudioError for a clip that cannot be
    read.
    """
    drawn = _drawn(clips, random.Random(seed))
    found: list[Exchange] = []
    with agent.session(seed) as session:
        line = _Line(session, [], [])
        while session.time < minutes * 60:
            found.append(_exchange(agent, line, next(drawn)))
            progress(session.time)
    return found


def report(
    held: Sequence[Sequence[Exchange]], *, bundle: str, data: str, minutes: float, seed: int = 0
) -> Endurance:
    """The figures of some long calls."""
    first = [e for call in held for e in call if e.at < WINDOW]
    last = [e for call in held for e in call if e.at >= minutes * 60 - WINDOW]
    return Endurance(
        bundle=bundle,
        data=data,
        calls=len(held),
        minutes=minutes,
        seed=seed,
        first=_part(first),
        last=_part(last),
        whole=_part([e for call in held for e in call]),
    )


def _drawn(clips: Sequence[Clip], rng: random.Random) -> Iterator[Clip]:
    while True:
        yield from rng.sample(clips, len(clips))


def _exchange(agent: Agent, line: _Line, clip: Clip) -> Exchange:
    samples = read(clip.path)
    at = line.session.time
    line.voice.clear()
    line.calls.clear()
    spent = len(line.session.process_seconds)
    padded = np.pad(samples, (0, -len(samples) % FRAME))
    for start in range(0, len(padded), FRAME):
        line.push(padded[start : start + FRAME])
    end = speech_end(samples) or len(samples) / SAMPLE_RATE
    _settle(line, end)
    # A frame plays when the caller's frame is full: one frame later on the clock.
    heard = np.concatenate([np.zeros(FRAME, np.float32), *line.voice])
    after = [a for a, b in replies(heard) if b > end]
    sound = contours(heard[round(after[0] * SAMPLE_RATE) :]) if after else None
    f0 = sound.f0[sound.f0 > 0] if sound is not None else np.zeros(0)
    costs = list(line.session.process_seconds)[spent:]
    return Exchange(
        at=at,
        right=_right(agent, line.calls, clip),
        gap=after[0] - end if after else None,
        pitch=float(f0.mean()) if len(f0) else None,
        level=None if sound is None else float(sound.level[sound.level > -45].mean()),
        frame_ms=1e3 * float(np.median(costs)) if costs else 0.0,
    )


def _settle(line: _Line, end: float) -> None:
    """Silence until the agent has answered and is still."""
    silence, loud = np.zeros(FRAME, dtype=np.float32), None
    for _ in range(round(_LONGEST / SECONDS)):
        line.push(silence)
        now = len(line.voice) * SECONDS
        if np.abs(line.voice[-1]).max() >= AUDIBLE and now > end:
            loud = now
        if now - (end if loud is None else loud) >= (_PATIENCE if loud is None else _SETTLE):
            return


def _right(agent: Agent, calls: Sequence[CallEvent], clip: Clip) -> bool:
    """Whether the calls put exactly what the clip wants on order, and nothing else."""
    does = effects(agent.scenario)
    items = [
        item
        for call in calls
        if does.get(call.name) == "add"
        for item in call.arguments.get("items", [call.arguments])
    ]
    changed = any(does.get(call.name) in ("change", "clear") for call in calls)
    return len(items) == 1 and not changed and agent.scenario.manifest_slots(items[0]) == clip.slots


def _part(exchanges: Sequence[Exchange]) -> Part:
    gaps = [e.gap * 1e3 for e in exchanges if e.gap is not None]
    return Part(
        exchanges=len(exchanges),
        right=share(sum(e.right for e in exchanges), len(exchanges)),
        answered=share(len(gaps), len(exchanges)),
        gap_p50=percentile(gaps, 50),
        pitch=_mean([e.pitch for e in exchanges if e.pitch is not None]),
        level=_mean([e.level for e in exchanges if e.level is not None]),
        frame_ms=percentile([e.frame_ms for e in exchanges], 50),
    )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
