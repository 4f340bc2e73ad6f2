"""uvicorn with a drain: on SIGTERM no new calls, then the calls' own ends, then the server's.

A second signal ends the calls at once.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from antiphon.errors import AntiphonError
from antiphon.serving.config import ServerConfig
from antiphon.serving.house import House

LAST_WORDS = 2.0  # seconds for close frames and answers after the calls are over
PING = 20.0  # seconds: a peer that is gone without a word is found after two of them
# Clients and proxies keep an idle connection for a while, mostly 5 to 60 s, and lose what they send
# on it in the moment that the server closes it: so they must be the ones who close.
IDLE = 75  # seconds

_log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """One server; `run` returns when it has ended. `ready` is called with its address."""

    def __init__(
        self, app: FastAPI, config: ServerConfig, *, ready: Callable[[str], None] | None = None
    ) -> None:
        """Raises AntiphonError where the certificate or its key cannot be used."""
        self._app, self._settings, self._ready = app, config, ready
        self._drain: asyncio.Task[None] | None = None
        self._signals = 0
        try:
            settings = uvicorn.Config(
                app,
                host=config.host,
                port=config.port,
                ssl_certfile=config.tls_certificate,
                ssl_keyfile=config.tls_key,
                ws_max_size=config.message_bytes,
                ws_max_queue=64,
                ws_ping_interval=PING,
                ws_ping_timeout=PING,
                ws_per_message_deflate=False,  # base64 of sound: work for little
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=IDLE,
                timeout_graceful_shutdown=round(LAST_WORDS),
            )
            settings.load()
        except OSError as error:
            raise AntiphonError(
                f"{config.tls_certificate}: the certificate or its key cannot be used ({error})"
            ) from None
        logging.getLogger("uvicorn.error").addFilter(_one_line)
        super().__init__(settings)

    @property
    def address(self) -> str:
        """http://host:port, with the port that was found."""
        port = self.servers[0].sockets[0].getsockname()[1]
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        return f"{'https' if self.config.is_ssl else 'http'}://{host}:{port}"

    async def startup(self, sockets: list[object] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Listen. Raises AntiphonError where the address is not to be had."""
        try:
            await super().startup()
        except SystemExit:
            raise AntiphonError(
                f"{self._settings.host}:{self._settings.port} cannot be listened on; is another "
                "server running there? try --port 0"
            ) from None
        if self._ready is not None:
            self._ready(self.address)

    async def finish(self, seconds: float) -> None:
        """Drain for at most `seconds`, then stop."""
        house: House = self._app.state.house
        await house.reception.drain(seconds)
        await asyncio.sleep(0.2)  # the close frames go out
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Take SIGTERM and SIGINT, where this is the main thread's loop."""
        loop = asyncio.get_running_loop()
        taken: list[signal.Signals] = []
        for sign in (signal.SIGTERM, signal.SIGINT):
            try:
                loop.add_signal_handler(sign, self.handle_exit, sign, None)
                taken.append(sign)
            except (ValueError, RuntimeError, NotImplementedError):
                pass  # not the main thread: somebody else answers signals
        try:
            yield
        finally:
            for sign in taken:
                loop.remove_signal_handler(sign)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains, the second ends the calls, and a third does not wait for it."""
        self._signals += 1
        if self._signals > 2:
            self.should_exit = self.force_exit = True
            return
        if self._drain is not None:
            self._drain.cancel()
        first = sig == signal.SIGTERM and self._signals == 1
        wait = self._settings.drain_seconds if first else 0.0
        self._drain = asyncio.get_running_loop().create_task(self.finish(wait))


def _one_line(record: logging.LogRecord) -> bool:
    """A logging filter. uvicorn closes a socket whose text is not UTF-8 with 1007, and logs that as
    an error with its traceback; it is the client's fault and a line is enough."""
    if record.exc_info and isinstance(record.exc_info[1], UnicodeDecodeError):
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args = "a client sent text that is not UTF-8: closed with 1007", ()
        record.exc_info = record.exc_text = None
    return True
