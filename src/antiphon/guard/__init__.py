"""The guard: what an agent is about to say and do is checked before anybody hears it.

In: a beat's events of a call. Out: those that may go on, what is said instead of those that may
not, how risky a call is, and who should answer it. It knows nothing of servers, stores or lines.
"""

from __future__ import annotations

from antiphon.guard.breaker import Breaker
from antiphon.guard.checks import Rulebook
from antiphon.guard.config import GuardConfig, guard_of
from antiphon.guard.events import Finding, GuardEvent
from antiphon.guard.filter import Filter
from antiphon.guard.monitor import Monitor
from antiphon.guard.redact import Redactor
from antiphon.guard.risk import Risk
from antiphon.guard.stage import Guard, Service, Stage

__all__ = [
    "Breaker",
    "Filter",
    "Finding",
    "Guard",
    "GuardConfig",
    "GuardEvent",
    "Monitor",
    "Redactor",
    "Risk",
    "Rulebook",
    "Service",
    "Stage",
    "guard_of",
]
