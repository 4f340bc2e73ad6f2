"""A server under load: many callers at once, who speak recordings in real time, from one process.

Each caller makes a call, speaks a recording, hears the answer out, hangs up and calls again, until
the time is over; then nobody calls any more and the calls that are open are held to their end. The
recordings go round among all callers. What is measured is what a listener would hear.

The generator measures itself too: where it was late with the caller's sound, or did not get to
read what had come, its own lateness is in the figures, and is told beside them.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from antiphon.client.client import Client
from antiphon.client.errors import ClientError, Refused
from antiphon.client.events import Samples, ToolCall
from antiphon.client.playback import BUFFER
from antiphon.client.sound import RATE
from antiphon.client.speak import Exchange, speak

PAUSE = 0.3  # seconds between a caller's calls: the server is told of the end of one before
RETRY = 1.0  # seconds after a call that failed, or was refused without a word of when to retry
STAGGER = 10.0  # seconds over which the callers begin, or a quarter of the time if that is less
GRAIN = 0.02  # seconds between two looks at how late this process runs
_TOLD = 0.5  # seconds between two words of progress
_FULL = (None, 429, 503)  # refusals that are of no failure

Judge = Callable[["Recording", Sequence[ToolCall]], bool | None]
"""Whether calls of tools are what a recording asks for; None where nobody knows."""


@dataclass(frozen=True, eq=False)
class Recording:
    """What a caller says: float32 [N] at `RATE` Hz (24,000); its speech ends at `end` seconds."""

    name: str
    samples: Samples
    end: float


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Spread(_Frozen):
    """Percentiles, in milliseconds."""

    p50: float
    p90: float
    p95: float


class Generator(_Frozen):
    """How late this process itself was, in milliseconds, and how many cores it used."""

    sent_late_p50: float
    sent_late_p99: float
    sent_late_worst: float
    """The caller's sound after its time; one of these belongs to each 20 ms of it."""
    loop_late_p99: float
    loop_late_worst: float
    """How long something that had come waited to be read, as a timer sees it."""
    cores: float


class Figures(_Frozen):
    """What so many callers met with."""

    sessions: int
    """Callers at once."""
    at_once: int
    """Calls that were open at once, at most."""
    seconds: float
    calls: int
    """Held to their end."""
    refused: int
    failed: int
    answered: int
    first_audio_ms: Spread | None
    """From the caller's last sound to the agent's first, as played: with the player's buffer."""
    setup_ms: Spread | None
    """From the wish for a call to a session that is ready."""
    refused_ms: Spread | None
    """From the wish for a call to the refusal."""
    sound_seconds: float
    """The agent's sound, as played."""
    pieces: int
    """The messages that it came in."""
    gaps: int
    """How often it broke off because a piece came too late to be played in time."""
    late_share: float
    """Gaps of all pieces."""
    calls_with_gaps: int
    gap_seconds: float
    """Silence that was put in."""
    gap_worst_ms: float
    judged: int
    right: int
    right_share: float | None
    reasons: dict[str, int]
    """Why calls failed."""
    generator: Generator


class Same(_Frozen):
    """The recordings that were spoken alone and together, and the share answered right in each."""

    recordings: int
    alone: float
    together: float


class Bench(_Frozen):
    """A server's figures: of one caller alone, if asked for, and of all of them."""

    server: str
    recordings: int
    buffer_ms: float
    alone: Figures | None
    together: Figures
    same: Same | None


@dataclass(frozen=True)
class Visit:
    """One try to call. `seconds`: until the session was ready, or the refusal came."""

    outcome: Literal["held", "refused", "failed"]
    recording: str
    seconds: float
    exchange: Exchange | None = None
    right: bool | None = None
    reason: str = ""


@dataclass(frozen=True)
class Progress:
    """How far it is: `share` of the time, and what there was so far."""

    share: float
    open: int
    calls: int
    refused: int
    failed: int


async def bench(
    client: Client,
    recordings: Sequence[Recording],
    *,
    sessions: int,
    seconds: float,
    alone: bool = False,
    model: str | None = None,
    buffer: float = BUFFER,
    judge: Judge | None = None,
    progress: Callable[[str, Progress], None] | None = None,
) -> Bench:
    """Put a server under load; `alone`: one caller first, for as long. `buffer` is the player's.

    progress: told now and then, with "alone" or "together". Raises ClientError when the server
    cannot be called at all, before anything is measured.
    """
    async with client.call(model=model, rate=RATE):
        pass
    made: dict[str, list[Visit]] = {}
    figures: dict[str, Figures] = {}
    for name, callers in (("alone", 1), ("together", sessions)):
        if name == "alone" and not alone:
            continue
        await asyncio.sleep(PAUSE)
        tell = None if progress is None else _named(progress, name)
        run = _Run(client, recordings, callers, seconds, model, buffer, judge, tell)
        made[name], figures[name] = await run.run()
    return Bench(
        server=client.name,
        recordings=len(recordings),
        buffer_ms=buffer * 1e3,
        alone=figures.get("alone"),
        together=figures["together"],
        same=_same(made.get("alone", []), made["together"]),
    )


def _named(progress: Callable[[str, Progress], None], name: str) -> Callable[[Progress], None]:
    return lambda far: progress(name, far)


class _Run:
    """So many callers for so long."""

    def __init__(
        self,
        client: Client,
        recordings: Sequence[Recording],
        callers: int,
        seconds: float,
        model: str | None,
        buffer: float,
        judge: Judge | None,
        tell: Callable[[Progress], None] | None,
    ) -> None:
        self._client, self._next = client, cycle(recordings)
        self._callers, self._seconds = callers, seconds
        self._model, self._buffer, self._judge, self._tell = model, buffer, judge, tell
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._visits: list[Visit] = []
        self._late: list[float] = []
        self._lags: list[float] = []
        self._open = self._most = 0

    async def run(self) -> tuple[list[Visit], Figures]:
        """All of it."""
        used = time.process_time()
        spread = min(STAGGER, self._seconds / 4)
        tasks = [
            asyncio.create_task(self._caller(spread * number / self._callers), name=f"{number}")
            for number in range(self._callers)
        ]
        watch = asyncio.create_task(self._watch(), name="watch")
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in (watch, *tasks):
                task.cancel()
            await asyncio.gather(watch, *tasks, return_exceptions=True)
        wall = self._loop.time() - self._began
        cores = (time.process_time() - used) / max(wall, 1e-9)
        generator = Generator(
            sent_late_p50=_ms(self._late, 50),
            sent_late_p99=_ms(self._late, 99),
            sent_late_worst=_ms(self._late, 100),
            loop_late_p99=_ms(self._lags, 99),
            loop_late_worst=_ms(self._lags, 100),
            cores=round(cores, 3),
        )
        return self._visits, figures(
            self._visits, generator, sessions=self._callers, at_once=self._most, seconds=wall
        )

    async def _caller(self, wait: float) -> None:
        await asyncio.sleep(wait)
        while (left := self._seconds - (self._loop.time() - self._began)) > 0:
            visit, pause = await self._visit(next(self._next))
            self._visits.append(visit)
            await asyncio.sleep(min(pause, max(left, PAUSE)))

    async def _visit(self, recording: Recording) -> tuple[Visit, float]:
        """(what became of a call, seconds until the next)."""
        began = self._loop.time()
        ready: float | None = None
        try:
            async with self._client.call(model=self._model, rate=RATE) as call:
                ready = self._loop.time() - began
                self._open += 1
                self._most = max(self._most, self._open)
                try:
                    exchange = await speak(
                        call, recording.samples, recording.end, buffer=self._buffer
                    )
                finally:
                    self._open -= 1
        except ClientError as error:
            seconds = self._loop.time() - began if ready is None else ready
            if isinstance(error, Refused) and error.status in _FULL and ready is None:
                pause = RETRY if error.retry_after is None else error.retry_after
                return Visit("refused", recording.name, seconds), max(PAUSE, pause)
            return Visit("failed", recording.name, seconds, reason=str(error)), RETRY
        self._late += exchange.late
        exchange.late, exchange.chunks = [], []  # hours of calls are not kept
        right = None if self._judge is None else self._judge(recording, exchange.calls)
        return Visit("held", recording.name, ready, exchange, right), PAUSE

    async def _watch(self) -> None:
        """How late this process runs; and the progress."""
        told = 0.0
        while True:
            due = self._loop.time() + GRAIN
            await asyncio.sleep(GRAIN)
            now = self._loop.time()
            self._lags.append(max(0.0, now - due))
            if self._tell is not None and now - told >= _TOLD:
                told = now
                counted = Counter(visit.outcome for visit in self._visits)
                share = min(1.0, (now - self._began) / self._seconds)
                self._tell(
                    Progress(
                        share, self._open, counted["held"], counted["refused"], counted["failed"]
                    )
                )


def figures(
    visits: Sequence[Visit],
    generator: Generator,
    *,
    sessions: int,
    at_once: int,
    seconds: float,
) -> Figures:
    """The figures of calls that were tried."""
    held = [visit for visit in visits if visit.outcome == "held"]
    exchanges = [visit.exchange for visit in held if visit.exchange is not None]
    firsts = [e.first_audible for e in exchanges]
    heard = [first for first in firsts if first is not None]
    gaps = [gap for exchange in exchanges for gap in exchange.playback.gaps]
    pieces = sum(exchange.playback.pieces for exchange in exchanges)
    judged = [visit.right for visit in held if visit.right is not None]
    refused = [visit.seconds for visit in visits if visit.outcome == "refused"]
    reasons = Counter(visit.reason for visit in visits if visit.outcome == "failed")
    return Figures(
        sessions=sessions,
        at_once=at_once,
        seconds=round(seconds, 2),
        calls=len(held),
        refused=len(refused),
        failed=sum(reasons.values()),
        answered=len(heard),
        first_audio_ms=_spread(heard),
        setup_ms=_spread([visit.seconds for visit in held]),
        refused_ms=_spread(refused),
        sound_seconds=round(sum(exchange.playback.seconds for exchange in exchanges), 2),
        pieces=pieces,
        gaps=len(gaps),
        late_share=round(len(gaps) / pieces, 6) if pieces else 0.0,
        calls_with_gaps=sum(bool(exchange.playback.gaps) for exchange in exchanges),
        gap_seconds=round(sum(gaps), 3),
        gap_worst_ms=_ms(gaps, 100),
        judged=len(judged),
        right=sum(judged),
        right_share=round(sum(judged) / len(judged), 4) if judged else None,
        reasons=dict(reasons.most_common()),
        generator=generator,
    )


def _same(alone: Sequence[Visit], together: Sequence[Visit]) -> Same | None:
    """Each recording counts once on either side, however often it was spoken."""
    once, many = _by_recording(alone), _by_recording(together)
    both = sorted(once.keys() & many.keys())
    if not both:
        return None
    return Same(
        recordings=len(both),
        alone=round(float(np.mean([np.mean(once[name]) for name in both])), 4),
        together=round(float(np.mean([np.mean(many[name]) for name in both])), 4),
    )


def _by_recording(visits: Sequence[Visit]) -> dict[str, list[bool]]:
    out: dict[str, list[bool]] = {}
    for visit in visits:
        if visit.right is not None:
            out.setdefault(visit.recording, []).append(visit.right)
    return out


def _spread(seconds: Sequence[float]) -> Spread | None:
    if not seconds:
        return None
    return Spread(p50=_ms(seconds, 50), p90=_ms(seconds, 90), p95=_ms(seconds, 95))


def _ms(seconds: Sequence[float], percent: float) -> float:
    """A percentile of seconds in milliseconds; 0 where there are none."""
    return round(float(np.percentile(seconds, percent)) * 1e3, 2) if seconds else 0.0
