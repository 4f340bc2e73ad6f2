"""The project's own server on loopback, in a thread of the test's process, on any free port."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI


@contextmanager
def running(app: FastAPI) -> Generator[str]:
    """Serve `app`; gives "127.0.0.1:PORT". It is down when the block is left."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3)
        server = uvicorn.Server(config)
        words = {"sockets": [listener]}
        thread = threading.Thread(target=server.run, kwargs=words, daemon=True)
        thread.start()
        end = time.monotonic() + 60
        while not server.started and thread.is_alive() and time.monotonic() < end:
            time.sleep(0.02)
        try:
            assert server.started, "the server did not start"
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive(), "the server did not stop"
