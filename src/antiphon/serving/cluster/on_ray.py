"""The ledger and the replicas as actors of a Ray cluster, and a small cluster on this machine.

Ray starts processes, restarts those that die, and carries messages. Who gets which slot is the
ledger's to say: an actor of one name in one namespace, found by every gateway and replica.
"""

from __future__ import annotations

import importlib
import logging
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Collection, Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from antiphon.errors import AntiphonError
from antiphon.serving.admission import Capacity
from antiphon.serving.cluster.leases import SILENCE, Holding, LeaseError, Ledger, Report, Shown
from antiphon.serving.cluster.replica import News, Order, Replica, ReplicaConfig

NAMESPACE = "antiphon"
LEDGER = "ledger"
REPORT = 0.5  # seconds between a replica's reports
STORE = 100 << 20  # bytes of Ray's object store on this machine; our messages do not go through it
TOKEN = Path("~/.ray/auth_token")  # where Ray keeps its token
PATIENCE = 120.0  # seconds for Ray and for a replica to start
KNOCK = 3.0  # seconds for a cluster's head to take a connection
START = (
    "start one with `ray start --head --include-dashboard=false`, or name another with "
    "--cluster HOST:PORT"
)

_log = logging.getLogger(__name__)


class ClusterError(AntiphonError):
    """The cluster cannot be reached, or does not do what it was asked."""


# -- actors ---------------------------------------------------------------------------


class LedgerActor:
    """A `Ledger` with a clock of its own."""

    def __init__(self) -> None:
        self._ledger = Ledger()

    def report(self, report: Report) -> frozenset[str]:
        return self._ledger.report(time.monotonic(), report)

    def visit(self, holder: str, bundle: str, want: int, back: Collection[str]) -> Holding:
        return self._ledger.visit(time.monotonic(), holder, bundle, want=want, back=back)

    def drain(self, replica: str) -> None:
        self._ledger.drain(time.monotonic(), replica)

    def lost(self, replica: str, life: int) -> None:
        self._ledger.lost(time.monotonic(), replica, life)

    def leave(self, replica: str) -> None:
        self._ledger.leave(time.monotonic(), replica)

    def show(self) -> tuple[Shown, ...]:
        return self._ledger.show(time.monotonic())


class ReplicaActor(Replica):
    """A `Replica` that reports to the ledger from its first moment on."""

    def __init__(self, name: str, config: ReplicaConfig) -> None:
        super().__init__(name, config)
        ray = _ray()
        me = ray.get_runtime_context().current_actor
        threading.Thread(target=self._keep_reporting, args=(ray, me), daemon=True).start()

    async def carries(self) -> Capacity:
        """What was measured; answered once the replica is ready."""
        return self.capacity

    def _keep_reporting(self, ray: Any, me: Any) -> None:
        while True:
            try:
                ledger = ray.get_actor(LEDGER, namespace=NAMESPACE)
                ended = ray.get(ledger.report.remote(self.report()), timeout=SILENCE)
                if ended:
                    me.end.remote(ended)  # lines are the event loop's
            except Exception as error:
                _log.warning("the ledger does not answer: %s", error)
            time.sleep(REPORT)


# -- who uses them ----------------------------------------------------------------------


class _Reached:
    """A replica's actor."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    async def hear(self, gateway: str, life: int, orders: Sequence[Order]) -> None:
        await self._actor.hear.remote(gateway, life, orders)

    async def listen(self, gateway: str, life: int) -> News:
        return await self._actor.listen.remote(gateway, life)


class Cluster:
    """A Ray cluster: a desk for gateways, and what people do to it. Made by `connected`."""

    def __init__(self, ray: Any) -> None:
        """Raises ClusterError when the ledger does not come up."""
        self._ray = ray
        self._ledger = (
            ray.remote(LedgerActor)
            .options(
                name=LEDGER,
                namespace=NAMESPACE,
                get_if_exists=True,
                lifetime="detached",
                num_cpus=0,
                max_restarts=-1,
            )
            .remote()
        )
        self._get(self._ledger.show.remote())

    # -- a desk -------------------------------------------------------------------------

    async def visit(self, holder: str, bundle: str, *, want: int, back: Sequence[str]) -> Holding:
        """See `Ledger.visit`."""
        return await self._ledger.visit.remote(holder, bundle, want, back)

    async def lost(self, replica: str, life: int) -> None:
        """See `Ledger.lost`."""
        await self._ledger.lost.remote(replica, life)

    async def reach(self, replica: str) -> _Reached:
        """The replica's actor; raises ValueError where there is none."""
        import asyncio

        return _Reached(await asyncio.to_thread(self._actor, replica))

    # -- for people -----------------------------------------------------------------------

    def show(self) -> tuple[Shown, ...]:
        """Every replica, by name."""
        return self._get(self._ledger.show.remote())

    def add(
        self, config: ReplicaConfig, count: int = 1, *, seconds: float = PATIENCE
    ) -> dict[str, Capacity]:
        """Start replicas and wait until they take calls; returns what each carries.

        Raises ClusterError when one does not start, and then takes all of them away.
        """
        started = {name: self._start(name, config) for name in self._names(config, count)}
        try:
            carried = {name: self._carries(each, seconds) for name, each in started.items()}
            end = time.monotonic() + seconds
            while not {*started} <= {shown.replica for shown in self.show()}:
                if time.monotonic() > end:
                    raise ClusterError("the new replicas do not report")
                time.sleep(REPORT / 5)
        except AntiphonError:
            for actor in started.values():
                self._ray.kill(actor)
            raise
        return carried

    def remove(self, replica: str, *, seconds: float) -> bool:
        """Let a replica's calls end for at most `seconds`, then take it away.

        Returns whether all calls ended by themselves. Raises LeaseError for a name that is none.
        """
        self.drain(replica)
        end = time.monotonic() + seconds
        while (used := self._used(replica)) and time.monotonic() < end:
            time.sleep(REPORT / 2)
        with suppress(ValueError):
            self._ray.kill(self._actor(replica))
        self._get(self._ledger.leave.remote(replica))
        return not used

    def drain(self, replica: str) -> None:
        """No new calls for a replica. Raises LeaseError for a name that is none."""
        try:
            self._get(self._ledger.drain.remote(replica))
        except LeaseError as error:
            # Ray's own class is ours and one of its; its sentence has a remote traceback.
            raise LeaseError(str(getattr(error, "cause", error))) from None

    # -- within ---------------------------------------------------------------------------

    def _used(self, replica: str) -> int:
        return sum(shown.used for shown in self.show() if shown.replica == replica)

    def _actor(self, replica: str) -> Any:
        return self._ray.get_actor(replica, namespace=NAMESPACE)

    def _names(self, config: ReplicaConfig, count: int) -> list[str]:
        """cafe-1, cafe-2, ...: the first that nobody has."""
        taken = {each["name"] for each in self._ray.util.list_named_actors(all_namespaces=True)}
        stem, found, number = Path(config.bundle).name or "replica", list[str](), 1
        while len(found) < count:
            if f"{stem}-{number}" not in taken:
                found.append(f"{stem}-{number}")
            number += 1
        return found

    def _start(self, name: str, config: ReplicaConfig) -> Any:
        cores = config.threads if config.cores is None else config.cores
        options = self._ray.remote(ReplicaActor).options(
            name=name,
            namespace=NAMESPACE,
            lifetime="detached",
            num_cpus=cores,
            max_restarts=-1,  # a process that dies comes back, without its calls
            max_concurrency=1000,
        )
        return options.remote(name, config)

    def _carries(self, actor: Any, seconds: float) -> Capacity:
        try:
            return self._ray.get(actor.carries.remote(), timeout=seconds)
        except self._ray.exceptions.GetTimeoutError:
            raise ClusterError(
                f"a replica did not start within {seconds:.0f} s; has a machine of the cluster "
                "as many free cores as it asks for? (ray status)"
            ) from None
        except self._ray.exceptions.RayActorError as error:
            said = str(error).strip().splitlines()[-1]
            raise ClusterError(f"a replica does not start: {said}") from None

    def _get(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference, timeout=PATIENCE)
        except (
            self._ray.exceptions.GetTimeoutError,
            self._ray.exceptions.RayActorError,
        ) as error:
            raise ClusterError(f"the cluster does not answer: {error}") from None


@contextmanager
def connected(address: str) -> Generator[Cluster]:
    """The cluster at `address` ("auto": the one of this machine). Raises ClusterError."""
    ray = _ray()
    try:
        _knock(ray, address)
        ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level="warning")
    except (ConnectionError, RuntimeError, ValueError) as error:
        said = str(error).strip().splitlines()[0]
        raise ClusterError(f"there is no Ray cluster at {address!r}: {said}") from None
    try:
        yield Cluster(ray)
    finally:
        ray.shutdown()


def _knock(ray: Any, address: str) -> None:
    """Whether a head is there at all, for Ray itself asks one that is gone for minutes.

    Raises ClusterError, and what Ray raises for an address that it cannot read.
    """
    told = os.environ.get("RAY_ADDRESS", "") if address == "auto" else ""
    where = told or address
    if "://" not in where:  # else Ray's proxy for clients, which is asked as it is named
        try:
            where: str = ray._private.services.canonicalize_bootstrap_address(where) or ""
        except ConnectionError:
            raise ClusterError(f"no Ray cluster is known on this machine: {START}") from None
    host, _, port = where.rpartition("://")[2].rpartition(":")
    if not host or not port.isdecimal():
        return  # what Ray alone can read
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK).close()
    except (OSError, OverflowError) as error:
        cluster = "the Ray cluster"
        if address == "auto":
            cluster += " that RAY_ADDRESS names" if told else " that this machine remembers"
        why = getattr(error, "strerror", None) or error
        raise ClusterError(f"{cluster} does not answer at {host}:{port} ({why}): {START}") from None


@contextmanager
def local(cores: int) -> Generator[str]:
    """A cluster on this machine while the block lasts; gives its address. Raises ClusterError.

    Ray's own processes get ports by name: its raylet waits 15 s at most for those that choose
    theirs, which is too short on a busy machine (ray-project/ray issue 65983).
    """
    _make_token()
    _ray()
    ports = _free_ports(5)
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    command += ["--node-ip-address=127.0.0.1", "--include-dashboard=false"]
    command += ["--include-log-monitor=false", "--no-monitor"]  # nobody would look at either
    command += ["--disable-usage-stats", f"--num-cpus={cores}", f"--object-store-memory={STORE}"]
    names = ("port", "dashboard-agent-grpc-port", "dashboard-agent-listen-port")
    names += ("runtime-env-agent-port", "metrics-export-port")
    command += [f"--{name}={port}" for name, port in zip(names, ports, strict=True)]
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C is for the server, which ends this when its calls are over
    )
    try:
        _wait_for_ray(child)
        yield f"127.0.0.1:{ports[0]}"
    finally:
        child.terminate()  # `ray start --block` ends what it began
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()


def _wait_for_ray(child: subprocess.Popen[str]) -> None:
    """Until `ray start` says that it has; whatever it says later is read and let go."""
    assert child.stdout is not None
    said = deque[str](maxlen=3)
    overdue = threading.Timer(PATIENCE, child.kill)
    overdue.start()
    for line in child.stdout:
        said.append(line.strip())
        if "Ray runtime started" in line:
            threading.Thread(target=lambda: deque(child.stdout or (), 0), daemon=True).start()
            break
    else:
        raise ClusterError(f"Ray does not start here: {' '.join(said)}")
    overdue.cancel()


def _make_token() -> None:
    """Ray's token, where there is none yet: who has it may run code in the cluster."""
    path = TOKEN.expanduser()
    if path.exists() or {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & {*os.environ}:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))


def _free_ports(count: int) -> list[int]:
    """Ports that nobody has at the moment."""
    with ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in found]


def _ray() -> Any:
    """The library, which is loaded when a cluster is wanted and not before."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers of us
    if TOKEN.expanduser().exists():  # Ray itself looks for it only where it starts a cluster
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # read once, as it is loaded
    try:
        return importlib.import_module("ray")
    except ModuleNotFoundError:
        raise ClusterError("a cluster needs ray: pip install 'antiphon[cluster]'") from None
