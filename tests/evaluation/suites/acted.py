"""A system, a caller's clip and a stage that other processes can open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from antiphon.errors import AntiphonError
from antiphon.evaluation.protocol import TICK, Heard
from antiphon.evaluation.script import Clip, Step, Stimulus
from antiphon.evaluation.suites.hold import Stage


def stimulus(name: str = "task/order/000", condition: str = "clean") -> Stimulus:
    clip = Clip(path="a", text="latte", start=0.1, end=0.4)
    step = Step(clip=clip)
    return Stimulus(
        id=name, suite=name.split("/")[0], kind="order", steps=(step,), condition=condition
    )


class Hum:
    """Hums for ever; a call with seed 13 is never taken, with seed 14 it breaks."""

    name, live = "hum", False

    @contextmanager
    def call(self, seed: int) -> Iterator[Hum]:
        if seed == 13:
            raise AntiphonError("the line is busy")
        if seed == 14:
            raise ZeroDivisionError("a bug of somebody's")
        yield self

    def push(self, caller: np.ndarray, /) -> Heard:
        return Heard(np.full(TICK, 0.1, np.float32))


def load(path: str) -> np.ndarray:
    return np.full(6_400, 0.2, np.float32)


@dataclass(frozen=True)
class Opener:
    """Counts how often it was opened in files of `folder`."""

    folder: Path

    def __call__(self) -> Stage:
        import os
        import uuid

        (self.folder / f"opened-{os.getpid()}-{uuid.uuid4().hex}").touch()
        return Stage(Hum(), load, None, lambda one, seed: None)
