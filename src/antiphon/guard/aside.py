"""Work beside the beat: one thing at a time, only the newest waiting, never waited for.

`Aside` takes questions and gives answers when they are there. With an executor the work is done by
its threads; without one at once, which is for recordings and tests.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Generic, NamedTuple, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class Answer(NamedTuple, Generic[Q, A]):
    """A question and what came of it; `answer` is None where the work failed."""

    question: Q
    answer: A | None
    error: str = ""


class Aside(Generic[Q, A]):
    """Puts questions to `work`."""

    def __init__(self, work: Callable[[Q], A], executor: Executor | None = None) -> None:
        self._work, self._executor = work, executor
        self._running: tuple[Q, Future[A]] | None = None
        self._next: list[Q] = []
        self._done: list[Answer[Q, A]] = []

    @property
    def busy(self) -> bool:
        """Whether a question is being worked on."""
        return self._running is not None

    def ask(self, question: Q) -> None:
        """Put a question; one that waits and was not begun is forgotten for it."""
        if self._executor is None:
            self._done.append(_try(self._work, question))
            return
        self._next = [question]
        self._go_on()

    def answers(self) -> list[Answer[Q, A]]:
        """What has been answered since the last time, in order."""
        self._go_on()
        done, self._done = self._done, []
        return done

    def _go_on(self) -> None:
        if self._running is not None and self._running[1].done():
            question, future = self._running
            self._running = None
            self._done.append(_result(question, future))
        if self._running is None and self._next and self._executor is not None:
            question = self._next.pop()
            self._running = (question, self._executor.submit(self._work, question))


def _try(work: Callable[[Q], A], question: Q) -> Answer[Q, A]:
    try:
        return Answer(question, work(question))
    except Exception as error:  # whatever it is, the call goes on
        return Answer(question, None, str(error) or type(error).__name__)


def _result(question: Q, future: Future[A]) -> Answer[Q, A]:
    try:
        return Answer(question, future.result())
    except Exception as error:
        return Answer(question, None, str(error) or type(error).__name__)
