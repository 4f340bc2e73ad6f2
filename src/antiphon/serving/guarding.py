"""The guard as a stage of every call: `create_app(config, stages=[guarding(service_of(agent))])`.

In: an agent and what its guard may use. Out: what makes a call's stage. The rules are those of the
agent's scenario.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from antiphon.guard.checks import Rulebook
from antiphon.guard.stage import Guard, Service
from antiphon.runtime.agent import Agent
from antiphon.runtime.events import Samples
from antiphon.serving.call import LiveCall, MakeStage

if TYPE_CHECKING:
    from antiphon.guard.takeover import Standby


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
    began = time.monotonic()

    def make(call: LiveCall) -> Guard:
        return service.guard(call.id, call.say, now=time.monotonic() - began, seed=call.seed)

    return make
