"""A server in the place of an agent in process: its answer to a recording."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.io import read
from antiphon.bundle import find, load
from antiphon.client.client import Client
from antiphon.client.events import AgentWords, CallerWords, Event, Turn
from antiphon.client.speak import Exchange, speak
from antiphon.client.words import Words, texts
from antiphon.corpus.order import fold
from antiphon.corpus.scenario import Scenario, load_scenario
from antiphon.runtime.agent import Answer
from antiphon.runtime.events import AgentWordEvent, CallerWordEvent, CallEvent
from antiphon.runtime.events import Event as CallersEvent
from antiphon.runtime.latency import Latency, speech_end

_LEAD = 1.0  # seconds by which a text may be ahead of its sound: more than that is no lead


class Line(BaseModel):
    """What the way to the server and back was like, in milliseconds."""

    model_config = ConfigDict(frozen=True)

    first_audible: float | None
    """From the caller's last sound to the agent's first, as played: with the network, the player's
    buffer and all that the server does in it."""
    setup: float
    """Until the session was ready."""
    gaps: int
    """How often the voice broke off because sound came late."""
    gap_total: float
    sent_late_worst: float
    """By how much the caller's sound was sent after its time, at worst."""


@dataclass(frozen=True)
class RemoteAnswer(Answer):
    """What a server made of a recording. What its frames cost is not known here (nan)."""

    line: Line

    def as_json(self, audio: str | None = None) -> dict[str, Any]:
        """As an answer in process, with the line's times in the place of the frames'."""
        return {**super().as_json(audio), "latency_ms": self.line.model_dump()}


class Remote:
    """A server that answers recordings, one call each.

    bundle: whose scenario says what the calls put on order, and what a server is told that has no
    agent of its own.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        model: str | None = None,
        bundle: str = "cafe",
        patience: float = 5.0,
    ) -> None:
        """patience: seconds to wait for an answer. Raises AntiphonError for what is no address."""
        self._client, self._model = Client(url, key), model
        self._bundle, self._patience = bundle, patience

    @cached_property
    def scenario(self) -> Scenario:
        """The bundle's. Raises BundleError."""
        return load_scenario(load(find(self._bundle)).scenario)

    def answer(self, file: Path) -> RemoteAnswer:
        """Speak a recording to the server. Raises AudioError, ClientError."""
        caller = read(file)
        end = speech_end(caller)
        exchange, setup = asyncio.run(self._call(caller, end or 0.0))
        return self._told(exchange, setup, spoke=end is not None)

    async def _call(self, caller: Any, end: float) -> tuple[Exchange, float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with self._client.call(model=self._model) as call:
            if not call.session.get("tools"):
                await call.update(self._general())
            setup = loop.time() - began
            return await speak(call, caller, end, patience=self._patience), setup

    def _general(self) -> dict[str, Any]:
        """What a general model must be told to be this scenario's agent."""
        from antiphon.evaluation.systems.realtime import instructions

        tools = [{"type": "function", **tool.model_dump()} for tool in self.scenario.tools]
        return {"instructions": instructions(self.scenario), "tools": tools}

    def _told(self, exchange: Exchange, setup: float, *, spoke: bool) -> RemoteAnswer:
        sent = np.concatenate(exchange.chunks)
        playback = exchange.playback
        length = max(len(sent), math.ceil(playback.end * SAMPLE_RATE))
        calls = tuple(
            CallEvent(time=call.time, name=call.name, arguments=call.arguments)
            for call in exchange.calls
        )
        first = exchange.first_audible if spoke else None
        first = None if first is None else round(first * 1e3, 1)
        words: list[CallersEvent] = [*_agent_words(exchange), *_caller_words(exchange.events)]
        return RemoteAnswer(
            caller_text=" ".join(texts(exchange.events, CallerWords).values()),
            agent_text=" ".join(texts(exchange.events, AgentWords).values()),
            agent_turns=(),
            calls=calls,
            order=fold(calls, self.scenario),
            latency_ms=Latency(
                first_audible=first,
                frame_p50=math.nan,
                frame_p99=math.nan,
                real_time_factor=math.nan,
                late_frames=0,
            ),
            caller=np.pad(sent, (0, length - len(sent))),
            audio=playback.line(length / SAMPLE_RATE),
            events=(*words, *calls),
            line=Line(
                first_audible=first,
                setup=round(setup * 1e3, 1),
                gaps=len(playback.gaps),
                gap_total=round(sum(playback.gaps) * 1e3, 1),
                sent_late_worst=round(max(exchange.late, default=0.0) * 1e3, 1),
            ),
        )


def line(answer: Answer) -> list[tuple[str, str]]:
    """What the way to the server was like, in words."""
    if not isinstance(answer, RemoteAnswer):
        return []
    way = answer.line
    return [
        ("until the session was ready", f"{way.setup:.0f} ms"),
        ("gaps in the voice, for sound that came late", f"{way.gaps} ({way.gap_total:.0f} ms)"),
        ("caller's sound sent late, at worst", f"{way.sent_late_worst:.1f} ms"),
    ]


def _agent_words(exchange: Exchange) -> Iterator[AgentWordEvent]:
    """The agent's words where they sound: as late as their item's first sound is after its text."""
    joined: dict[str, list[tuple[str, float]]] = {}
    joiners: dict[str, Words] = {}
    for plays, words in exchange.sounding:
        joiner = joiners.setdefault(words.item, Words())
        ended = joiner.flush() if words.final else joiner.feed(words.text, plays)
        joined.setdefault(words.item, []).extend(ended)
    for item, joiner in joiners.items():
        joined[item] += joiner.flush()
    replies = exchange.playback.replies()
    for words in joined.values():
        first = words[0][1] if words else 0.0
        sounds = [start for start, end in replies if end > first]
        lead = sounds[0] - first if sounds else 0.0
        shift = lead if 0.0 < lead <= _LEAD else 0.0
        for text, start in words:
            if start < exchange.playback.end:
                yield AgentWordEvent(time=start, text=text, start=start + shift)


def _caller_words(events: list[Event]) -> Iterator[CallerWordEvent]:
    """The caller's words, spread by their letters over where the server heard them."""
    spans: dict[str, dict[str, float]] = {}
    for event in events:
        if isinstance(event, Turn) and event.speaker == "caller" and event.at is not None:
            spans.setdefault(event.item, {})[event.state] = event.at
    came = {event.item: event.time for event in events if isinstance(event, CallerWords)}
    for item, text in texts(events, CallerWords).items():
        words = text.split()
        span = spans.get(item, {})
        end = span.get("ended", came[item])
        start = min(span.get("started", end), end)
        letters, done = sum(len(word) + 1 for word in words), 0
        for word in words:
            done += len(word) + 1
            over = start + (end - start) * done / letters
            yield CallerWordEvent(time=came[item], text=word, end=over)
