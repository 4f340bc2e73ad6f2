"""`antiphon live`: talk to an agent through a microphone and speakers."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, cast

import typer

from antiphon.cli.options import Bundle, Speed, Style
from antiphon.cli.server_options import Key, Model
from antiphon.errors import AntiphonError

if TYPE_CHECKING:
    from antiphon.runtime.session import Session


def live(
    bundle: Bundle = "cafe",
    seed: Annotated[
        int | None, typer.Option(help="Seed of the sampling; from the clock if not given.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="End after so long; else Ctrl-C.")] = None,
    device: Annotated[
        str | None, typer.Option(help="Sound device: a number or a part of its name.")
    ] = None,
    style: Style = None,
    speed: Speed = None,
    url: Annotated[str | None, typer.Option(help="A server's address: talk to its agent.")] = None,
    key: Key = None,
    model: Model = None,
) -> None:
    """Talk to an agent: it listens while it speaks. Headphones keep it from hearing itself.

    Examples:

        antiphon live

        antiphon live --device "USB Headset"

        antiphon live --url ws://127.0.0.1:8080
    """
    from antiphon.runtime.events import AgentWordEvent, CallerWordEvent, CallEvent, Event
    from antiphon.runtime.soundcard import converse

    def tell(event: Event) -> None:
        if isinstance(event, CallerWordEvent):
            print(f"{event.time:7.2f}  you    {event.text}")
        elif isinstance(event, AgentWordEvent):
            print(f"{event.time:7.2f}  agent         {event.text}")
        elif isinstance(event, CallEvent):
            print(f"{event.time:7.2f}  call   {event.name} {json.dumps(event.arguments)}")

    if url is None:
        seed = seed if seed is not None else time.time_ns() % 2**32
        session = _session(bundle, seed, style, speed)
    elif seed is not None:
        raise AntiphonError("a server chooses its calls' seeds itself; leave out --seed")
    elif style is not None or speed is not None:
        raise AntiphonError("a server's agent speaks as it chooses; leave out --style and --speed")
    else:
        session = _server(url, key, model)
    try:
        converse(session, tell, device=_device(device), seconds=seconds)
    except KeyboardInterrupt:
        print("The call is over.")


def _session(bundle: str, seed: int, style: str | None, speed: float | None) -> Session:
    from antiphon.runtime.agent import Agent

    agent = Agent.load(bundle)
    print(f"Listening (seed {seed}); Ctrl-C ends the call.")
    return agent.session(seed, style=style, speed=speed)


def _server(url: str, key: str | None, model: str | None) -> Session:
    from antiphon.cli.remote_session import RemoteSession
    from antiphon.client.client import Client

    remote = RemoteSession(Client(url, key), model)
    print(f"Calling {remote.name}; Ctrl-C ends the call.")
    # The sound card asks of a session what this one has.
    return cast("Session", remote)


def _device(name: str | None) -> int | str | None:
    return int(name) if name is not None and name.isdigit() else name
