"""A server's other end: speak to an agent over the network, hear it, and put a server under load.

    async with antiphon.Client("ws://127.0.0.1:8080").call() as call:
        await call.send(samples)
        async for event in call: ...

In: samples and an address that speaks OpenAI's Realtime protocol (GA). Out: typed events. It knows
nothing of the house but how samples change their rate, and its errors.
"""

from __future__ import annotations

from antiphon.client.call import Call
from antiphon.client.client import Client
from antiphon.client.errors import (
    CallEnded,
    ClientError,
    ProtocolError,
    Refused,
    Unreachable,
    WrongKey,
)
from antiphon.client.events import (
    AgentWords,
    Audio,
    CallerWords,
    Event,
    Extra,
    Problem,
    ToolCall,
    Turn,
)

__all__ = [
    "AgentWords",
    "Audio",
    "Call",
    "CallEnded",
    "CallerWords",
    "Client",
    "ClientError",
    "Event",
    "Extra",
    "Problem",
    "ProtocolError",
    "Refused",
    "ToolCall",
    "Turn",
    "Unreachable",
    "WrongKey",
]
