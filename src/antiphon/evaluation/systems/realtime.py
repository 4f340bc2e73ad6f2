"""Any server that speaks OpenAI's Realtime (GA) or Live protocol over WebSocket, unchanged.

    ws://127.0.0.1:8000/v1/realtime?model=cafe      Realtime
    wss://api.openai.com/v1/live/sessions?model=gpt-live-1      Live, by the path's /live/sessions

Everything is as a client on the wall's clock has it. A tick of the caller is sent when its 20 ms
are over, as a microphone's would be; what has come by then is played in the next tick. So every
figure has the network and the server's own delays in it, up to 20 ms of waiting for the next
tick, and 3 ms in the change of rate.

Ticks keep to the clock, and one that is a little late is made up for. When this machine was busy
for longer the clock waits for it: ticks sent in a heap would find no answers yet, and the silence
played meanwhile would delay a voice without pauses for the rest of the call.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import struct
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import SplitResult, parse_qs, urlsplit, urlunsplit

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.quick_resample import QuickResampler
from antiphon.corpus.calls import Tool
from antiphon.corpus.scenario import FactSpec, Scenario
from antiphon.errors import AntiphonError
from antiphon.evaluation.protocol import SECONDS, Heard, Told
from antiphon.evaluation.systems.realtime_events import Message
from antiphon.evaluation.systems.realtime_ga import RealtimeDialect
from antiphon.evaluation.systems.realtime_live import LiveDialect
from antiphon.evaluation.systems.realtime_playback import Playback
from antiphon.runtime.events import Samples

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

KEY, OPENAI_KEY = "ANTIPHON_REALTIME_KEY", "OPENAI_API_KEY"
PATIENCE = 10.0  # s for a server to answer, to set up its session, and to take a tick of sound
_CLOSING = 2.0  # s
_LATE = 0.04  # s: a tick that begins later than that moves the clock
_DRAIN = 0.02  # s after a tick's end in which messages that wait are still read
_LARGEST = 2**24  # bytes of a message: some servers send a whole reply as one


class Dialect(Protocol):
    """One call's side of a protocol, without the socket."""

    playback: Playback
    ready: bool
    rate: int

    def hello(self) -> Message: ...

    def append(self, samples: Samples) -> Message: ...

    def goodbye(self) -> Message | None: ...

    def receive(self, text: str | bytes) -> tuple[list[Message], list[Told]]: ...


class RealtimeSystem:
    """A server at an address. The protocols have no seed: calls differ as the server makes them.

    scenario: whose description, facts and tools the session is given; None: a bare session.
    Raises AntiphonError when the address is none.
    """

    live = True

    def __init__(
        self, url: str, scenario: Scenario | None = None, *, patience: float = PATIENCE
    ) -> None:
        parts = _parts(url)
        self._live = parts.path.rstrip("/").endswith("/live/sessions")
        self._model = parse_qs(parts.query).get("model", [""])[0]
        # A Live session takes its model from the session, and no query.
        self._url = urlunsplit(parts._replace(query="")) if self._live else url
        # Passwords and keys may stand in an address; reports and sentences get neither.
        place = parts.netloc.rpartition("@")[2] + parts.path
        self._name = f"{place}?model={self._model}" if self._model else place
        self._key = _key(parts.hostname)
        self._instructions = instructions(scenario) if scenario else ""
        self._tools: Sequence[Tool] = scenario.tools if scenario else ()
        self._patience = patience

    @property
    def name(self) -> str:
        """Host, path and model."""
        return self._name

    @contextmanager
    def call(self, seed: int) -> Generator[RealtimeLine]:
        """A new connection with a session of its own. Raises AntiphonError."""
        dialect: Dialect = (LiveDialect if self._live else RealtimeDialect)(
            self._instructions, self._tools, self._model
        )
        connection = self._connect()
        try:
            line = RealtimeLine(connection, dialect, self._name, self._key)
            line.open(self._patience)
            yield line
        finally:
            with suppress(Exception):  # the call is over: how the server takes it is its affair
                if goodbye := dialect.goodbye():
                    connection.send(json.dumps(goodbye))
            with suppress(Exception):
                connection.close()

    def _connect(self) -> ClientConnection:
        try:
            from websockets import exceptions
            from websockets.sync.client import connect
        except ImportError:
            raise AntiphonError(
                "judging a server needs websockets; pip install 'antiphon[eval]'"
            ) from None
        # At its debug level the library writes every header, and so the key.
        mute = logging.Logger("antiphon.mute", logging.CRITICAL + 1)
        try:
            connection = connect(
                self._url,
                additional_headers={"Authorization": f"Bearer {self._key}"} if self._key else None,
                compression=None,
                open_timeout=self._patience,
                close_timeout=_CLOSING,
                max_size=_LARGEST,
                max_queue=None,
                logger=mute,
            )
        except exceptions.InvalidStatus as error:
            raise AntiphonError(f"{self._name} {_refusal(error.response.status_code)}") from None
        except TimeoutError:
            raise AntiphonError(
                f"{self._name} did not answer within {self._patience:g} s"
            ) from None
        except (exceptions.WebSocketException, EOFError) as error:
            raise AntiphonError(
                f"{self._name} does not speak WebSocket ({_reason(error)}); is the address right?"
            ) from None
        except (OSError, ValueError) as error:
            raise AntiphonError(
                f"{self._name} cannot be reached ({_reason(error)}); is the server running?"
            ) from None
        # A server that stops reading must not hold a send for ever; reads have their own bounds.
        bound = struct.pack("ll", int(self._patience), int(self._patience % 1 * 1e6))
        with suppress(OSError):
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, bound)
        return connection


class RealtimeLine:
    """A call on the wall's clock, which starts with the first `push`."""

    def __init__(
        self, connection: ClientConnection, dialect: Dialect, name: str, key: str | None
    ) -> None:
        self._connection, self._dialect = connection, dialect
        self._name, self._key = name, key
        self._up = QuickResampler(SAMPLE_RATE, dialect.rate)
        self._told: list[Told] = []
        self._due: float | None = None  # when the next tick begins
        self._ticks = 0

    def open(self, patience: float) -> None:
        """Set the session up, within `patience` seconds. Raises AntiphonError."""
        end = time.perf_counter() + patience
        self._send(self._dialect.hello())
        while not self._dialect.ready:
            if time.perf_counter() > end or not self._receive(end - time.perf_counter()):
                raise AntiphonError(
                    f"{self._name} did not set up a session within {patience:g} s; "
                    "does it speak this protocol?"
                )

    def push(self, caller: Samples, /) -> Heard:
        """20 ms of the caller, float32 [TICK]; returns when they are over."""
        now = time.perf_counter()
        due = now if self._due is None else self._due
        self._due = over = (now if now - due > _LATE else due) + SECONDS
        self._ticks += 1
        # A server that sends without end must not hold the clock.
        while (now := time.perf_counter()) < over + _DRAIN and self._receive(over - now):
            pass
        sound = self._up(caller)
        self._send(self._dialect.append(sound))
        heard = self._dialect.playback.take()
        told, self._told = self._told, []
        return Heard(heard.agent, (*heard.told, *told))

    def _receive(self, timeout: float) -> bool:
        """Read one message, or wait at most `timeout` seconds; whether there was one."""
        from websockets.exceptions import WebSocketException

        try:
            text = self._connection.recv(timeout=max(0.0, timeout))
        except TimeoutError:
            return False
        except (WebSocketException, OSError) as error:
            raise self._gone(error) from None
        try:
            sends, told = self._dialect.receive(text)
        except AntiphonError as error:
            raise AntiphonError(self._without_key(f"{self._name} {error}")) from None
        self._told += told
        for message in sends:
            self._send(message)
        return True

    def _send(self, message: Message) -> None:
        from websockets.exceptions import WebSocketException

        try:
            self._connection.send(json.dumps(message))
        except (WebSocketException, OSError) as error:
            raise self._gone(error) from None

    def _gone(self, error: Exception) -> AntiphonError:
        when = f"after {self._ticks * SECONDS:.1f} s" if self._ticks else "before it began"
        return AntiphonError(
            self._without_key(f"{self._name} closed the call {when} ({_reason(error)})")
        )

    def _without_key(self, sentence: str) -> str:
        """Servers quote keys that they refuse."""
        return sentence.replace(self._key, "...") if self._key else sentence


def instructions(scenario: Scenario) -> str:
    """What a general model must be told to be this scenario's agent: its facts, and no more."""
    lines = [
        scenario.description,
        "You are the agent who answers this call. Speak briefly and naturally.",
        "When the caller asks for something that a tool does, call the tool at once, with only "
        "what the caller said, and confirm aloud what you did in the tool's own words.",
        "Do only what the tools can do and say only what stands here; decline anything else.",
    ]
    lines += [f"{name}, by {', '.join(fact.by)}: {table}" for name, fact, table in _facts(scenario)]
    return "\n".join(line for line in lines if line)


def _facts(scenario: Scenario) -> Iterator[tuple[str, FactSpec, str]]:
    from antiphon.corpus import grammar

    def rows(part: Any, path: tuple[str, ...]) -> Iterator[str]:
        if isinstance(part, Mapping):
            for key, row in cast("Mapping[str, Any]", part).items():
                yield from rows(row, (*path, key.replace("*", "otherwise")))
        else:
            words = grammar.render(part, {}, scenario.rules, None) or []
            yield f"{', '.join(path)}: {grammar.join(words)}"

    for name, fact in scenario.facts.items():
        yield name, fact, "; ".join(rows(fact.rows, ()))


def _parts(url: str) -> SplitResult:
    """An address in its parts, with a host and, if any, a whole number as its port."""
    try:
        parts = urlsplit(url)
        if parts.scheme in ("ws", "wss") and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass
    # The address itself is not repeated: it may hold a password.
    raise AntiphonError("a server's address is like ws://host:port/path?model=x; this one is not")


def _key(host: str | None) -> str | None:
    """The key for a host. OpenAI's own is shown to nobody else."""
    key = os.environ.get(KEY)
    if not key and host and (host == "openai.com" or host.endswith(".openai.com")):
        key = os.environ.get(OPENAI_KEY)
    return key or None


def _refusal(status: int) -> str:
    if status in (401, 403):
        return f"refuses the key (HTTP {status}); set {KEY}, or {OPENAI_KEY} for OpenAI's servers"
    if status == 404:
        return "has nothing at this path (HTTP 404)"
    if status in (429, 503):
        return f"takes no more calls now (HTTP {status}); try again later"
    return f"refuses the call (HTTP {status})"


def _reason(error: Exception) -> str:
    # The library says "no close frame" where a socket failed; why it did is the cause.
    cause = error.__cause__
    if isinstance(cause, BlockingIOError):
        return "it takes no more sound"
    said = str(error) or type(error).__name__
    return f"{said}: {cause}" if isinstance(cause, OSError) else said
