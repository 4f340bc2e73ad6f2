"""Real speech for training, by manifest: JSON lines of `path` and, where known, `text`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.io import read
from antiphon.corpus.tokenizer import normalise
from antiphon.errors import RecipeError

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Recording:
    """Samples at 16 kHz, trimmed to the speech and levelled; text may be empty."""

    samples: npt.NDArray[np.float32]
    text: str


def load(manifests: Sequence[Path], longest: float = 7.0) -> list[Recording]:
    """The recordings of the manifests up to `longest` seconds.

    Raises:
        RecipeError: a manifest is missing or is not JSON lines.
    """
    found: list[Recording] = []
    for manifest in manifests:
        try:
            rows = [json.loads(line) for line in manifest.read_text().splitlines() if line.strip()]
        except (OSError, ValueError) as error:
            raise RecipeError(f"{manifest} is no manifest of JSON lines: {error}") from error
        for row in rows:
            if float(row.get("duration", 0.0)) > longest:
                continue
            text = str(row.get("text", ""))
            text = _DIGITS[int(text)] if text.isdigit() and len(text) == 1 else normalise(text)
            samples = _trim(read(manifest.parent / row["path"], rate=SAMPLE_RATE))
            if len(samples) > 0:
                found.append(Recording(samples, text))
    return found


def _trim(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Cut the quiet ends (50 ms and 100 ms are kept) and bring the peak to .6."""
    peak = float(np.abs(x).max(initial=0.0))
    if peak < 1e-4:
        return x[:0]
    loud = np.flatnonzero(np.abs(x) > 0.02 * peak)
    x = x[max(0, loud[0] - 800) : loud[-1] + 1600]
    return (x * (0.6 / peak)).astype(np.float32)
