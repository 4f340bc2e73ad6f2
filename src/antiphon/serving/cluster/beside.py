"""One replica in a process beside the server, on the same machine and without Ray.

The server's event loop and the threads that step the network then have a Python lock each: in one
process either waits for the other many times a beat. A process that dies or hangs takes its calls
with it and nothing else; another is begun in its place.

    server: gateway.ClusterClock -> Beside --socket--> engine: `python -m` this module -> Replica

Both ends are ours, so the messages are pickles with their length before them.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import pickle
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from antiphon.errors import AntiphonError
from antiphon.runtime.agent import Agent
from antiphon.serving.admission import Capacity, cores
from antiphon.serving.cluster.gateway import ClusterClock
from antiphon.serving.cluster.leases import Holding, Ledger, Report
from antiphon.serving.cluster.replica import News, Order, Replica, ReplicaConfig
from antiphon.serving.config import ServerConfig
from antiphon.serving.logs import LogConfig, configure
from antiphon.serving.pace import steady

NAME = "the engine"
PACE = 0.016  # seconds between messages to it: well within what a call has in hand
PATIENCE = 120.0  # seconds in which it has to load the bundle and measure the machine
HUNG = 5.0  # seconds a step may take before the process is ended, and another begun
AGAIN = 5.0  # seconds between attempts to begin another
_LENGTH = struct.Struct(">I")

_log = logging.getLogger(__name__)


@contextmanager
def beside(
    agent: Agent,
    config: ServerConfig,
    log: LogConfig,
    *,
    on_hung: Callable[[str], None] | None = None,
) -> Generator[EngineClock]:
    """The places of an engine in a process of its own; the process ends with the context.

    agent: the same bundle, for what is known without a call. on_hung: is told, from a thread, why
    the engine was taken to hang. Raises AntiphonError when it cannot begin.
    """
    wanted = ReplicaConfig(
        bundle=config.bundle,
        slots=config.slots,
        threads=config.threads or cores(),
        group=config.group,
        prebuffer=config.prebuffer,
        backlog=config.backlog,
        first=config.first,
    )
    desk = Beside(wanted, log, on_hung)
    try:
        yield EngineClock(agent, desk, config)
    finally:
        desk.close()


class EngineClock(ClusterClock):
    """A `ClusterClock` of the one engine: every place that it has is held all the time."""

    def __init__(self, agent: Agent, desk: Beside, config: ServerConfig) -> None:
        super().__init__(
            agent,
            desk,
            spare=desk.capacity.slots,
            prebuffer=config.prebuffer,
            backlog=config.backlog,
            pace=PACE,
            first=config.first,
        )
        self.capacity = desk.capacity


class Beside:
    """The desk of one engine: its process, and a ledger with this one replica in it."""

    def __init__(
        self,
        config: ReplicaConfig,
        log: LogConfig,
        on_hung: Callable[[str], None] | None = None,
    ) -> None:
        """Begins the process and waits until it is ready. Raises AntiphonError."""
        self._config, self._log, self._ledger = config, log, Ledger()
        self._on_hung = on_hung
        self._process = _Process(config, log)
        self.capacity = self._process.capacity
        # It need not measure again, should it have to begin again.
        self._config = config.model_copy(update={"slots": self.capacity.slots})
        self._beginning: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def pid(self) -> int:
        """The engine's process."""
        return self._process.pid

    def close(self) -> None:
        """End the process."""
        self._closed = True
        self._process.end()

    async def visit(self, holder: str, bundle: str, *, want: int, back: Sequence[str]) -> Holding:
        """As `leases.Ledger.visit`; the engine is asked for its report first."""
        if self._process.alive:
            await self._ask_for_report()
        elif self._beginning is None and not self._closed:
            self._beginning = asyncio.create_task(self._begin_again())
        return self._ledger.visit(time.monotonic(), holder, bundle, want=want, back=back)

    async def lost(self, replica: str, life: int) -> None:
        """The calls of that life are over, and so is its process, if it only does not answer."""
        self._ledger.lost(time.monotonic(), replica, life)
        if life == self._process.life:
            self._process.end()

    async def reach(self, replica: str) -> _Process:
        """The way to it."""
        return self._process

    async def _ask_for_report(self) -> None:
        process = self._process
        try:
            report, hung = await process.report()
            if hung > HUNG:
                reason = f"a step has not returned for {hung:.1f} s; the engine's process is ended"
                _log.error("%s", reason)
                process.end()
                if self._on_hung is not None:
                    self._on_hung(reason)
                return
            ended = self._ledger.report(time.monotonic(), report)
            if ended:
                await process.ask("end", ended)
        except ConnectionError as error:
            _log.error("%s", error)

    async def _begin_again(self) -> None:
        _log.warning("%s is begun again", NAME)
        try:
            process = await asyncio.to_thread(_Process, self._config, self._log)
        except AntiphonError as error:
            _log.error("%s", error)
            await asyncio.sleep(AGAIN)
        else:
            self._process = process
            if self._closed:
                process.end()
        finally:
            self._beginning = None


class _Process:
    """One life of the engine: a `gateway.ReplicaDesk`. Its coroutines are of one event loop."""

    def __init__(self, config: ReplicaConfig, log: LogConfig) -> None:
        """Begins it, and waits. Raises AntiphonError."""
        ours, theirs = socket.socketpair()
        with theirs:
            given = [str(theirs.fileno()), config.model_dump_json(), log.model_dump_json()]
            self._popen = subprocess.Popen(
                [sys.executable, "-m", __name__, *given],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._socket = ours
        self._numbers, self._waiting = itertools.count(), dict[int, asyncio.Future[Any]]()
        self._connecting: asyncio.Task[asyncio.StreamWriter] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._over = False
        ours.settimeout(PATIENCE)
        try:
            ready = _receive(ours)
        except OSError as error:
            self.end()
            raise AntiphonError(f"{NAME} did not begin: {error or 'its process ended'}") from None
        if isinstance(ready, str):
            self.end()
            raise AntiphonError(ready)
        ours.settimeout(None)
        self.capacity: Capacity
        self.life: int
        self.capacity, self.life = ready

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return not self._over and self._popen.poll() is None

    def end(self) -> None:
        """End it, whatever it does: its calls are ended by whoever listens to it."""
        self._over = True
        self._popen.kill()
        self._popen.wait()
        if self._connecting is None:
            self._socket.close()

    async def hear(self, gateway: str, life: int, orders: Sequence[Order]) -> None:
        await self.ask("hear", gateway, life, orders)

    async def listen(self, gateway: str, life: int) -> News:
        return await self.ask("listen", gateway, life)

    async def report(self) -> tuple[Report, float]:
        """What it holds, and for how many seconds it has hung."""
        return await self.ask("report")

    async def ask(self, method: str, *given: Any) -> Any:
        """A method of its. Raises what that raises, and ConnectionError when it is gone."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
        writer = await asyncio.shield(self._connecting)
        if self._over:
            raise ConnectionError(f"{NAME} has ended")
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            writer.write(_message((number, method, given)))
            await writer.drain()
            return await answer
        finally:
            self._waiting.pop(number, None)

    async def _connect(self) -> asyncio.StreamWriter:
        reader, writer = await asyncio.open_connection(sock=self._socket)
        self._reading = asyncio.create_task(self._read(reader, writer))
        return writer

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                number, value, error = await _next(reader)
                answer = self._waiting.pop(number, None)
                if answer is None or answer.done():
                    continue  # nobody waits any more
                if error is not None:
                    answer.set_exception(error)
                else:
                    answer.set_result(value)
        except (EOFError, OSError):
            pass
        finally:
            self._over = True
            writer.close()
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(ConnectionError(f"{NAME} has ended"))


# -- messages ---------------------------------------------------------------------------


def _message(what: Any) -> bytes:
    body = pickle.dumps(what, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


async def _next(reader: asyncio.StreamReader) -> Any:
    """The next message; EOFError at the end."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return pickle.loads(await reader.readexactly(length))


def _receive(sock: socket.socket) -> Any:
    """The next message of a socket that blocks. Raises OSError, also at the end."""

    def exactly(count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            part = sock.recv(count - len(parts))
            if not part:
                raise ConnectionError("its process ended")
            parts += part
        return bytes(parts)

    (length,) = _LENGTH.unpack(exactly(_LENGTH.size))
    return pickle.loads(exactly(length))


# -- in the engine's process ------------------------------------------------------------


class _Engine(Replica):
    """The replica, and how long it has hung."""

    def told(self) -> tuple[Report, float]:
        return self.report(), self.hung


async def _serve(sock: socket.socket, engine: _Engine) -> None:
    """Answer until the server is gone."""
    reader, writer = await asyncio.open_connection(sock=sock)
    tasks = set[asyncio.Task[None]]()

    async def answer(number: int, method: str, given: Sequence[Any]) -> None:
        value: Any = None
        error: Exception | None = None
        try:
            match method:
                case "hear":
                    await engine.hear(*given)
                case "listen":
                    value = await engine.listen(*given)
                case "end":
                    await engine.end(*given)
                case _:
                    value = engine.told()
        except Exception as raised:
            error = raised
        writer.write(_message((number, value, error)))

    with suppress(EOFError, OSError):
        while True:
            # Tasks begin in the order in which they are made, and so are orders carried out.
            task = asyncio.create_task(answer(*await _next(reader)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


def main(fd: str, config: str, log: str) -> None:
    """The engine's process: a socket's number, a ReplicaConfig and a LogConfig as JSON."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends us
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # and it may drain its calls first
    configure(LogConfig.model_validate_json(log))
    wanted = ReplicaConfig.model_validate_json(config)
    with socket.socket(fileno=int(fd)) as sock:
        try:
            engine = _Engine(NAME, wanted)
        except AntiphonError as error:
            sock.sendall(_message(str(error)))
            return
        sock.sendall(_message((engine.capacity, engine.life)))
        sock.setblocking(False)
        with steady(wanted.first):
            asyncio.run(_serve(sock, engine))
        engine.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
