"""Measuring held trials: a suite to a process."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from antiphon.bundle.manifest import load as load_bundle
from antiphon.errors import AntiphonError
from antiphon.evaluation import metrics
from antiphon.evaluation.figures import Measured
from antiphon.evaluation.judge import Judge
from antiphon.evaluation.metrics import Tools
from antiphon.evaluation.suites.hold import follow
from antiphon.evaluation.suites.plan import Job, Suite, reads
from antiphon.evaluation.suites.stage import Subject, has, scenario_at
from antiphon.evaluation.suites.stored import load_all

SLOWEST = ("speech", "risk", "tone")  # begun first, so that no process waits long at the end


def measure_all(
    suites: Sequence[Suite],
    jobs: Sequence[Job],
    subject: Subject,
    folder: Path,
    *,
    live: bool,
    workers: int = 1,
    progress: Callable[[], None] | None = None,
) -> list[Measured]:
    """What each suite makes of the trials in `folder`, in the suites' order.

    Raises AntiphonError for a judge that cannot be opened, and when a worker process is ended.
    """
    found: dict[str, Measured] = {}
    for measured in _outcomes(suites, jobs, subject, folder, live, workers):
        found[measured.suite] = measured
        if progress:
            progress()
    return [found[suite] for suite in suites]


def tools(subject: Subject, *, live: bool) -> Tools:
    """What the suites measure with: of what is not installed, nothing is measured."""
    from antiphon.evaluation.judge import bundled_judge

    natural = None
    if has("torch", "speechmos"):
        from antiphon.evaluation.codec import naturalness

        natural = naturalness
    bundle = subject.bundle
    return Tools(
        scenario=scenario_at(subject.scenario),
        judge=judge_of(subject),
        listener=bundled_judge("callers"),
        natural=natural,
        embed=metrics.speaker_vectors(),
        algorithmic=None
        if bundle is None
        else metrics.algorithmic_delay(load_bundle(bundle).manifest),
        live=live,
    )


def judge_of(subject: Subject) -> Judge | None:
    """The judge that was named, or the one that comes with Antiphon for the agent's voice.

    The latter's error rate is of that voice: of any other system's it is not known, and says so.
    Raises BundleError.
    """
    from antiphon.evaluation.judge import bundled_judge, load_judge

    if subject.judge is not None:
        return load_judge(subject.judge)
    judge = bundled_judge("agent")
    if judge is not None and subject.bundle is None:
        judge.card = judge.card.model_copy(update={"cer": None, "wer": None})
    return judge


def _outcomes(
    suites: Sequence[Suite],
    jobs: Sequence[Job],
    subject: Subject,
    folder: Path,
    live: bool,
    workers: int,
) -> Iterator[Measured]:
    order = sorted(suites, key=lambda suite: suite not in SLOWEST)
    asked: list[tuple[Suite, list[str], Subject, Path, bool]] = [
        (suite, [job.sound for job in jobs if reads(suite, job)], subject, folder, live)
        for suite in order
    ]
    if workers <= 1 or len(asked) < 2:
        yield from (_measure(*one) for one in asked)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        min(workers, len(asked)), mp_context=spawn, initializer=follow
    ) as pool:
        sent = [pool.submit(_measure, *one) for one in asked]
        try:
            for done in as_completed(sent):
                yield done.result()
        except BrokenProcessPool as error:
            raise AntiphonError(
                "a worker process was ended from outside, perhaps for lack of memory; the trials "
                "stay, so run the same command again, perhaps with fewer --workers"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _measure(
    suite: Suite, sounds: Sequence[str], subject: Subject, folder: Path, live: bool
) -> Measured:
    return metrics.SUITES[suite](load_all(folder, sounds), tools(subject, live=live))
