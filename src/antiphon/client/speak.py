"""A recording spoken into a call at the pace of speech, and what was heard of the answer.

The microphone stays open: after the recording goes silence, until the agent has answered and is
still. Tools are answered at once. All times are seconds from the recording's first sample.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import numpy as np

from antiphon.client.call import Call
from antiphon.client.errors import CallEnded
from antiphon.client.events import AgentWords, Audio, Event, Samples, ToolCall, Turn
from antiphon.client.playback import BUFFER, Playback

CHUNK = 0.02  # seconds in a message, as a microphone's driver gives them
PATIENCE = 5.0  # seconds of silence after which no answer is taken to come
SETTLE = 1.0  # seconds of the agent's silence after which its answer is taken to be over
LONGEST = 20.0  # seconds for which, with the patience, even a voice that never ends is heard
DONE = {"ok": True}
"""What every tool gives."""


@dataclass
class Exchange:
    """What became of a recording. Of its own events only sound is not kept: `playback` has it."""

    playback: Playback
    caller_end: float
    """Where the speech in the recording ends."""
    patience: float = PATIENCE
    events: list[Event] = field(default_factory=list[Event])
    sounding: list[tuple[float, AgentWords]] = field(default_factory=list[tuple[float, AgentWords]])
    """The agent's words as they came, each with the time at which sound that comes now plays."""
    chunks: list[Samples] = field(default_factory=list[Samples])
    """What was sent."""
    speaking: bool = False
    """Whether the agent has begun a turn and not ended it."""
    late: list[float] = field(default_factory=list[float])
    """By how much each chunk was sent after its time: this side's own fault."""

    @property
    def calls(self) -> list[ToolCall]:
        """The tools that were called."""
        return [event for event in self.events if isinstance(event, ToolCall)]

    @property
    def first_audible(self) -> float | None:
        """Seconds from the caller's last sound to the agent's first, as played."""
        return self.playback.first_after(self.caller_end)

    def over(self, now: float, length: float) -> bool:
        """Whether the agent has answered a recording of `length` seconds, or will not."""
        if now < length:
            return False
        if now >= length + self.patience + LONGEST:
            return True
        if self.speaking:
            return False
        last = self.playback.last_audible
        if last is not None and last > self.caller_end:
            return now - last >= SETTLE
        return now - self.caller_end >= self.patience


async def speak(
    call: Call,
    samples: Samples,
    caller_end: float,
    *,
    buffer: float = BUFFER,
    patience: float = PATIENCE,
) -> Exchange:
    """Speak float32 [N] at the call's rate and hear the answer out.

    caller_end: where the speech in it ends, in seconds. buffer: the player's, in seconds.
    patience: seconds of silence after which no answer is taken to come.
    Raises ClientError when the call does not last so long.
    """
    exchange = Exchange(Playback(call.rate, buffer), caller_end, patience)
    began = call.time
    hearing = asyncio.create_task(_hear(call, exchange, began), name="hear")
    try:
        size = round(CHUNK * call.rate)
        length = len(samples) / call.rate
        silence: Samples = np.zeros(size, dtype=np.float32)
        at = 0
        while not exchange.over(call.time - began, length):
            if hearing.done():
                hearing.result()
                raise CallEnded("the server closed the call before it had answered")
            chunk = samples[at : at + size] if at < len(samples) else silence
            at += size
            due = began + at / call.rate
            if (early := due - call.time) > 0:
                await asyncio.sleep(early)
            exchange.late.append(max(0.0, call.time - due))
            exchange.chunks.append(chunk)
            await call.send(chunk)
        return exchange
    finally:
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)


async def _hear(call: Call, exchange: Exchange, began: float) -> None:
    playback = exchange.playback
    async for event in call:
        now = event.time - began
        if isinstance(event, Audio):
            playback.add(event.item, event.samples, now)
            continue
        exchange.events.append(event.model_copy(update={"time": now}))
        if isinstance(event, AgentWords):
            exchange.sounding.append((max(now, playback.end), event))
        elif isinstance(event, ToolCall):
            await call.tool_result(event.id, DONE)
        elif isinstance(event, Turn):
            if event.speaker == "agent":
                exchange.speaking = event.state == "started"
            if _cuts(event):
                playback.drop(now)


def _cuts(turn: Turn) -> bool:
    """Whether a turn's event says that what is not played yet is not to be."""
    return turn.state == "started" if turn.speaker == "caller" else turn.interrupted
