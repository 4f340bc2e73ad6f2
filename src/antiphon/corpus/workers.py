"""Many numbered things made by several processes, in order: conversations, clips.

What makes them keeps its voices, which live in its process and are ended with it.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.util
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol, TypeVar

from antiphon.errors import CorpusError

Made = TypeVar("Made", covariant=True)


class Maker(Protocol[Made]):
    """Makes number `index`, whatever was made before; it can be sent to a process unused."""

    def make(self, index: int, /) -> Made: ...

    def close(self) -> None: ...


def made(maker: Maker[Made], total: int, workers: int) -> Iterator[Made]:
    """All of them from 0 on, made here or by other processes.

    Raises CorpusError where a process was ended from outside, and what the maker raises.
    """
    if workers <= 1:
        try:
            yield from map(maker.make, range(total))
        finally:
            maker.close()
        return
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(maker,),
    )
    try:
        yield from pool.map(_make, range(total), chunksize=4)
    except BrokenProcessPool as error:
        raise CorpusError(
            "a worker was ended from outside (out of memory?); what is finished stays, "
            "so run the same command again, perhaps with fewer workers"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_maker: Maker[Any] | None = None  # a worker process's own


def _start(maker: Maker[Any]) -> None:
    global _maker  # a pool's initializer has no other place for it
    _maker = maker
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    multiprocessing.util.Finalize(_maker, _maker.close, exitpriority=10)


def _end_with_the_first() -> None:
    """A pool whose process was killed would wait for work for ever."""
    first = multiprocessing.parent_process()
    assert first is not None
    first.join()
    os._exit(1)


def _make(index: int) -> Any:
    assert _maker is not None
    return _maker.make(index)
