"""`antiphon serve`: an agent behind one endpoint, and the keys of those who may call it."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from antiphon.cli.cluster import cluster_clock
from antiphon.cli.options import Json

if TYPE_CHECKING:
    from antiphon.runtime.agent import Agent
    from antiphon.serving.call import MakeStage
    from antiphon.serving.switch import Switchboard
    from antiphon.serving.watch import Watch

KEY_FILE = Path("~/.config/antiphon/keys.json")


class _Serve(TyperGroup):
    """`antiphon serve cafe` serves; `antiphon serve keys ...` is about keys."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in self.commands:
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return ("" if name == "run" else name), command, rest


app = typer.Typer(
    cls=_Serve,
    help="Serve an agent to browsers and to stock clients; make keys for callers.",
    rich_markup_mode=None,
    add_completion=False,
)
keys = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)
app.add_typer(keys, name="keys", help="Make, list and remove the keys of those who may call.")

Keys = Annotated[Path, typer.Option("--key-file", help="Where the hashes of keys are kept.")]


@app.command("run")
def run(
    bundle: Annotated[str, typer.Argument(help="The agent: a bundle's name or folder.")] = "cafe",
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback ask for a key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8080,
    key_file: Annotated[
        Path | None, typer.Option(help="Ask callers for a key of this file.")
    ] = None,
    slots: Annotated[
        int | None, typer.Option(help="Calls at once; measured on this machine if not given.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads that step the network; one a core if not given.")
    ] = None,
    first: Annotated[
        bool,
        typer.Option(
            "--first/--no-first",
            help="Come before all other work of this machine, where it lets us.",
        ),
    ] = True,
    apart: Annotated[
        bool,
        typer.Option(
            "--apart/--together",
            help="Step the network in a process of its own, away from the event loop.",
        ),
    ] = os.name == "posix",
    origin: Annotated[
        list[str] | None,
        typer.Option(help="A web origin whose pages may call, like https://shop.example."),
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="Serve https and wss with this certificate (PEM).")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The certificate's private key.")] = None,
    drain: Annotated[
        float, typer.Option(help="Seconds that calls may go on after SIGTERM.")
    ] = 60.0,
    session_minutes: Annotated[float, typer.Option(help="The longest call.")] = 60.0,
    guard: Annotated[
        bool,
        typer.Option(
            "--guard", help="Check what the agent says before it is heard; a cascade stands by."
        ),
    ] = False,
    store: Annotated[
        Path | None,
        typer.Option(
            help="Folder for calls; ANTIPHON_STORE, or antiphon/calls in the data folder."
        ),
    ] = None,
    store_url: Annotated[
        str | None,
        typer.Option(envvar="ANTIPHON_STORE_URL", help="postgresql://... in place of SQLite."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep/--no-keep", help="Keep calls in the store.")] = True,
    record: Annotated[
        bool, typer.Option("--record/--no-record", help="Keep their sound as well.")
    ] = True,
    keep_days: Annotated[
        float | None, typer.Option(help="Days after which a call is removed; else it stays.")
    ] = None,
    audit_key: Annotated[
        Path | None, typer.Option(help="File of the secret that keys the audit log.")
    ] = None,
    traces: Annotated[
        str | None, typer.Option(help="Send OpenTelemetry traces to this OTLP/HTTP address.")
    ] = None,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log JSON, a line each.")] = False,
    seed: Annotated[
        int | None, typer.Option(help="Every call's seed; a new one for each if not given.")
    ] = None,
    replicas: Annotated[
        int, typer.Option(min=0, help="Hold the calls in so many engine replicas, on Ray.")
    ] = 0,
    cluster: Annotated[
        str | None,
        typer.Option(help="Hold the calls on this Ray cluster (host:6379, or auto)."),
    ] = None,
) -> None:
    """Serve an agent to browsers and to the clients of OpenAI's Realtime API.

    Examples:

        antiphon serve                             on this machine, without a key

        antiphon serve keys add shop               make a key; it is shown once

        antiphon serve --host 0.0.0.0 --key-file ~/.config/antiphon/keys.json

        antiphon serve --slots 8 --no-record       eight calls at once, no sound kept

        antiphon serve --replicas 2                two engines; more: antiphon cluster add
    """
    try:
        from antiphon.runtime.agent import Agent
        from antiphon.serving.admission import Capacity
        from antiphon.serving.app import create_app
        from antiphon.serving.cluster.beside import beside
        from antiphon.serving.config import ServerConfig
        from antiphon.serving.deploy.fleet import Deploying
        from antiphon.serving.logs import LogConfig
        from antiphon.serving.pace import steady
        from antiphon.serving.server import Server
        from antiphon.serving.store.config import Retention, StoreConfig, default_folder
        from antiphon.serving.switch import Switchboard
        from antiphon.serving.traces import TraceConfig
        from antiphon.serving.watch import WatchConfig, watching
    except ImportError as error:
        from antiphon.errors import AntiphonError

        raise AntiphonError(f"serving needs {error.name}; pip install 'antiphon[serve]'") from None
    from pydantic import ValidationError

    try:
        config = ServerConfig(
            bundle=bundle,
            host=host,
            port=port,
            key_file=key_file.expanduser() if key_file else None,
            slots=slots,
            threads=threads,
            first=first,
            origins=tuple(origin or ()),
            tls_certificate=tls_certificate,
            tls_key=tls_key,
            drain_seconds=drain,
            session_seconds=session_minutes * 60,
            seed=seed,
        )
        watch_config = WatchConfig(
            store=StoreConfig(
                folder=store.expanduser() if store else default_folder(),
                url=store_url,
                record=record,
                audit_key=audit_key.expanduser() if audit_key else None,
                retention=Retention(calls_days=keep_days),
            )
            if keep
            else None,
            log=LogConfig(json_lines=log_json),
            trace=TraceConfig(endpoint=traces),
        )
    except ValidationError as error:
        raise _one_sentence(error) from None

    def found(capacity: Capacity) -> None:
        print(f"Carries {capacity}.", flush=True)

    def ready(address: str) -> None:
        print(f"Serving {bundle} at {address} (Ctrl-C ends it).", flush=True)

    with watching(watch_config) as watch, ExitStack() as stack:
        elsewhere = bool(replicas or cluster)
        if slots is None and not elsewhere:
            print("Measuring how many calls this machine carries ...", flush=True)
        agent = Agent.load(bundle)
        board = Switchboard(watch.store.note if watch.store is not None else None)
        stages = [_guarded(agent, watch, board)] if guard else []
        places = None
        capacity = None
        if elsewhere:
            held = cluster_clock(agent, config, replicas=replicas, address=cluster)
            places = stack.enter_context(held)
        elif apart:
            engine = beside(agent, config, watch_config.log, on_hung=watch.hung)
            places = stack.enter_context(engine)
            capacity = places.capacity
            found(capacity)
        app = create_app(
            config,
            agent=agent,
            capacity=capacity,
            observers=watch.observers,
            stages=stages,
            routers=watch.routers,
            found=found,
            deploying=Deploying(watch.store, partial(_of_others, board) if guard else None)
            if watch.store is not None and not elsewhere
            else None,
            on_hung=watch.hung,
            places=places,
        )
        watch.attach(app)
        server = Server(app, config, ready=ready)
        with steady(first):
            server.run()


def _guarded(agent: Agent, watch: Watch, board: Switchboard) -> MakeStage:
    """The guard of the agent's calls, with its phrases and the cascade ready, and watched."""
    from concurrent.futures import ThreadPoolExecutor

    from antiphon.evaluation.judge import bundled_judge
    from antiphon.guard.opening import open_service
    from antiphon.serving import switch
    from antiphon.serving.guarding import GuardWatch, guarding

    print("Making the guard's phrases and its cascade ready ...", flush=True)
    judge = bundled_judge("agent")
    beside = ThreadPoolExecutor(2, thread_name_prefix="guard")
    service = open_service(agent, judge=judge.transcribe if judge else None, executor=beside)
    note = watch.store.note if watch.store is not None else None
    watcher = GuardWatch(service, registry=watch.metrics.registry, note=note, executor=beside)
    watch.observers.append(watcher)
    board.add(service, agent.bundle.manifest.name)
    watch.routers.append(switch.make_router(board))
    return guarding(service)


def _of_others(board: Switchboard, agent: Agent) -> list[MakeStage]:
    """The guard of another version's calls."""
    from concurrent.futures import ThreadPoolExecutor

    from antiphon.guard.opening import open_service
    from antiphon.serving.guarding import guarding

    beside = ThreadPoolExecutor(2, thread_name_prefix="guard")
    service = open_service(agent, executor=beside)
    board.add(service, agent.bundle.manifest.name)
    return [guarding(service)]


@keys.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Whose key it is: letters, digits, dots, - and _.")],
    key_file: Keys = KEY_FILE,
    sessions: Annotated[int | None, typer.Option(help="Calls at once.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Minutes of calls a day (UTC).")] = None,
    operator: Annotated[
        bool, typer.Option("--operator", help="May say who answers the calls of all keys.")
    ] = False,
) -> None:
    """Make a key. It is shown now and never again: the file holds a hash of it.

    Examples:

        antiphon serve keys add shop

        antiphon serve keys add trial --sessions 1 --minutes 30
    """
    from antiphon.serving.auth import KeyFile

    file = KeyFile(key_file.expanduser())
    secret, entry = file.add(name, sessions=sessions, minutes=minutes, operator=operator)
    print(secret)
    typer.echo(f"{entry.id} for {name}, kept as a hash in {file.path}", err=True)


@keys.command("list")
def list_keys(key_file: Keys = KEY_FILE, as_json: Json = False) -> None:
    """Show whose keys there are."""
    from antiphon.serving.auth import KeyFile

    entries = KeyFile(key_file.expanduser()).read()
    if as_json:
        shown = [entry.model_dump(mode="json", exclude={"sha256"}) for entry in entries]
        print(json.dumps(shown, indent=2))
        return
    for entry in entries:
        limits = [
            f"{entry.sessions} calls at once" if entry.sessions else "",
            f"{entry.minutes:g} minutes a day" if entry.minutes else "",
            "operator" if entry.operator else "",
        ]
        made = entry.created.strftime("%Y-%m-%d")
        print("  ".join([entry.id, entry.name, made, *filter(None, limits)]))


@keys.command("remove")
def remove(
    name: Annotated[str, typer.Argument(help="The key's name or id.")], key_file: Keys = KEY_FILE
) -> None:
    """Forget a key; a running server sees it at once."""
    from antiphon.serving.auth import KeyFile

    KeyFile(key_file.expanduser()).remove(name)
    print(f"{name} may call no more")


def _one_sentence(error: Any) -> Exception:
    from antiphon.errors import AntiphonError

    first = error.errors(include_url=False)[0]
    option = "--" + "-".join(str(first["loc"][0]).split("_"))
    return AntiphonError(f"{option}: {first['msg']}, got {first['input']!r}")
