from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from antiphon.errors import AudioError
from antiphon.serving.store import flac
from antiphon.serving.store.recordings import BLOCK

RATE = 16_000


def samples(count: int, kind: str = "noise") -> np.ndarray:
    """int16 [count, 2]."""
    rng = np.random.default_rng(count)
    if kind == "silence":
        return np.zeros((count, 2), np.int16)
    if kind == "sync":  # samples that look like the beginning of frames
        return np.tile(np.array([[-8, -1801], [-7, -8]], np.int16), (count // 2 + 1, 1))[:count]
    return (rng.standard_normal((count, 2)) * 3000).astype(np.int16)


def encoded(x: np.ndarray) -> bytes:
    file = io.BytesIO()
    sf.write(file, x, RATE, format="FLAC", subtype="PCM_16", compression_level=0.0)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["noise", "silence", "sync"])
@pytest.mark.parametrize("seconds", [0.01, 0.072, 0.5, 3.0])
def test_a_file_cut_anywhere_keeps_its_whole_frames(
    tmp_path: Path, kind: str, seconds: float
) -> None:
    x = samples(round(seconds * RATE), kind)
    content = encoded(x)
    rng = np.random.default_rng(3)
    cuts = [len(content), len(content) - 1, *rng.integers(0, len(content), 12)]
    path = tmp_path / "cut.flac"
    for cut in cuts:
        path.write_bytes(content[:cut])
        kept = flac.seal(path)
        if kept == 0:
            continue
        back, _ = sf.read(path, dtype="int16")
        assert len(back) == kept
        assert np.array_equal(back, x[:kept])
        if cut == len(content):
            assert kept == len(x)
        assert kept > len(x) - 2 * BLOCK or cut < len(content) - 1


def test_no_frame_is_lost_that_is_there(tmp_path: Path) -> None:
    x = samples(10 * BLOCK)
    content = encoded(x)
    path = tmp_path / "cut.flac"
    path.write_bytes(content[: len(content) - 100])
    assert flac.seal(path) == 9 * BLOCK


def test_long_files_with_many_frame_numbers(tmp_path: Path) -> None:
    x = samples(RATE * 180, "silence")
    path = tmp_path / "long.flac"
    path.write_bytes(encoded(x)[:-1])
    assert flac.seal(path) == (len(x) - 1) // BLOCK * BLOCK
    assert sf.info(path).frames == (len(x) - 1) // BLOCK * BLOCK


def test_nothing_behind_the_last_frame_survives(tmp_path: Path) -> None:
    x = samples(5 * BLOCK)
    path = tmp_path / "zeros.flac"
    path.write_bytes(encoded(x) + bytes(200_000))  # what a power cut leaves of a growing file
    kept = flac.seal(path)
    assert kept >= 4 * BLOCK
    back, _ = sf.read(path, dtype="int16")
    assert np.array_equal(back, x[:kept])


def test_what_is_no_flac_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "no.flac"
    path.write_bytes(b"RIFF" + bytes(100))
    with pytest.raises(AudioError, match="not a FLAC file"):
        flac.seal(path)
    path.write_bytes(b"fL")
    assert flac.seal(path) == 0
    path.write_bytes(b"")
    assert flac.seal(path) == 0
