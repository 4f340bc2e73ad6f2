"""Who is calling: API keys, kept as hashes, and ephemeral secrets bound to a session.

A key is shown once, when it is made; the file holds a SHA-256 of it, which is enough because a key
is 256 random bits and no word that could be guessed. Knows nothing of calls and sockets.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from antiphon.errors import AntiphonError

PREFIX, EPHEMERAL = "ak_", "ek_"
SUBPROTOCOL = "openai-insecure-api-key."
"""A browser's WebSocket cannot send headers: the key stands in the name of a subprotocol."""
MOST_SECRETS = 10_000
SHORTEST, LONGEST = 10, 7200  # seconds that a secret may live
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Denied(Exception):
    """A caller who is not let in: HTTP 401, or 403 for a web page that may not call."""

    def __init__(self, message: str, *, status: int = 401, code: str = "invalid_api_key") -> None:
        super().__init__(message)
        self.message, self.status, self.code = message, status, code


class Caller(BaseModel):
    """Who is calling, and what they may."""

    model_config = ConfigDict(frozen=True)

    key: str = ""
    """The key's id; "" where no key is asked for."""
    sessions: int | None = None
    """Calls at once; None: as the server is configured."""
    minutes: float | None = None
    """Minutes of calls a UTC day; None: as the server is configured."""
    session: dict[str, Any] | None = None
    """The configuration that an ephemeral secret is bound to."""
    ephemeral: bool = False
    operator: bool = False
    """Whether they may say who answers calls that are not theirs."""


class Key(BaseModel):
    """A key as the file holds it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    created: datetime
    sessions: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    operator: bool = False


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[Key, ...] = ()


class KeyFile:
    """The keys of a server, in a JSON file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[Key, ...]:
        """The keys; none where there is no file. Raises AntiphonError for a damaged one."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ()
        except (OSError, UnicodeDecodeError) as error:
            raise AntiphonError(f"{self.path}: the keys cannot be read ({error})") from None
        try:
            return _File.model_validate_json(text).keys
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(step) for step in first["loc"])
            raise AntiphonError(
                f"{self.path}: not a file of keys ({where or 'it'}: {first['msg']}); make one "
                "with: antiphon serve keys add NAME"
            ) from None

    def add(
        self,
        name: str,
        *,
        sessions: int | None = None,
        minutes: float | None = None,
        operator: bool = False,
    ) -> tuple[str, Key]:
        """(the key, which is shown once and kept nowhere; its entry). Raises AntiphonError."""
        if not _NAME.fullmatch(name):
            raise AntiphonError(
                f"{name!r} cannot name a key; use up to 64 letters, digits, dots, - and _"
            )
        keys = self.read()
        if any(key.name == name for key in keys):
            raise AntiphonError(f"{self.path}: there is a key named {name!r}; remove it first")
        secret = PREFIX + secrets.token_urlsafe(32)
        entry = Key(
            id=f"key_{secrets.token_hex(6)}",
            name=name,
            sha256=_hash(secret),
            created=datetime.now(UTC),
            sessions=sessions,
            minutes=minutes,
            operator=operator,
        )
        self._write((*keys, entry))
        return secret, entry

    def remove(self, name: str) -> None:
        """Forget a key by its name or id. Raises AntiphonError where there is none."""
        keys = self.read()
        kept = tuple(key for key in keys if name not in (key.name, key.id))
        if len(kept) == len(keys):
            raise AntiphonError(f"{self.path}: there is no key named {name!r}")
        self._write(kept)

    def _write(self, keys: tuple[Key, ...]) -> None:
        text = json.dumps(_File(keys=keys).model_dump(mode="json"), indent=2) + "\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            with os.fdopen(
                os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w"
            ) as file:
                file.write(text)
            os.replace(part, self.path)
        finally:
            part.unlink(missing_ok=True)


@dataclass
class _Secret:
    key: Caller
    expires: float
    session: dict[str, Any] = field(default_factory=dict[str, Any])


class Gatekeeper:
    """Tells who is calling from what they show.

    keys: None where nobody is asked for one. The file is read again when it has changed, so that
    keys can be added and removed while the server runs.
    """

    def __init__(
        self,
        keys: KeyFile | None = None,
        *,
        origins: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Raises AntiphonError for a key file that is damaged or empty."""
        self._file, self._clock = keys, clock
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)
        self._secrets: dict[str, _Secret] = {}
        self._keys: dict[str, Key] = {}
        self._stamp: tuple[int, int] | None = None
        if keys is not None:
            self._reload()
            if not self._keys:
                raise AntiphonError(
                    f"{keys.path}: there are no keys in it; add one with: antiphon serve keys add "
                    f"NAME --key-file {keys.path}"
                )

    @property
    def asks(self) -> bool:
        """Whether callers need a key."""
        return self._file is not None

    def caller(self, shown: str | None) -> Caller:
        """Who shows this key or secret. Raises Denied."""
        if shown and shown.startswith(EPHEMERAL):
            return self._by_secret(shown)
        if self._file is None:
            return Caller(operator=True)
        if not shown:
            raise Denied(
                "no API key was given; send it as 'Authorization: Bearer KEY'",
                code="missing_api_key",
            )
        self._reload()
        digest = _hash(shown)
        found = None
        for known, key in self._keys.items():
            if hmac.compare_digest(known, digest):
                found = key
        if found is None:
            raise Denied("the API key is not known here")
        return Caller(
            key=found.id,
            sessions=found.sessions,
            minutes=found.minutes,
            operator=found.operator,
        )

    def _by_secret(self, shown: str) -> Caller:
        now = self._clock()
        self._secrets = {at: secret for at, secret in self._secrets.items() if secret.expires > now}
        secret = self._secrets.get(_hash(shown))
        if secret is None:
            raise Denied("the ephemeral secret is not known here, or has expired")
        if self._file is not None:
            self._reload()
            if all(key.id != secret.key.key for key in self._keys.values()):
                raise Denied("the key that made this secret has been removed")
        return secret.key.model_copy(
            update={"session": secret.session, "ephemeral": True, "operator": False}
        )

    def secret(self, caller: Caller, session: dict[str, Any], seconds: float) -> tuple[str, int]:
        """A new secret for `caller`: (its value, when it expires in seconds since 1970)."""
        if caller.ephemeral:
            raise Denied("an ephemeral secret cannot make another", status=403, code="forbidden")
        while len(self._secrets) >= MOST_SECRETS:
            del self._secrets[next(iter(self._secrets))]
        value = EPHEMERAL + secrets.token_urlsafe(24)
        expires = self._clock() + seconds
        self._secrets[_hash(value)] = _Secret(caller, expires, session)
        return value, int(expires)

    def check_origin(self, origin: str | None, host: str | None) -> None:
        """Let a web page in only from this server's own pages, or where it was allowed.

        origin, host: the headers of that name. What sends no Origin is no web page.
        Raises Denied.
        """
        if origin is None or "*" in self._origins:
            return
        given = origin.rstrip("/").lower()
        if given in self._origins:
            return
        try:
            netloc = urlsplit(given).netloc
        except ValueError:
            netloc = ""
        if netloc and host and netloc == host.lower():
            return
        raise Denied(
            f"pages of {origin[:100]} may not call this server; allow them with --origin",
            status=403,
            code="origin_not_allowed",
        )

    def _reload(self) -> None:
        if self._file is None:
            return
        try:
            facts = self._file.path.stat()
            stamp = (facts.st_mtime_ns, facts.st_size)
        except OSError:
            stamp = None
        if stamp != self._stamp or not self._keys:
            self._stamp = stamp
            self._keys = {key.sha256: key for key in self._file.read()}


def shown_key(headers: Mapping[str, str], subprotocols: Iterable[str] = ()) -> str | None:
    """The key that a request shows: a bearer token, an `api-key` header, or a subprotocol."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    for name in subprotocols:
        if name.startswith(SUBPROTOCOL):
            return name[len(SUBPROTOCOL) :]
    return headers.get("api-key") or None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
