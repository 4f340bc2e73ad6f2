"""Holding trials: in several processes, one thread each, each trial kept when it is over."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import wait
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from antiphon.corpus.calls import Call
from antiphon.errors import AntiphonError
from antiphon.evaluation.protocol import Effect, System
from antiphon.evaluation.report.model import Failure
from antiphon.evaluation.script import Load, ScriptedCaller, Stimulus
from antiphon.evaluation.suites.plan import Job
from antiphon.evaluation.trial import hold, save


@dataclass(frozen=True)
class Stage:
    """What a process needs to hold trials."""

    system: System
    load: Load
    agrees: Callable[[Call, str], bool] | None
    effect: Callable[[Stimulus, int], Effect | None]
    """The state of the line for a stimulus and a seed; None for a clean one."""


Opener = Callable[[], Stage]
"""Opens a stage in whatever process it is called in: it is sent there, so it must pickle."""


class Held(BaseModel):
    """What became of the trials: those on disk, and those that could not be held."""

    model_config = ConfigDict(frozen=True)

    sounds: tuple[str, ...]
    """Recordings relative to the folder, in the order of the jobs."""
    failures: tuple[Failure, ...]
    new: int
    """How many were held in this call; the others lay there already."""


def hold_all(
    jobs: Sequence[Job],
    opener: Opener,
    folder: Path,
    *,
    workers: int = 1,
    progress: Callable[[], None] | None = None,
) -> Held:
    """Hold every trial that is not yet in `folder`; `progress` is called for each job.

    A trial that raises is a failure and harms no other; it is tried again in the next call.
    Raises AntiphonError when the stage cannot be opened or a worker process is ended.
    """
    advance = progress or (lambda: None)
    waiting: list[Job] = []
    for job in jobs:
        if is_held(job, folder):
            advance()
        else:
            waiting.append(job)
    whys: dict[tuple[str, int], str] = {}
    for job, why in _outcomes(waiting, opener, folder, workers):
        if why:
            whys[job.stimulus.id, job.seed] = why
        advance()
    failed = [
        Failure(trial=job.stimulus.id, seed=job.seed, why=whys[job.stimulus.id, job.seed])
        for job in jobs
        if (job.stimulus.id, job.seed) in whys
    ]
    sounds = [job.sound for job in jobs if (job.stimulus.id, job.seed) not in whys]
    return Held(sounds=tuple(sounds), failures=tuple(failed), new=len(waiting) - len(failed))


def is_held(job: Job, folder: Path) -> bool:
    """Whether the trial lies in `folder`, whole, and of this very stimulus."""
    notes = (folder / job.sound).with_suffix(".json")
    if not (notes.is_file() and (folder / job.sound).is_file()):
        return False
    try:
        kept = Stimulus.model_validate(json.loads(notes.read_text(encoding="utf-8"))["stimulus"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return False
    return kept == job.stimulus


def _outcomes(
    jobs: Sequence[Job], opener: Opener, folder: Path, workers: int
) -> Iterator[tuple[Job, str]]:
    """Each job with why it failed ("" if it did not), as they are done."""
    if workers <= 1 or len(jobs) < 2:
        for job in jobs:
            yield job, _job(opener, job, folder)
        return
    # Spawned, as onnxruntime's threads do not survive a fork.
    spawn = multiprocessing.get_context("spawn")
    count = min(workers, len(jobs))
    with ProcessPoolExecutor(count, mp_context=spawn, initializer=follow) as pool:
        sent = {pool.submit(_job, opener, job, folder): job for job in jobs}
        try:
            for done in as_completed(sent):
                yield sent[done], done.result()
        except BrokenProcessPool as error:
            raise AntiphonError(
                "a worker process was ended from outside, perhaps for lack of memory; what was "
                "finished stays, so run the same command again, perhaps with fewer --workers"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def follow() -> None:
    """Begin a worker that ends with the process that asked for it, however that one ends.

    Ctrl-C is for that process alone, so that no worker has a last word of its own.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _job(opener: Opener, job: Job, folder: Path) -> str:
    return _try(_stage(opener), job, folder)


@lru_cache(maxsize=1)
def _stage(opener: Opener) -> Stage:
    """The process's one stage."""
    return opener()


def _try(stage: Stage, job: Job, folder: Path) -> str:
    """Hold a trial and keep it; why it could not be, or ""."""
    stimulus, seed = job
    try:
        caller = ScriptedCaller(stimulus, stage.load, stage.agrees)
        effect = stage.effect(stimulus, seed)
        save(hold(stage.system, caller, seed, effect), folder / job.sound)
    except AntiphonError as error:
        return str(error)
    except Exception as error:  # whatever a stranger's server or a new effect comes up with
        return f"{type(error).__name__}: {error}"
    return ""
