"""Every knob of the server, with its unit and its default.

A frozen value, made by `antiphon serve`, by a test or by an application that mounts the server;
`create_app` takes it. It opens no file and no socket.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0)]


class ServerConfig(BaseModel):
    """How a server serves. Times are seconds unless the name says otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # -- what and where -----------------------------------------------------------
    bundle: str = "cafe"
    """A bundle's name or folder."""
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    # -- the clock ----------------------------------------------------------------
    slots: int | None = Field(default=None, ge=1)
    """Calls at once; None: as many as the machine was measured to carry."""
    most_slots: int = Field(default=64, ge=1)
    """How far the measurement goes."""
    threads: int | None = Field(default=None, ge=1)
    """Threads that step the network; None: one for each core that the process may use."""
    first: bool = False
    """Whether those threads come before all other work of the machine, where the system lets them:
    root, CAP_SYS_NICE or an `rtprio` limit on Linux."""
    group: int | None = Field(default=None, ge=1)
    """Slots of one engine, all of which cost the same whether they are used or not; None: as
    `admission.group_of` has it."""
    budget: float = Field(default=0.6, gt=0, le=1)
    """Share of the 80 ms of a beat that the measured capacity may fill: the rest is for the event
    loop, for words that are said by force, and for a busy neighbour."""
    prebuffer: Seconds = 0.04
    """Input kept in hand against the network's jitter: so much is added to the latency."""
    backlog: Seconds = 30.0
    """Input that may wait to be heard; what comes beyond it is dropped, and the client told."""
    seed: int | None = None
    """Every call's seed; None: a new one for each."""

    # -- who may ------------------------------------------------------------------
    key_file: Path | None = None
    """Hashed API keys, as `antiphon serve keys add` writes them; None: no key is asked for, which
    is allowed on the loopback address alone."""
    origins: tuple[str, ...] = ()
    """Web origins (https://shop.example) from which browsers may connect, beside the server's own
    pages. "*" lets every page in."""
    sessions_per_key: int = Field(default=16, ge=1)
    """Calls at once of one key that has no limit of its own."""
    minutes_per_day: float = Field(default=1440.0, gt=0)
    """Minutes of calls in a UTC day of one key that has no limit of its own."""
    secret_seconds: Seconds = 600.0
    """How long an ephemeral secret (ek_...) can open a call, unless it is asked for otherwise."""

    # -- what is served beside Realtime over WebSocket ------------------------------
    live: bool = True
    """OpenAI's Live protocol."""
    webrtc: bool = True
    """Both protocols over WebRTC."""
    pages: bool = True
    """The pages / and /calls."""
    ice_servers: tuple[dict[str, Any], ...] = ()
    """STUN and TURN servers as a browser's RTCPeerConnection takes them; with none, calls come
    over the addresses of this machine's interfaces."""

    # -- limits -------------------------------------------------------------------
    message_bytes: int = Field(default=1 << 20, ge=1 << 10)
    """The longest message of a WebSocket: 16 s of 16-bit sound at 24 kHz, as base64."""
    session_seconds: Seconds = 3600.0
    """The longest call."""
    idle_seconds: Seconds = 300.0
    """A call whose client sends nothing for so long is closed."""
    send_seconds: Seconds = 20.0
    """A call whose client takes nothing for so long is closed."""
    upload_bytes: int = Field(default=25 << 20, ge=1 << 10)
    """The largest file to transcribe, and the largest body of any request."""
    upload_seconds: Seconds = 600.0
    """The longest recording to transcribe."""
    text_letters: int = Field(default=4096, ge=1)
    """The longest text to speak."""
    rest_jobs: int = Field(default=1, ge=1)
    """Texts and files that are worked on at a time; others wait."""
    rest_waiting: int = Field(default=8, ge=0)
    """How many of them may wait."""
    drain_seconds: Seconds = 60.0
    """After SIGTERM calls may go on for so long; then they are closed with a reason."""
    retry_seconds: int = Field(default=10, ge=1)
    """What a refused client is told to wait."""
    dtmf_pause: Seconds = 5.0
    """For so long after a keypress nothing of a call is kept."""

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own and no other's."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
