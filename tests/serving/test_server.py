"""The process: SIGTERM, addresses that are taken, certificates."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from antiphon.errors import AntiphonError
from antiphon.serving.admission import Capacity
from antiphon.serving.app import create_app
from antiphon.serving.config import ServerConfig
from antiphon.serving.server import Server
from tests.serving.served import agent_of, served

ONE = Capacity(slots=1, threads=1, group=1)


@contextmanager
def process(bundle: Path, *options: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """`antiphon serve` as a process of its own, and its address."""
    command = [sys.executable, "-m", "antiphon", "serve", str(bundle), "--port", "0", *options]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        address = ""
        for line in child.stdout:
            if line.startswith("Serving"):
                address = next(word for word in line.split() if word.startswith("http"))
                break
        assert address, "it did not start"
        yield child, address.replace("http", "ws", 1)
    finally:
        if child.poll() is None:
            child.kill()
        child.communicate()


async def until_closed(socket: object) -> ConnectionClosed:
    try:
        while True:
            await asyncio.wait_for(socket.recv(), 20)  # type: ignore[attr-defined]
    except ConnectionClosed as closed:
        return closed


@pytest.mark.slow
def test_sigterm_lets_calls_end_takes_no_others_and_then_says_why(tiny_bundle: Path) -> None:
    async def call(child: subprocess.Popen[str], url: str) -> None:
        async with connect(f"{url}/v1/realtime") as socket:
            assert json.loads(await socket.recv())["type"] == "session.created"
            child.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.5)
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"{url}/v1/realtime").__aenter__()
            assert refused.value.response.status_code == 503
            assert refused.value.response.headers["Retry-After"]
            began = time.monotonic()
            closed = await until_closed(socket)
            assert time.monotonic() - began < 5
            assert closed.rcvd is not None
            assert (closed.rcvd.code, closed.rcvd.reason) == (1001, "server: going down")

    with process(tiny_bundle, "--slots", "2", "--drain", "1.5", "--no-keep") as (child, url):
        asyncio.run(asyncio.wait_for(call(child, url), 40))
        assert child.wait(15) == 0


@pytest.mark.slow
def test_a_server_without_calls_ends_at_once(tiny_bundle: Path) -> None:
    with process(tiny_bundle, "--slots", "1", "--drain", "60", "--no-keep") as (child, _):
        began = time.monotonic()
        child.send_signal(signal.SIGTERM)
        assert child.wait(15) == 0
        assert time.monotonic() - began < 10


@pytest.mark.slow
def test_a_second_signal_ends_the_calls_at_once(tiny_bundle: Path) -> None:
    async def call(child: subprocess.Popen[str], url: str) -> None:
        async with connect(f"{url}/v1/realtime") as socket:
            await socket.recv()
            child.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.3)
            began = time.monotonic()
            child.send_signal(signal.SIGTERM)
            closed = await until_closed(socket)
            assert time.monotonic() - began < 5
            assert closed.rcvd is not None
            assert closed.rcvd.code == 1001

    with process(tiny_bundle, "--slots", "1", "--drain", "60", "--no-keep") as (child, url):
        asyncio.run(asyncio.wait_for(call(child, url), 40))
        assert child.wait(15) == 0


@pytest.mark.slow
def test_everything_is_there(tiny_bundle: Path, tmp_path: Path) -> None:
    async def call(url: str) -> None:
        async with connect(f"{url}/v1/realtime") as socket:
            await socket.recv()
            await asyncio.sleep(0.5)

    kept = ("--slots", "2", "--store", str(tmp_path / "calls"))
    with process(tiny_bundle, *kept) as (child, url):
        asyncio.run(asyncio.wait_for(call(url), 30))
        http = url.replace("ws", "http", 1)
        for path in ("/", "/calls", "/healthz", "/readyz", "/metrics", "/v1/models"):
            answer = httpx.get(f"{http}{path}")
            assert answer.status_code == 200, (path, answer.text)
        assert "antiphon_sessions_active 0.0" in httpx.get(f"{http}/metrics").text
        time.sleep(1.0)
        assert len(httpx.get(f"{http}/v1/antiphon/calls").json()["data"]) == 1
        child.send_signal(signal.SIGTERM)
        assert child.wait(15) == 0


@pytest.mark.slow
def test_an_idle_connection_outlives_the_clients_that_keep_it(tiny_bundle: Path) -> None:
    """httpx keeps one for 5 s; a server that closed it just then would lose a request."""

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"GET /v1/models HTTP/1.1\r\nHost: here\r\n\r\n")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        length = next(line for line in head.lower().split(b"\r\n") if b"content-length" in line)
        await reader.readexactly(int(length.split(b":")[1]))
        return head.split(b"\r\n")[0]

    async def idle(address: str) -> None:
        host, port = address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        assert b" 200 " in await ask(reader, writer)
        await asyncio.sleep(6)
        assert b" 200 " in await ask(reader, writer)
        writer.close()

    with served(tiny_bundle) as running:
        asyncio.run(idle(running.http))


def test_an_address_that_is_taken_is_one_sentence(tiny_bundle: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = ServerConfig(port=taken.getsockname()[1])
        app = create_app(config, agent=agent_of(tiny_bundle), capacity=ONE)
        with pytest.raises(AntiphonError, match="cannot be listened on"):
            Server(app, config).run()


def test_a_certificate_that_is_none_is_one_sentence(tiny_bundle: Path, tmp_path: Path) -> None:
    bad = tmp_path / "c.pem"
    bad.write_text("no certificate")
    config = ServerConfig(tls_certificate=bad, tls_key=bad)
    app = create_app(config, agent=agent_of(tiny_bundle), capacity=ONE)
    with pytest.raises(AntiphonError, match=r"c\.pem"):
        Server(app, config)


def test_a_server_leaves_no_thread_behind(tiny_bundle: Path) -> None:
    import threading

    before = {thread.name for thread in threading.enumerate()}
    with served(tiny_bundle) as server:
        assert server.http.startswith("http://127.0.0.1:")
    time.sleep(0.1)
    after = {thread.name for thread in threading.enumerate()}
    assert not {name for name in after - before if name.startswith("antiphon")}


def test_with_tls_it_serves_wss(tiny_bundle: Path, tmp_path: Path) -> None:
    import shutil
    import ssl

    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
        env={**os.environ, "RANDFILE": str(tmp_path / "rnd")},
    )

    async def call(url: str) -> None:
        trust = ssl.create_default_context(cafile=str(certificate))
        trust.check_hostname = False
        async with connect(f"{url}/v1/realtime", ssl=trust) as socket:
            assert json.loads(await socket.recv())["type"] == "session.created"

    with served(tiny_bundle, tls_certificate=certificate, tls_key=key) as server:
        assert server.ws.startswith("wss://")
        asyncio.run(asyncio.wait_for(call(server.ws), 20))
