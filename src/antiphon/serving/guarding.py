"""The guard as a stage of every call, and what is written down of it.

    watcher = GuardWatch(service, registry=watch.metrics.registry, note=store.note)
    create_app(config, stages=[guarding(service)], observers=[*watch.observers, watcher])

In: a guard's service (`guard.opening.open_service`). Out: what makes a call's stage; metrics of
states, blocks and risk; an entry in the audit log for every change of who answers.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Protocol

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily

from antiphon.guard.breaker import Change
from antiphon.guard.checks import Rulebook
from antiphon.guard.config import LEVELS
from antiphon.guard.events import GuardEvent
from antiphon.guard.stage import Guard, Service
from antiphon.runtime.agent import Agent
from antiphon.runtime.events import Samples
from antiphon.serving.call import LiveCall, MakeStage

if TYPE_CHECKING:
    from pydantic import BaseModel

    from antiphon.guard.takeover import Standby
    from antiphon.serving.call import CallInfo
    from antiphon.serving.turns import Turn

_WINDOW = 300.0  # s of risk that the metrics show
_SAID = re.compile(r'"[^"]*"')
_AUDITED = ("level", "handover")

_log = logging.getLogger(__name__)


def service_of(
    agent: Agent,
    *,
    ready: Mapping[str, Samples] | None = None,
    standby: Standby | None = None,
    executor: Executor | None = None,
) -> Service:
    """The guard of all of an agent's calls; see `guard.stage.Service`. Raises ScenarioError."""
    return Service(
        Rulebook(agent.scenario),
        delays=agent.bundle.manifest.delays,
        ready=ready,
        standby=standby,
        executor=executor,
    )


def guarding(service: Service) -> MakeStage:
    """What makes the stage of a call."""

    def make(call: LiveCall) -> Guard:
        service.deadlines = lambda: call.backend.missed
        return service.guard(call.id, call.say, now=service.clock, seed=call.seed)

    return make


class Note(Protocol):
    """Writes an entry into an audit log: `Store.note`."""

    def __call__(
        self, action: str, subject: str = "", *, actor: str = "server", detail: Any = None
    ) -> None: ...


class GuardWatch:
    """An observer of guarded calls: metrics, the audit log, and finished turns for the monitor.

    note: writes into the audit log, by the executor's threads (None: at once). Reasons are written
    there without the words that were said. It is told of the service's own changes too.
    """

    def __init__(
        self,
        service: Service,
        *,
        registry: CollectorRegistry | None = None,
        note: Note | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._service, self._note, self._executor = service, note, executor
        self._levels: dict[str, str] = {}
        service.on_change = self.changed
        self._acted: Counter | None = None
        self._changed: Counter | None = None
        if registry is not None:
            self._acted = Counter(
                "antiphon_guard_actions",
                "What the guard did, by the check that led to it.",
                ["action", "check"],
                registry=registry,
            )
            self._changed = Counter(
                "antiphon_guard_changes",
                "Changes of who answers a call.",
                ["before", "after"],
                registry=registry,
            )
            registry.register(self)  # type: ignore[arg-type]

    # -- an observer of calls -----------------------------------------------------

    def opened(self, call: CallInfo) -> None:
        """A call begins."""
        self._levels[call.id] = self._service.rules.config.breaker.start

    def heard(self, call_id: str, samples: Samples) -> None:
        """A frame of the caller."""

    def played(self, call_id: str, samples: Samples) -> None:
        """A frame of the agent."""

    def event(self, call_id: str, event: BaseModel) -> None:
        """Anything but sound: the guard's own is counted."""
        if not isinstance(event, GuardEvent):
            return
        if self._acted is not None:
            self._acted.labels(event.action, event.check).inc()
        if event.action == "level":
            before, after = str(event.data["before"]), str(event.data["after"])
            self._levels[call_id] = after
            if self._changed is not None:
                self._changed.labels(before, after).inc()
        if event.action in _AUDITED:
            detail = {**event.data, "reason": bare(event.reason), "time": round(event.time, 2)}
            self._write(f"guard.{event.action}", call_id, detail)

    def turn(self, call_id: str, turn: Turn) -> None:
        """A finished turn of either side."""
        if self._service.monitor.knows(call_id):  # the last turn comes when the guard is closed
            self._service.monitor.turn(call_id, turn)

    def paused(self, call_id: str, on: bool) -> None:
        """A recording pause begins or ends."""

    def closed(self, call_id: str, reason: str) -> None:
        """The call is over."""
        self._levels.pop(call_id, None)

    # -- the service ----------------------------------------------------------------

    def changed(self, change: Change) -> None:
        """Who answers all calls has changed."""
        detail = {"before": change.before, "after": change.after, "reason": bare(change.reason)}
        self._write("guard.service", "", {**detail, "trial": change.trial})
        _log.warning("who answers: %s after %s", change.after, change.before)

    def _write(self, action: str, subject: str, detail: dict[str, Any]) -> None:
        if self._note is None:
            return
        if self._executor is None:
            _try(self._note, action, subject, detail)
        else:
            self._executor.submit(_try, self._note, action, subject, detail)

    # -- metrics --------------------------------------------------------------------

    def describe(self) -> list[Any]:
        """Nothing in advance."""
        return []

    def collect(self) -> Iterator[Any]:
        """The families that are read when they are asked for."""
        service = self._service
        at = GaugeMetricFamily(
            "antiphon_guard_service_level", "1 for who answers all calls.", labels=["level"]
        )
        calls = GaugeMetricFamily(
            "antiphon_guard_calls", "Calls by who answers them.", labels=["level"]
        )
        levels = list(self._levels.values())
        for level in LEVELS:
            at.add_metric([level], float(service.breaker.level == level))
            calls.add_metric([level], levels.count(level))
        held = GaugeMetricFamily(
            "antiphon_guard_held",
            "What an operator holds where it is: 1 of all calls, or how many of them.",
            labels=["what"],
        )
        held.add_metric(["service"], float(service.breaker.state.pinned))
        pinned = [guard.breaker.state.pinned for guard in list(service.guards.values())]
        held.add_metric(["calls"], sum(pinned))
        risk = GaugeMetricFamily(
            "antiphon_guard_risk", "Risk figures of the last five minutes.", labels=["figure"]
        )
        for name, value in service.monitor.risk(_WINDOW).as_dict().items():
            risk.add_metric([name], value)
        yield from (at, calls, held, risk)


def bare(reason: str) -> str:
    """A reason without the words that were said."""
    return _SAID.sub('"..."', reason)


def _try(note: Callable[..., None], action: str, subject: str, detail: dict[str, Any]) -> None:
    try:
        note(action, subject, detail=detail)
    except Exception:
        _log.exception("the audit log did not take %s", action)
