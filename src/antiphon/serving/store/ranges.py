"""A file over HTTP, whole or a part of it (RFC 9110, section 14), also while it grows.

The file is opened before anything is answered and sent as long as it was then: what is appended
later does not disturb the answer, and neither does an erasure.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_CHUNK = 1 << 16


def send(request: Request, path: Path, media_type: str, *, name: str) -> Response:
    """200 with the file, 206 with a part, or 416. Raises FileNotFoundError.

    Several parts in one request are answered with the whole file, as a server may.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        facts = os.fstat(file)
        size = facts.st_size
        headers = {
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-cache",
            "Content-Disposition": f'inline; filename="{name}"',
            "ETag": f'"{facts.st_mtime_ns:x}-{size:x}"',
        }
        if request.headers.get("if-none-match") == headers["ETag"]:
            os.close(file)
            return Response(status_code=304, headers=headers)
        part = _part(request, size, headers["ETag"])
        if part is None:
            os.close(file)
            headers["Content-Range"] = f"bytes */{size}"
            return Response(status_code=416, headers=headers)
        start, end = part
        status = 200
        if "range" in request.headers and (start, end) != (0, size):
            status = 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        headers["Content-Length"] = str(end - start)
        if request.method == "HEAD":
            os.close(file)
            return Response(status_code=status, headers=headers, media_type=media_type)
        return StreamingResponse(
            _chunks(file, start, end), status, headers=headers, media_type=media_type
        )
    except BaseException:
        os.close(file)
        raise


def _part(request: Request, size: int, tag: str) -> tuple[int, int] | None:
    """[start, end) of what is asked for; None where nothing of it is there."""
    given = request.headers.get("range", "")
    found = _RANGE.fullmatch(given.replace(" ", ""))
    if found is None or request.headers.get("if-range", tag) != tag or found[1] == found[2] == "":
        return 0, size
    if found[1] == "":
        last = min(int(found[2]), size)
        return (size - last, size) if last else None
    start = int(found[1])
    end = min(int(found[2]) + 1, size) if found[2] else size
    if found[2] and int(found[2]) < start:
        return 0, size  # not a range at all: to be ignored
    return (start, end) if start < size else None


def _chunks(file: int, start: int, end: int) -> Iterator[bytes]:
    try:
        while start < end:
            chunk = os.pread(file, min(_CHUNK, end - start), start)
            if not chunk:
                return
            start += len(chunk)
            yield chunk
    finally:
        os.close(file)
