"""Stores in SQLite and in a real PostgreSQL, which the tests start for themselves."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from antiphon.serving.store import Store, StoreConfig

INIT = ("-U", "antiphon", "-A", "trust", "-E", "UTF8", "--no-sync")
WITHOUT = "PostgreSQL is not here: apt-get install postgresql"


def _programs() -> Path | None:
    """Where initdb and postgres are: on the path, or where Debian keeps them."""
    found = shutil.which("initdb")
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if found:
        places.insert(0, Path(found).resolve().parent)
    return next((p for p in places if (p / "initdb").exists() and (p / "postgres").exists()), None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _someone() -> dict[str, Any]:
    """Who the server runs as: it refuses to run as root."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    pytest.skip("PostgreSQL does not run as root, and there is no other user")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a server that runs while the tests do; databases are made in it."""
    programs = _programs()
    if programs is None:
        pytest.skip(WITHOUT)
    someone = _someone()
    folder = Path(tempfile.mkdtemp(prefix="antiphon-pg-"))
    if someone:
        os.chown(folder, someone["user"], someone["group"])
    plain = {"env": {"PATH": os.environ["PATH"], "LC_ALL": "C"}, "cwd": folder, **someone}
    try:
        subprocess.run(
            [programs / "initdb", "-D", folder / "data", *INIT],
            check=True,
            capture_output=True,
            timeout=60,
            **plain,
        )
        port = _free_port()
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "16MB",
        }
        with (folder.parent / f"{folder.name}.log").open("wb") as log:
            server = subprocess.Popen(
                [programs / "postgres", "-D", folder / "data", "-p", str(port)]
                + [part for name, value in options.items() for part in ("-c", f"{name}={value}")],
                stdout=log,
                stderr=log,
                **plain,
            )
        try:
            _wait(server, port, Path(log.name))
            yield f"postgresql://antiphon@127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGINT)  # a fast shutdown: it does not wait for clients
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            Path(log.name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    import psycopg

    until = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(f"postgresql://antiphon@127.0.0.1:{port}/postgres").close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(log.read_text()) from None
            time.sleep(0.1)


@pytest.fixture
def postgres_url(postgres: str) -> str:
    """The URL of an empty database: the one database, emptied, which is quicker than a new one."""
    import psycopg

    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return f"{postgres}/postgres"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str | None:
    """The URL of an empty database of either kind; None for the store's own SQLite."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def config(tmp_path: Path, url: str | None) -> StoreConfig:
    """A store in either database."""
    return StoreConfig(folder=tmp_path / "store", url=url, commit_seconds=0.05)


@pytest.fixture
def opened() -> Iterator[Callable[..., Store]]:
    """Opens stores and closes them at the end of the test."""
    stores: list[Store] = []

    def make(config: StoreConfig) -> Store:
        stores.append(Store.open(config))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def store(config: StoreConfig, opened: Callable[..., Store]) -> Store:
    """An empty store in either database."""
    return opened(config)


@pytest.fixture
def small(tmp_path: Path, opened: Callable[..., Store]) -> Store:
    """An empty store in SQLite, where the database makes no difference."""
    return opened(StoreConfig(folder=tmp_path / "small", commit_seconds=0.05))
