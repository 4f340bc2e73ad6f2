"""Opens a guard: its phrases said in advance, the cascade standing by.

In: an agent. Out: the `Service` of all its calls, as `antiphon serve --guard` and
`antiphon talk --guard` use it. Takes some seconds, so that no call has to.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from antiphon.corpus.scenario import Scenario
from antiphon.errors import AntiphonError
from antiphon.guard.breaker import Change
from antiphon.guard.checks import Rulebook
from antiphon.guard.events import Judge
from antiphon.guard.operator import Operators
from antiphon.guard.ready import as_ready, prepare
from antiphon.guard.stage import Service
from antiphon.runtime.agent import Agent

if TYPE_CHECKING:
    from antiphon.guard.takeover import Standby

_TRIES = 4  # at a phrase, where a judge says which is best

_log = logging.getLogger(__name__)


def open_service(
    agent: Agent,
    *,
    rules: Rulebook | None = None,
    judge: Judge | None = None,
    cascade: bool = True,
    ready: int = 1,
    executor: Executor | None = None,
    operators: Operators | None = None,
    on_change: Callable[[Change], None] | None = None,
) -> Service:
    """A guard with everything in hand.

    rules: in place of those of the agent's scenario. judge: reads the phrases back, and the best of
    a few tries is kept. cascade: whether one stands by; where it cannot, a warning says why, and a
    person takes over where it would. ready: recognisers that are made at once. The rest is as
    `Service` takes it. Raises ScenarioError for a section with a mistake.
    """
    rules = rules or Rulebook(agent.scenario)
    ready = max(ready, rules.config.reading.listeners)
    rules.reader.read(("hello",))  # the first reading compiles the grammar: longer than a beat
    phrases = prepare(
        agent,
        rules.config.all_phrases(rules.scenario),
        judge=judge,
        tries=_TRIES,
        style=rules.config.style,
    )
    return Service(
        rules,
        delays=agent.bundle.manifest.delays,
        ready=as_ready(phrases),
        standby=stand_by(rules.scenario, ready) if cascade else None,
        executor=executor,
        operators=operators,
        on_change=on_change,
    )


def stand_by(scenario: Scenario, ready: int = 1) -> Standby | None:
    """The cascade for a scenario, with recognisers in hand; None, and a warning, where there can be
    none."""
    try:
        from antiphon.cascade import Cascade
        from antiphon.guard.takeover import Standby

        return Standby(Cascade(scenario), ready)
    except AntiphonError as error:
        _log.warning("no cascade stands by, a person takes over in its place: %s", error)
        return None
