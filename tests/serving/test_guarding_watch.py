"""What is written down of the guard: metrics, and the audit log without what was said."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from antiphon.corpus.scenario import Scenario
from antiphon.guard.breaker import Operator
from antiphon.guard.checks import Rulebook
from antiphon.guard.events import GuardEvent
from antiphon.guard.stage import Service
from antiphon.serving.call import CallInfo, Turn
from antiphon.serving.guarding import GuardWatch


class Log:
    """An audit log in a list."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, Any]] = []

    def __call__(
        self, action: str, subject: str = "", *, actor: str = "server", detail: Any = None
    ) -> None:
        self.entries.append((action, subject, detail))


@pytest.fixture
def service(bar: Scenario) -> Service:
    return Service(Rulebook(bar))


def test_who_answers_is_in_the_metrics_and_why_in_the_audit_log(service: Service) -> None:
    log, registry = Log(), CollectorRegistry()
    watch = GuardWatch(service, registry=registry, note=log)
    info = CallInfo()
    watch.opened(info)
    watch.event(info.id, GuardEvent(time=1.0, action="blocked", check="claims", reason="r"))
    watch.event(
        info.id,
        GuardEvent(
            time=1.0,
            action="level",
            reason='It said "ninety dollars", which nothing supports.',
            data={"before": "guarded", "after": "cascade"},
        ),
    )
    text = generate_latest(registry).decode()
    assert 'antiphon_guard_calls{level="cascade"} 1.0' in text
    assert 'antiphon_guard_actions_total{action="blocked",check="claims"} 1.0' in text
    assert 'antiphon_guard_changes_total{after="cascade",before="guarded"} 1.0' in text
    assert 'antiphon_guard_service_level{level="guarded"} 1.0' in text
    ((action, subject, detail),) = log.entries
    assert (action, subject, detail["after"]) == ("guard.level", info.id, "cascade")
    assert "ninety" not in detail["reason"]
    watch.closed(info.id, "client")
    assert 'antiphon_guard_calls{level="cascade"} 0.0' in generate_latest(registry).decode()


def test_an_operators_switch_for_all_calls_is_noted(service: Service) -> None:
    log = Log()
    GuardWatch(service, note=log)
    service.take(Operator("handover", "eve"), 1.0)
    assert log.entries[0][0] == "guard.service"
    assert "eve" in log.entries[0][2]["reason"]


def test_finished_turns_reach_the_monitor_while_the_call_goes_on(service: Service) -> None:
    watch = GuardWatch(service)
    guard = service.guard("a", None)
    turn = Turn(index=0, speaker="caller", start=0.0, end=1.0, text="a large latte", words=())
    watch.turn("a", turn)
    assert service.monitor.call_risk("a").repeats.n == 1
    guard.close()
    watch.turn("a", turn)
    assert not service.monitor.knows("a")
