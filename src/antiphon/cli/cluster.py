"""`antiphon cluster`: the replicas that hold the calls of servers on many machines."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli.options import Json
from antiphon.errors import AntiphonError

if TYPE_CHECKING:
    from antiphon.runtime.agent import Agent
    from antiphon.serving.cluster.gateway import ClusterClock
    from antiphon.serving.cluster.on_ray import Cluster
    from antiphon.serving.config import ServerConfig

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Engine replicas on a Ray cluster: show them, add some, drain and remove one.",
)

Address = Annotated[
    str, typer.Option("--cluster", help="Address of the Ray cluster; auto: this machine's.")
]


@app.command()
def show(cluster: Address = "auto", as_json: Json = False) -> None:
    """The replicas, their slots, and the calls that they have.

    Examples:

        antiphon cluster show

        antiphon cluster show --cluster 10.0.0.5:6379 --json
    """
    with _at(cluster) as found:
        replicas = found.show()
    if as_json:
        print(json.dumps([asdict(each) for each in replicas], indent=2))
        return
    if not replicas:
        print("No replicas; antiphon cluster add starts some.")
    for each in replicas:
        state = "draining" if each.draining else "serving"
        print(f"{each.replica}  {state}  {each.calls} calls, {each.slots} slots  {each.bundle}")


@app.command()
def add(
    bundle: Annotated[
        str, typer.Argument(help="The agent: a bundle's name, or its folder on every machine.")
    ] = "cafe",
    count: Annotated[int, typer.Option(min=1, help="How many replicas.")] = 1,
    slots: Annotated[
        int | None, typer.Option(min=1, help="Calls at once of each; measured if not given.")
    ] = None,
    threads: Annotated[
        int, typer.Option(min=1, help="Threads of each, and the cores it asks Ray for.")
    ] = 1,
    cluster: Address = "auto",
) -> None:
    """Start replicas; servers of the bundle use them from then on.

    Examples:

        antiphon cluster add cafe --count 2

        antiphon cluster add runs/new/bundle --slots 8 --threads 2
    """
    with _at(cluster) as found:
        from antiphon.serving.cluster.replica import ReplicaConfig

        config = ReplicaConfig(bundle=bundle, slots=slots, threads=threads)
        for name, capacity in found.add(config, count).items():
            print(f"{name} carries {capacity}.")


@app.command()
def remove(
    replica: Annotated[str, typer.Argument(help="Its name, as show tells it.")],
    drain: Annotated[
        float, typer.Option(min=0, help="Seconds that its calls may go on; then they end.")
    ] = 3600.0,
    cluster: Address = "auto",
) -> None:
    """Take a replica away: no new calls for it, and it goes when its last call has ended.

    Examples:

        antiphon cluster remove cafe-1

        antiphon cluster remove cafe-1 --drain 0       at once; its calls end, with a reason
    """
    with _at(cluster) as found:
        gently = found.remove(replica, seconds=drain)
    print(f"{replica} is gone" + ("." if gently else ", and the calls that it still had."))


@contextmanager
def cluster_clock(
    agent: Agent, config: ServerConfig, *, replicas: int, address: str | None
) -> Generator[ClusterClock]:
    """Where a server's calls are held: `replicas` new ones at `address`, or here; see `serve`.

    Raises AntiphonError.
    """
    with ExitStack() as stack:
        from antiphon.serving.admission import cores
        from antiphon.serving.cluster.gateway import ClusterClock
        from antiphon.serving.cluster.on_ray import local
        from antiphon.serving.cluster.replica import ReplicaConfig

        if address is None:
            print("Starting Ray on this machine ...", flush=True)
            address = stack.enter_context(local(cores()))
        found = stack.enter_context(_at(address))
        if replicas:
            print(f"Starting {replicas} replicas ...", flush=True)
            wanted = ReplicaConfig(
                bundle=config.bundle,
                slots=config.slots,
                threads=config.threads or max(1, cores() // replicas),
                group=config.group,
                prebuffer=config.prebuffer,
                backlog=config.backlog,
                first=config.first,
            )
            for name, capacity in found.add(wanted, replicas).items():
                print(f"{name} carries {capacity}.", flush=True)
        yield ClusterClock(
            agent,
            found,
            prebuffer=config.prebuffer,
            backlog=config.backlog,
            first=config.first,
        )


@contextmanager
def _at(address: str) -> Generator[Cluster]:
    try:
        from antiphon.serving.cluster.on_ray import connected
    except ImportError as error:
        raise AntiphonError(
            f"a cluster needs {error.name}: pip install 'antiphon[serve,cluster]'"
        ) from None
    with connected(address) as cluster:
        yield cluster
