"""Sessions that are opened and dropped in every ugly way: does the server get over all of them?

    python benchmarks/ugly_sessions.py --sessions 2000
    python benchmarks/ugly_sessions.py --sessions 2000 --bundle cafe --at-once 2

It starts `antiphon serve` with a store on the loopback address and counts, before and after, of the
server and of its engine's process: memory, places, tasks, threads, file descriptors, calls that
somebody still holds, errors in the log. In between, and at the end, fresh sessions on all places at
once hear silence, and must be given, byte for byte, what the first session was given: a sound or a
word of another's session would show there.
Reads /proc, so Linux alone.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import gc
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REALTIME, LIVE = "realtime", "live"
PATHS = {REALTIME: "/v1/realtime", LIVE: "/v1/live/sessions"}
PATIENCE = 20.0  # seconds for anything that the server owes
SETTLED = 40.0  # seconds in which everything must be as it was; pings find who is gone in 40
LISTEN = 20  # frames of 80 ms that a fresh session is listened to
NOISE = base64.b64encode(random.Random(0).randbytes(48_000)).decode()  # 1 s at 24 kHz, loud
SILENCE = base64.b64encode(bytes(2560)).decode()  # 80 ms at 16 kHz
LEVEL = re.compile(r"^\S+  (error|critical)  ")
CLIENTS = re.compile("Invalid UTF-8 sequence received from client|without completing handshake")
"""What uvicorn calls errors, and the client made."""
TEXT, BINARY, CLOSE, FINAL = 0x1, 0x2, 0x8, 0x80


class Full(Exception):
    """The server has no place just now."""


class Wire:
    """One connection, on which anything can be sent, and the few frames that make a session."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, door: Door):
        self.reader, self.writer, self.door = reader, writer, door

    def hello(self, **changed: str | None) -> bytes:
        """A handshake; header values can be changed, or left out by None."""
        headers: dict[str, str | None] = {
            "Host": f"{self.door.host}:{self.door.port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
            "Sec-WebSocket-Version": "13",
        }
        headers.update({name.replace("_", "-"): value for name, value in changed.items()})
        lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
        start = f"GET {PATHS[self.door.protocol]} HTTP/1.1"
        return "\r\n".join([start, *lines, "", ""]).encode()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def shake(self) -> None:
        """The whole handshake. Raises Full."""
        await self.send(self.hello())
        answer = await self.reader.readuntil(b"\r\n\r\n")
        status = int(answer.split()[1])
        if status == 503:
            raise Full
        if status != 101:
            raise RuntimeError(f"the handshake was answered by {status}")

    async def begin(self) -> None:
        """Until there is a session. Raises Full."""
        await self.shake()
        if self.door.protocol == LIVE:
            await self.say({"type": "session.start", "session": {"model": "any"}})
        wanted = {REALTIME: "session.created", LIVE: "session.started"}[self.door.protocol]
        while (event := await self.read()).get("type") != wanted:
            if event.get("error", {}).get("code") == "server_full":
                raise Full

    async def talk(self) -> None:
        """Make the agent speak, and leave it more to hear than it has heard by the end."""
        if self.door.protocol == LIVE:
            say: dict[str, Any] = {"content": "say: hello there", "delegation_id": None}
            await self.say({"type": "session.commentary.append", **say})
            await self.say({"type": "session.input_audio.append", "audio": NOISE})
        else:
            say = {"metadata": {"say": "hello there"}}
            await self.say({"type": "response.create", "response": say})
            await self.say({"type": "input_audio_buffer.append", "audio": NOISE})
        await self.take(random.uniform(0.05, 0.5))

    async def take(self, seconds: float) -> None:
        """Read for so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await self.reader.read(65_536):
                    pass

    async def say(self, event: dict[str, Any]) -> None:
        await self.send(frame(TEXT | FINAL, json.dumps(event).encode()))

    async def read(self) -> dict[str, Any]:
        """The next event. Raises ConnectionError at the end of the session."""
        while True:
            first, size = await self.reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self.reader.readexactly(8), "big")
            payload = await self.reader.readexactly(size)
            if first & 0xF == CLOSE:
                raise ConnectionResetError("closed by the server")
            if first & 0xF == TEXT:
                return json.loads(payload)

    async def until_closed(self) -> None:
        """Until the server has hung up. Raises TimeoutError where it does not."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65_536):
                pass

    def reset(self) -> None:
        """Gone at once, by RST."""
        plug = self.writer.get_extra_info("socket")
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass(frozen=True)
class Door:
    """Where a server is, and by which protocol to come in."""

    host: str
    port: int
    protocol: str

    @contextlib.asynccontextmanager
    async def wire(self) -> AsyncGenerator[Wire]:
        """A TCP connection; it is closed without a word at the end of the block."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            yield Wire(reader, writer, self)
        finally:
            writer.transport.abort() if writer.transport.is_closing() else writer.close()

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncGenerator[Wire]:
        """A session in which both sides make sound."""
        async with self.wire() as wire:
            await wire.begin()
            await wire.talk()
            yield wire


def frame(first: int, payload: bytes, *, mask: bool = True, size: int | None = None) -> bytes:
    """A WebSocket frame, masked with zeros; `size` may lie about the payload's."""
    size = len(payload) if size is None else size
    bit = 0x80 if mask else 0
    if size < 126:
        head = bytes([first, bit | size])
    elif size < 1 << 16:
        head = bytes([first, bit | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([first, bit | 127]) + size.to_bytes(8, "big")
    return head + (bytes(4) if mask else b"") + payload


# -- the ways -----------------------------------------------------------------------


async def says_nothing(door: Door) -> None:
    async with door.wire():
        await asyncio.sleep(random.uniform(0.0, 0.3))


async def half_a_handshake(door: Door) -> None:
    async with door.wire() as wire:
        hello = wire.hello()
        await wire.send(hello[: random.randrange(1, len(hello))])
        await asyncio.sleep(random.uniform(0.0, 0.2))


async def gone_after_the_handshake(door: Door) -> None:
    async with door.wire() as wire:
        await wire.send(wire.hello())
        await asyncio.sleep(random.uniform(0.0, 0.05))
        wire.reset()


async def wrong_upgrade(door: Door) -> None:
    wrong: list[dict[str, str | None]] = [
        {"Sec_WebSocket_Version": "7"},
        {"Sec_WebSocket_Key": None},
        {"Sec_WebSocket_Key": "short"},
        {"Upgrade": "h2c"},
        {"Connection": "close"},
    ]
    async with door.wire() as wire:
        await wire.send(wire.hello(**random.choice(wrong)))
        answer = await wire.reader.read(1024)
        if b" 101 " in answer.split(b"\r\n")[0] or b" 500 " in answer.split(b"\r\n")[0]:
            raise RuntimeError(f"a wrong upgrade was answered by {answer[:60]!r}")


async def cut_in_a_frame(door: Door) -> None:
    async with door.session() as wire:
        await wire.send(frame(TEXT | FINAL, b'{"type": "inp', size=60_000))


async def cut_in_a_message(door: Door) -> None:
    async with door.session() as wire:
        await wire.send(frame(TEXT, b'{"type": "input_audio_buffer'))  # and no continuation


async def reset(door: Door) -> None:
    async with door.session() as wire:
        wire.reset()


async def half_closed(door: Door) -> None:
    async with door.session() as wire:
        wire.writer.write_eof()
        await wire.until_closed()


async def closed_without_waiting(door: Door) -> None:
    async with door.session() as wire:
        await wire.send(frame(CLOSE | FINAL, (1000).to_bytes(2, "big")))


async def garbage_text(door: Door) -> None:
    async with door.session() as wire:
        for text in (b"{", b"[]", b"null", b'{"type": 7}', b'"\\ud800"', b"x" * 5000):
            await wire.send(frame(TEXT | FINAL, text))
        await wire.take(0.1)


async def text_that_is_not_utf8(door: Door) -> None:
    async with door.session() as wire:
        await wire.send(frame(TEXT | FINAL, b"\xff\xfe\xc0"))
        await wire.until_closed()


async def garbage_binary(door: Door) -> None:
    async with door.session() as wire:
        for _ in range(4):
            await wire.send(frame(BINARY | FINAL, random.randbytes(random.randrange(4000))))
        await wire.take(0.1)


async def no_frames_at_all(door: Door) -> None:
    async with door.session() as wire:
        await wire.send(b"\xff" + random.randbytes(2000))
        await wire.until_closed()


async def unmasked(door: Door) -> None:
    async with door.session() as wire:
        await wire.send(frame(TEXT | FINAL, b"{}", mask=False))
        await wire.until_closed()


async def too_long(door: Door) -> None:
    async with door.session() as wire:
        await wire.send(frame(TEXT | FINAL, b"x" * 100_000, size=1 << 40))
        await wire.until_closed()


async def reads_nothing(door: Door) -> None:
    async with door.session() as wire:
        wire.writer.transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue]
        await asyncio.sleep(random.uniform(0.2, 1.0))
        wire.reset()


async def gone_at_the_start(door: Door) -> None:
    """While the place is being taken."""
    async with door.wire() as wire:
        await wire.shake()
        if door.protocol == LIVE:
            await wire.say({"type": "session.start", "session": {"model": "any"}})


async def killed(door: Door) -> None:
    """A process of its own, in the middle of a call."""
    command = [sys.executable, __file__, "--client", door.protocol, "--port", str(door.port)]
    child = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        line = await child.stdout.readline()
        if line.strip() == b"full":
            raise Full
        if line.strip() != b"talking":
            raise RuntimeError("the client did not begin")
        await asyncio.sleep(random.uniform(0.0, 0.3))
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


WAYS: tuple[Callable[[Door], Awaitable[None]], ...] = (
    says_nothing,
    half_a_handshake,
    gone_after_the_handshake,
    wrong_upgrade,
    gone_at_the_start,
    cut_in_a_frame,
    cut_in_a_message,
    reset,
    half_closed,
    closed_without_waiting,
    garbage_text,
    text_that_is_not_utf8,
    garbage_binary,
    no_frames_at_all,
    unmasked,
    too_long,
    reads_nothing,
    killed,
)


async def client(door: Door) -> None:
    """The child that is killed."""
    async with door.wire() as wire:
        try:
            await wire.begin()
        except Full:
            print("full", flush=True)
            return
        print("talking", flush=True)
        while True:
            await wire.talk()


async def go(way: Callable[[Door], Awaitable[None]], door: Door) -> str:
    """One session; gives what became of it: "" where all was as it should be."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            async with asyncio.timeout(PATIENCE):
                await way(door)
            return ""
        except Full:
            if time.monotonic() > end:
                return "no place"
            await asyncio.sleep(0.1)
        except TimeoutError:
            return "hung"
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            return f"cut off by the server ({type(error).__name__})"
        except RuntimeError as error:
            return str(error)


async def listen(door: Door) -> tuple[bytes, str]:
    """A session that hears silence: the sound of its first frames, and the words of both sides."""
    async with asyncio.timeout(PATIENCE), Door(door.host, door.port, LIVE).wire() as wire:
        await wire.shake()
        form = {"type": "audio/pcm", "rate": 16_000}
        session = {"model": "any", "audio": {"format": form}}
        await wire.say({"type": "session.start", "session": session})
        sound, words, count = b"", "", 0
        while count < LISTEN:
            event = await wire.read()
            if event["type"] == "error":
                raise RuntimeError(f"a fresh session is not taken: {event['error']}")
            if event["type"] == "session.output_audio.delta":
                sound += base64.b64decode(event["delta"])
                count += 1
                await wire.say({"type": "session.input_audio.append", "audio": SILENCE})
            elif event["type"].endswith("_transcript.delta"):
                words += event["delta"]
        return sound, words


# -- the server ----------------------------------------------------------------------


def serve(report: str, arguments: list[str]) -> None:
    """The child: `antiphon serve`, which on SIGUSR1 writes what it holds into a file."""

    def tell(*_: object) -> None:
        from antiphon.runtime.clock import Line
        from antiphon.serving.call import LiveCall
        from antiphon.serving.cluster.gateway import ClusterLine
        from antiphon.serving.socket import Connection

        gc.collect()
        kinds = (LiveCall, Connection, Line, ClusterLine)
        held = sum(type(each) in kinds for each in gc.get_objects())
        found = {"tasks": len(asyncio.all_tasks()), "held": held}
        Path(f"{report}.new").write_text(json.dumps(found))
        os.replace(f"{report}.new", report)

    signal.signal(signal.SIGUSR1, tell)
    from antiphon.cli.main import main as antiphon

    sys.argv = ["antiphon", "serve", *arguments]
    antiphon()


@dataclass
class Counts:
    """What a server has, at a moment."""

    memory: float
    """MB, resident."""
    free: int
    """Places."""
    tasks: int
    held: int
    """Calls, lines and connections that are still referred to."""
    threads: int
    files: int

    def amiss(self, before: Counts) -> list[str]:
        """What is not back. Memory is never so to the byte."""
        more = ["tasks", "held", "threads", "files"]
        found = [name for name in more if getattr(self, name) > getattr(before, name)]
        return found if self.free == before.free else ["free", *found]


class Subject:
    """The server that is harassed."""

    def __init__(self, process: subprocess.Popen[str], port: int, report: Path, log: Path):
        self.process, self.port, self.report, self.log = process, port, report, log

    def counts(self) -> Counts:
        self.report.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR1)
        end = time.monotonic() + PATIENCE
        while not self.report.exists():
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError("the server does not answer")
            time.sleep(0.02)
        figures = self.figures()  # the first time it starts a thread, which is to be counted
        held = json.loads(self.report.read_text())
        memory = threads = files = 0
        for proc in self._processes():
            status = (proc / "status").read_text().splitlines()
            fields = dict(line.split(":", 1) for line in status)
            memory += int(fields["VmRSS"].split()[0])
            threads += int(fields["Threads"])
            files += len(list((proc / "fd").iterdir()))
        return Counts(
            memory=memory / 1024,
            free=round(figures["antiphon_slots"] - figures["antiphon_slots_used"]),
            tasks=held["tasks"],
            held=held["held"],
            threads=threads,
            files=files,
        )

    def _processes(self) -> list[Path]:
        """The server, and the engine's process that it may have, in /proc."""
        server = Path(f"/proc/{self.process.pid}")
        children = (server / "task" / server.name / "children").read_text().split()
        return [server, *(Path(f"/proc/{child}") for child in children)]

    def figures(self) -> dict[str, float]:
        """Of /metrics, those without labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=20) as got:
            lines = got.read().decode().splitlines()
        return {
            name: float(value) for name, value in (x.split() for x in lines if x.count(" ") == 1)
        }

    def settle(self, before: Counts) -> tuple[Counts, float, str]:
        """Wait until all is back; gives what there is, the seconds, and what they were for."""
        began, last = time.monotonic(), ""
        while True:
            now = self.counts()
            took = time.monotonic() - began
            amiss = now.amiss(before)
            if not amiss or took > SETTLED:
                return now, took, last
            last = ", ".join(amiss)
            time.sleep(0.5)

    def errors(self) -> list[str]:
        """What the log tells of failures, without the time; not the client's faults."""
        lines = self.log.read_text(errors="replace").splitlines()
        told = [line.partition("  ")[2].strip() for line in lines if LEVEL.search(line)]
        return [re.sub("call_[0-9a-f]+", "call_...", x) for x in told if not CLIENTS.search(x)]


@contextlib.contextmanager
def subject(bundle: str, slots: int, threads: int, folder: Path) -> Any:
    """A running server, with its store in `folder`."""
    report, log = folder / "report.json", folder / "log"
    if bundle == "tiny":
        sys.path.insert(0, str(Path(__file__).parents[1]))
        from tests.conftest import make_bundle

        bundle = str(make_bundle(folder / "tiny"))
    command = [sys.executable, __file__, "--serve", str(report), bundle, "--port", "0"]
    command += ["--slots", str(slots), "--threads", str(threads), "--seed", "7"]
    command += ["--store", str(folder / "calls")]
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Serving"):
                address = next(word for word in line.split() if word.startswith("http"))
                yield Subject(process, int(address.rpartition(":")[2]), report, log)
                return
        raise SystemExit(f"the server did not start:\n{log.read_text()[-2000:]}")
    finally:
        process.kill()
        process.communicate()


# -- the whole -------------------------------------------------------------------------


async def storm(port: int, sessions: int, at_once: int, seed: int) -> Counter[tuple[str, str]]:
    """So many sessions, every way by every protocol in turn; gives (way, what became of it)."""
    rng = random.Random(seed)
    both = [(way, protocol) for way in WAYS for protocol in PATHS]
    rng.shuffle(both)
    plan = [both[number % len(both)] for number in range(sessions)]
    outcomes: Counter[tuple[str, str]] = Counter()

    async def worker() -> None:
        while plan:
            way, protocol = plan.pop()
            outcome = await go(way, Door("127.0.0.1", port, protocol))
            outcomes[way.__name__, outcome] += 1

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return outcomes


async def strangers(port: int, slots: int, first: tuple[bytes, str]) -> int:
    """How many of fresh sessions on all places were given anything but what the first was."""
    found = await asyncio.gather(*(listen(Door("127.0.0.1", port, LIVE)) for _ in range(slots)))
    return sum(each != first for each in found)


def peak(sound: bytes) -> float:
    """Of 16-bit sound, 0 to 1."""
    return max(abs(each) for (each,) in struct.iter_unpack("<h", sound)) / 32768


def main() -> None:
    """Harass a server; status 1 where it does not get over it."""
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=2000)
    parser.add_argument("--bundle", default="tiny", help="name or folder; tiny: that of the tests")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--growth", type=float, default=0.1, help="share of memory that may stay")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, help="keep the server's log here")
    parser.add_argument("--client", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    random.seed(given.seed)
    if given.client:
        asyncio.run(client(Door("127.0.0.1", given.port, given.client)))
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        subject(given.bundle, given.slots, given.threads, Path(folder)) as server,
    ):
        raise SystemExit(harass(server, given))


def harass(server: Subject, given: argparse.Namespace) -> int:
    """The storm and what is left of it, printed; gives the exit status."""
    first = asyncio.run(listen(Door("127.0.0.1", server.port, LIVE)))
    # What a first session of each way makes the server load and cache is no leak.
    asyncio.run(storm(server.port, 2 * len(WAYS), given.at_once, given.seed))
    asyncio.run(strangers(server.port, given.slots, first))
    time.sleep(3)
    before = server.counts()
    began = time.monotonic()
    outcomes: Counter[tuple[str, str]] = Counter()
    wrong, halves = 0, list[tuple[Counts, float, str]]()
    for part in (given.sessions // 2, given.sessions - given.sessions // 2):
        outcomes += asyncio.run(storm(server.port, part, given.at_once, given.seed + len(halves)))
        halves.append(server.settle(before))
        wrong += asyncio.run(strangers(server.port, given.slots, first))
    after, _, _ = server.settle(before)
    took, late = max(each[1:] for each in halves)

    print(
        f"{given.sessions} sessions in {time.monotonic() - began:.0f} s, {given.at_once} at once\n"
    )
    for way in dict.fromkeys(way for way, _ in sorted(outcomes)):
        found = {what: count for (name, what), count in outcomes.items() if name == way}
        bad = ", ".join(f"{count} {what}" for what, count in found.items() if what)
        print(f"  {way.replace('_', ' '):26}{sum(found.values()):6d}  {bad or 'well'}")
    print(f"\n  {'':26}{'before':>10}{'half way':>10}{'after':>10}")
    names = {"free": "places free", "held": "calls and lines held", "files": "file descriptors"}
    for name in ("memory", "free", "tasks", "held", "threads", "files"):
        row = [getattr(each, name) for each in (before, halves[0][0], after)]
        text = "".join(f"{value:10.1f}" if name == "memory" else f"{value:10d}" for value in row)
        print(f"  {names.get(name, name) + (', MB' if name == 'memory' else ''):26}{text}")
    loud = peak(first[0])
    print(
        f"\n  all was back {took:.1f} s after the last ({late or 'at once'}); "
        f"a session in silence hears peak {loud:.4f}"
    )
    print(f"  fresh sessions that heard anything else: {wrong} of {2 * given.slots}")
    errors = server.errors()
    if given.log is not None:
        given.log.write_text(server.log.read_text(errors="replace"))
    print(f"  errors in the server's log: {len(errors)}")
    for line, count in Counter(errors).most_common(5):
        print(f"    {count} x {line[:160]}")
    grown = after.memory - before.memory
    print(
        f"  memory grew by {grown:.1f} MB, {grown * 1024 / max(given.sessions, 1):.1f} KB a session"
    )
    checks = {
        "places, tasks, calls, threads or descriptors are not back": bool(after.amiss(before)),
        "memory stays": grown > given.growth * before.memory,
        "a later session heard what was not its own": wrong > 0,
        "sessions met what they should not": any(what for _, what in outcomes),
        "the server logged errors": bool(errors),
    }
    faults = [what for what, is_so in checks.items() if is_so]
    print(f"\n{'; '.join(faults) if faults else 'well'}")
    return 1 if faults else 0


if __name__ == "__main__":
    main()
