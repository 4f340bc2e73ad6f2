"""A server's address, in whatever form it was given: host, base of the API, or the whole path."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, quote, urlsplit, urlunsplit

from antiphon.errors import AntiphonError

_SCHEMES = {"ws": "http", "http": "http", "wss": "https", "https": "https"}
_BASE = "/v1"
_REALTIME = "/realtime"


@dataclass(frozen=True)
class Address:
    """Where a server is. Passwords that stood in its address are in none of the fields."""

    name: str
    """Scheme, host and port, as sentences and reports say them."""
    rest: str
    """The base of what is asked by HTTP, without a slash at its end."""
    model: str = ""
    """The model that the address named."""

    def realtime(self, model: str | None = None) -> str:
        """The WebSocket's address."""
        wanted = self.model if model is None else model
        query = f"?model={quote(wanted)}" if wanted else ""
        # http becomes ws, https becomes wss.
        return f"ws{self.rest.removeprefix('http')}{_REALTIME}{query}"


def parse(url: str) -> Address:
    """`ws://host:port`, `http://host/v1`, `wss://host/v1/realtime?model=x`, ... as an address.

    Raises AntiphonError when it is none; the address is not repeated, for it may hold a password.
    """
    parts = _parts(url)
    path = parts.path.rstrip("/").removesuffix(_REALTIME) or _BASE
    host = parts.netloc.rpartition("@")[2]
    scheme = _SCHEMES[parts.scheme]
    return Address(
        name=f"{parts.scheme}://{host}",
        rest=urlunsplit((scheme, host, path, "", "")),
        model=parse_qs(parts.query).get("model", [""])[0],
    )


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        if parts.scheme in _SCHEMES and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass
    raise AntiphonError("a server's address is like ws://127.0.0.1:8080; this one is not")
