"""The door to the judge: evaluation itself needs no torch, the judge does.

A judge is made by `antiphon train recipes/judge.yaml`; see `antiphon.training.judge`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from antiphon.errors import AntiphonError
from antiphon.runtime.events import Samples


class Judge(Protocol):
    """Whoever writes down what is said."""

    def transcribe(self, samples: Samples, /) -> str:
        """Lower-case words of float32 [N] at 16 kHz; "" where nothing is said."""
        ...


def load_judge(folder: Path) -> Judge:
    """The judge in a folder. Raises BundleError, and AntiphonError where torch is missing."""
    try:
        from antiphon.training import judge
    except ImportError as error:
        raise AntiphonError(
            f"a judge needs {error.name}, which is not installed; pip install 'antiphon[train]'"
        ) from error
    return judge.Judge.load(folder)
