"""`antiphon live`: talk to an agent through a microphone and speakers."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from antiphon.cli.options import Bundle


def live(
    bundle: Bundle = "cafe",
    seed: Annotated[
        int | None, typer.Option(help="Seed of the sampling; from the clock if not given.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="End after so long; else Ctrl-C.")] = None,
    device: Annotated[
        str | None, typer.Option(help="Sound device: a number or a part of its name.")
    ] = None,
) -> None:
    """Talk to an agent: it listens while it speaks. Headphones keep it from hearing itself.

    Examples:

        antiphon live

        antiphon live --device "USB Headset"
    """
    from antiphon.runtime.agent import Agent
    from antiphon.runtime.events import AgentWordEvent, CallerWordEvent, CallEvent, Event
    from antiphon.runtime.soundcard import converse

    agent = Agent.load(bundle)

    def tell(event: Event) -> None:
        if isinstance(event, CallerWordEvent):
            print(f"{event.time:7.2f}  you    {event.text}")
        elif isinstance(event, AgentWordEvent):
            print(f"{event.time:7.2f}  agent         {event.text}")
        elif isinstance(event, CallEvent):
            print(f"{event.time:7.2f}  call   {event.name} {json.dumps(event.arguments)}")

    seeded = seed if seed is not None else time.time_ns() % 2**32
    print(f"Listening (seed {seeded}); Ctrl-C ends the call.")
    try:
        converse(agent.session(seeded), tell, device=_device(device), seconds=seconds)
    except KeyboardInterrupt:
        print("The call is over.")


def _device(name: str | None) -> int | str | None:
    return int(name) if name is not None and name.isdigit() else name
