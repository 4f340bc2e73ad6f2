"""End-to-end speech models that hear a caller and answer in speech.

    agent = antiphon.Agent.load("cafe")
    answer = agent.answer("order.wav")

    client = antiphon.Client("ws://127.0.0.1:8080")

`import antiphon` loads neither torch nor onnxruntime; a name below loads what it needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon.client.client import Client
    from antiphon.runtime.agent import Agent, Answer
    from antiphon.runtime.session import Session

__version__ = "0.1.0"
__all__ = ["Agent", "Answer", "Client", "Session", "__version__"]

_HOMES = {
    "Agent": "antiphon.runtime.agent",
    "Answer": "antiphon.runtime.agent",
    "Client": "antiphon.client.client",
    "Session": "antiphon.runtime.session",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'antiphon' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
