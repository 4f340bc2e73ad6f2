"""What every protocol's door needs: the server's parts, and who may come in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

from antiphon.corpus.calls import Tool
from antiphon.runtime.agent import Agent
from antiphon.runtime.places import Places
from antiphon.serving.admission import Capacity, Reception, Refused
from antiphon.serving.auth import Caller, Denied, Gatekeeper, shown_key
from antiphon.serving.config import ServerConfig
from antiphon.serving.problems import Unfit

if TYPE_CHECKING:
    from antiphon.serving.rest import Bench


@dataclass
class House:
    """The parts of a running server; `app.state.house`."""

    config: ServerConfig
    agent: Agent
    clock: Places
    reception: Reception
    gatekeeper: Gatekeeper
    capacity: Capacity
    bench: Bench
    """Threads for work beside the calls."""

    @property
    def model(self) -> str:
        """The bundle's name: what clients are told as the model."""
        return self.agent.bundle.manifest.name

    @property
    def instructions(self) -> str:
        """What the agent is, from its scenario."""
        return self.agent.scenario.description

    @cached_property
    def tools(self) -> tuple[Tool, ...]:
        """The tools that the agent was made for."""
        return tuple(Tool.model_validate(tool) for tool in self.agent.bundle.manifest.tools)


def welcome(house: House, visitor: HTTPConnection) -> Caller:
    """Who is at the door. Raises Refused for those who may not come in."""
    protocols = visitor.scope.get("subprotocols") or ()
    try:
        house.gatekeeper.check_origin(visitor.headers.get("origin"), visitor.headers.get("host"))
        return house.gatekeeper.caller(shown_key(visitor.headers, protocols))
    except Denied as denied:
        house.reception.refused[denied.code] += 1
        raise Refused(denied.status, denied.code, denied.message) from None


def welcome_key(visitor: HTTPConnection, cannot: str) -> Caller:
    """Who is at a door that is not for calls: an ephemeral secret is for calls and opens none.

    cannot: what it does not do there ("reads none"). Raises Refused, and Unfit for such a secret.
    """
    caller = welcome(visitor.app.state.house, visitor)
    if caller.ephemeral:
        raise Unfit(
            f"an ephemeral secret opens calls and {cannot}; use the key",
            status=403,
            code="forbidden",
        )
    return caller
