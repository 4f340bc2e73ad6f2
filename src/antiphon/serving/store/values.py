"""Values as every database can hold them: no NUL, no lone surrogates, no NaN, plain JSON."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import numpy as np


def text(value: object) -> str:
    """A text without what PostgreSQL or UTF-8 refuse."""
    return str(value).replace("\x00", "").encode("utf-8", "replace").decode()


def plain(value: Any) -> Any:
    """JSON of a value: numbers that are none become null, arrays and the unknown a note of it."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, Mapping):
        entries = cast("Mapping[Any, Any]", value)
        return {text(name): plain(entry) for name, entry in entries.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes | bytearray):
        return [plain(entry) for entry in cast("Iterable[Any]", value)]
    return f"<{type(value).__name__}>"


def fingerprint(value: Any) -> str:
    """SHA-256 of a value's canonical JSON, as hex."""
    content = json.dumps(plain(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()
