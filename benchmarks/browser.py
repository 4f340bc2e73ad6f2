"""A real browser with a microphone that speaks a recording: Debian's chromium, by playwright.

In: a recording. Out: a page whose microphone plays it, from the moment that the page asks for it.
The tests of the pages and the picture in the documents are made with it.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile as sf

from antiphon.audio.io import read

if TYPE_CHECKING:
    from playwright.sync_api import Browser

RATE = 48_000  # Hz: what chromium's file microphone plays without complaint
ORDER = Path(__file__).parents[1] / "examples" / "order.flac"


def chromium() -> str | None:
    """Debian's browser, if it is there."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def microphone(
    recordings: list[Path], out: Path, *, before: float = 1.5, pause: float = 5.0
) -> Path:
    """Writes what a microphone hears: silences (seconds) and recordings; gives `out`."""
    from antiphon.audio.resample import resample

    parts = [np.zeros(round(before * RATE), dtype=np.float32)]
    for recording in recordings:
        parts += [resample(read(recording), 16_000, RATE), np.zeros(round(pause * RATE))]
    sf.write(out, np.concatenate(parts), RATE, subtype="PCM_16")
    return out


@contextmanager
def browser(playwright: Any, wav: Path | None, *flags: str) -> Generator[Browser]:
    """Chromium; with a `wav` its microphone speaks it once, without one it has none."""
    arguments = [
        "--no-sandbox",
        "--autoplay-policy=no-user-gesture-required",
        "--allow-loopback-in-peer-connection",
        *flags,
    ]
    if wav is not None:
        arguments += [
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={wav}%noloop",
        ]
    started = playwright.chromium.launch(executable_path=chromium(), args=arguments)
    try:
        yield started
    finally:
        started.close()
