"""The judges: recognisers that read back what was said, by onnxruntime or, untranslated, by torch.

That of the café's agent lies in the source tree (`bundles/judge-agent`); others are made by
`antiphon train recipes/judge.yaml`; see `antiphon.training.judge`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from antiphon.audio import FRAME, HOP, SAMPLE_RATE
from antiphon.audio.mel import LogMel
from antiphon.bundle import places
from antiphon.errors import AntiphonError, BundleError
from antiphon.runtime.events import Samples
from antiphon.training.judge_card import AFTER, BEFORE, CHUNK, GRAPH, Hears, JudgeCard, read_card


class Judge(Protocol):
    """Whoever writes down what is said."""

    card: JudgeCard

    def transcribe(self, samples: Samples, /) -> str:
        """Lower-case words of float32 [N] at 16 kHz; "" where nothing is said."""
        ...


class GraphJudge:
    """A judge's graph, run in chunks of two seconds. Raises BundleError."""

    def __init__(self, folder: Path) -> None:
        self.card = read_card(folder)
        options: Any = cast("Any", ort).SessionOptions()  # its type is not told
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session: Any = ort.InferenceSession(
                str(folder / GRAPH), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors share no base class
            reason = str(error).splitlines()[0][:200]
            raise BundleError(f"{folder / GRAPH}: onnxruntime cannot run it: {reason}") from error
        self._mel = LogMel()
        self._past: dict[str, npt.NDArray[Any]] = {
            node.name: np.zeros(node.shape, np.int64 if "int64" in node.type else np.float32)
            for node in self._session.get_inputs()
            if node.name.startswith("state.")
        }

    def transcribe(self, samples: Samples, /) -> str:
        """Lower-case words of float32 [N] at 16 kHz; "" where nothing is said."""
        before, after = round(BEFORE * SAMPLE_RATE), round(AFTER * SAMPLE_RATE)
        whole = -(-(len(samples) + before + after) // FRAME) * FRAME
        padded = np.zeros(-(-whole // (CHUNK * HOP)) * CHUNK * HOP, dtype=np.float32)
        padded[before : before + len(samples)] = samples
        mel = self._mel(padded)[None]
        state, best = dict(self._past), list[npt.NDArray[np.int64]]()
        for start in range(0, mel.shape[1], CHUNK):
            feeds = {"mel": mel[:, start : start + CHUNK], **state}
            characters, *new = self._session.run(None, feeds)
            best.append(characters[0])
            outputs = [node.name for node in self._session.get_outputs()][1:]
            state = {
                f"state.{name.removeprefix('next.')}": value
                for name, value in zip(outputs, new, strict=True)
            }
        written = whole // FRAME * self.card.encoder.written
        return self._read(np.concatenate(best)[:written])

    def _read(self, best: npt.NDArray[np.int64]) -> str:
        """The best path of CTC ids: repeats and blanks (0) removed."""
        keep = np.concatenate(([True], best[1:] != best[:-1])) & (best != 0)
        return " ".join("".join(self.card.characters[i - 1] for i in best[keep]).split())


def load_judge(folder: Path) -> Judge:
    """The judge in a folder. Raises BundleError, and AntiphonError where torch is missing."""
    if (folder / GRAPH).exists():
        return GraphJudge(folder)
    read_card(folder)  # says where there is no judge at all
    try:
        from antiphon.training import judge
    except ImportError as error:
        raise AntiphonError(
            f"{folder} holds no {GRAPH}, and to read it without needs {error.name}, which is not "
            "installed; pip install 'antiphon[train]'"
        ) from error
    return judge.Judge.load(folder)


def bundled_judge(hears: Hears) -> Judge | None:
    """The judge that comes with Antiphon, of the café's agent or of callers, if it is there."""
    folders = (place / f"judge-{hears}" for place in places())
    return next((GraphJudge(folder) for folder in folders if (folder / GRAPH).exists()), None)
