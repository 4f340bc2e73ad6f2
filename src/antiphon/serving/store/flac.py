"""A FLAC file that is still being written, or whose writer was killed: how much of it is whole.

A writer that is killed leaves a header that does not know the length, whole frames, and perhaps a
part of one. `seal` finds the last whole frame by its checksum, cuts what follows, and writes the
length into the header. Layout and checksums: RFC 9639, sections 8.2 (STREAMINFO) and 9 (frames).
For files of one block size and 16 kHz, as `recordings` writes them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from antiphon.errors import AudioError

_STREAMINFO = 8  # bytes before it: "fLaC" and the header of the metadata block
_LENGTH_AT = _STREAMINFO + 10  # 8 bytes: rate 20 bits, channels 3, sample size 5, length 36
_MD5_AT = _STREAMINFO + 18
_LENGTH_BITS = 36
_SYNC = b"\xff\xf8"  # how a frame of a fixed block size begins
_WINDOW = 1 << 16  # bytes searched at a time, from the end; many frames fit in


def set_length(descriptor: int, samples: int) -> None:
    """Write the number of samples (a channel) into an open file's header."""
    fields = int.from_bytes(os.pread(descriptor, 8, _LENGTH_AT), "big")
    fields = (fields >> _LENGTH_BITS << _LENGTH_BITS) | samples
    os.pwrite(descriptor, fields.to_bytes(8, "big"), _LENGTH_AT)


def seal(path: Path) -> int:
    """Make a file whole whose writer was killed; gives its samples a channel (0: nothing in it).

    Raises AudioError when it is no FLAC file that `recordings` could have written.
    """
    with path.open("r+b") as file:
        descriptor = file.fileno()
        size = os.fstat(descriptor).st_size
        first = _first_frame(descriptor, path)
        block = int.from_bytes(os.pread(descriptor, 2, _STREAMINFO), "big")
        if first is None or block == 0:
            return 0
        end, number = _last_whole(descriptor, first, size)
        samples = 0 if number is None else number * block + _block_size(descriptor, end[0], block)
        os.ftruncate(descriptor, end[1])
        # libsndfile's first header is right already when the file was closed in order.
        set_length(descriptor, samples)
        if end[1] != size or samples == 0:
            os.pwrite(descriptor, bytes(16), _MD5_AT)  # 0: the checksum of the samples is unknown
        os.fsync(descriptor)
    return samples


def _first_frame(descriptor: int, path: Path) -> int | None:
    """The offset behind the metadata; None when the metadata itself is cut off."""
    if (head := os.pread(descriptor, 4, 0)) != b"fLaC":
        if len(head) < 4:
            return None
        raise AudioError(f"{path}: not a FLAC file")
    at = 4
    while True:
        block = os.pread(descriptor, 4, at)
        if len(block) < 4:
            return None
        at += 4 + int.from_bytes(block[1:], "big")
        if block[0] & 0x80:
            return at


def _last_whole(descriptor: int, first: int, size: int) -> tuple[tuple[int, int], int | None]:
    """((start, end) of the last whole frame, its number); an empty span at `first` for none."""
    ends = [size]
    for start, number in _frames_from_end(descriptor, first, size):
        # A frame ends where the next begins; what only looks like a beginning must not hide that.
        for end in ends[-3:]:
            if end - start <= _WINDOW and _is_whole(os.pread(descriptor, end - start, start)):
                return (start, end), number
        ends.append(start)
    return (first, first), None


def _frames_from_end(descriptor: int, first: int, size: int) -> Iterator[tuple[int, int]]:
    """What look like frames, the last first: (offset, frame number)."""
    top = size
    while top > first:
        low = max(first, top - _WINDOW)
        data = os.pread(descriptor, top + 16 - low, low)
        at = top - low
        while (at := data.rfind(_SYNC, 0, at + 1)) >= 0:
            number = _frame_number(data[at : at + 16])
            if number is not None:
                yield low + at, number
        top = low


def _frame_number(head: bytes) -> int | None:
    """The number in a frame's header, or None where its checksum says that it is none."""
    if len(head) < 6:
        return None
    length = 1 if head[4] < 0x80 else 8 - (head[4] ^ 0xFF).bit_length()
    if length == 0 or length > 7 or (head[4] & 0xC0) == 0x80:
        return None
    extra = {6: 1, 7: 2}.get(head[2] >> 4, 0) + {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    check = 4 + length + extra
    if len(head) <= check or _crc(head[:check], 8) != head[check]:
        return None
    if length == 1:
        return head[4]
    number = head[4] & ((1 << (7 - length)) - 1)
    for byte in head[5 : 4 + length]:
        number = number << 6 | byte & 0x3F
    return number


def _block_size(descriptor: int, start: int, usual: int) -> int:
    """Samples of the frame at `start`; the last one of a file may be shorter than the usual."""
    head = os.pread(descriptor, 16, start)
    code = head[2] >> 4
    length = 1 if head[4] < 0x80 else 8 - (head[4] ^ 0xFF).bit_length()
    if code == 6:
        return head[4 + length] + 1
    if code == 7:
        return int.from_bytes(head[4 + length : 6 + length], "big") + 1
    return usual


def _is_whole(frame: bytes) -> bool:
    return len(frame) > 8 and _crc(frame[:-2], 16) == int.from_bytes(frame[-2:], "big")


def _crc(data: bytes, bits: int) -> int:
    """FLAC's CRC of 8 or 16 bits, most significant bit first, from 0."""
    table = _TABLES[bits]
    mask = (1 << bits) - 1
    value = 0
    for byte in data:
        value = (value << 8 & mask) ^ table[(value >> bits - 8) ^ byte]
    return value


def _table(bits: int, polynomial: int) -> tuple[int, ...]:
    mask, top = (1 << bits) - 1, 1 << bits - 1
    table: list[int] = []
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = (value << 1 ^ polynomial if value & top else value << 1) & mask
        table.append(value)
    return tuple(table)


_TABLES = {8: _table(8, 0x07), 16: _table(16, 0x8005)}
