from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.audio.io import frames, info, read, write
from antiphon.errors import AudioError


def tone(seconds: float = 0.5, rate: int = SAMPLE_RATE) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)


@pytest.mark.parametrize("ending", [".wav", ".flac"])
def test_what_is_written_is_read_back(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"tone{ending}"
    write(path, tone())
    np.testing.assert_allclose(read(path), tone(), atol=1 / 32768)
    again = read(path)
    write(path, again)
    np.testing.assert_array_equal(read(path), again)  # 16-bit samples survive exactly


def test_ogg_can_be_written_and_read(tmp_path: Path) -> None:
    write(tmp_path / "tone.ogg", tone())
    assert abs(float(np.abs(read(tmp_path / "tone.ogg")).max()) - 0.5) < 0.1


def test_channels_are_kept_or_averaged(tmp_path: Path) -> None:
    both = np.stack([tone(), np.zeros_like(tone())])
    write(tmp_path / "two.wav", both)
    assert read(tmp_path / "two.wav", mono=False).shape == both.shape
    np.testing.assert_allclose(read(tmp_path / "two.wav"), tone() / 2, atol=1 / 32768)
    assert info(tmp_path / "two.wav").channels == 2
    assert info(tmp_path / "two.wav").seconds == 0.5


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_other_rates_are_resampled(tmp_path: Path, rate: int) -> None:
    write(tmp_path / "tone.wav", tone(rate=rate), rate)
    got = read(tmp_path / "tone.wav")
    assert len(got) == len(tone())
    np.testing.assert_allclose(got[800:-800], tone()[800:-800], atol=2e-3)


def test_loud_samples_are_clipped(tmp_path: Path) -> None:
    write(tmp_path / "loud.wav", tone() * 10)
    assert np.abs(read(tmp_path / "loud.wav")).max() <= 1.0


def broken_files(folder: Path) -> dict[str, Path]:
    """Files that no one can use, by what is wrong with them."""
    write(folder / "good.wav", tone())
    good = (folder / "good.wav").read_bytes()
    write(folder / "good.flac", tone(3.0) + np.random.default_rng(0).normal(0, 0.1, 48000))
    flac = (folder / "good.flac").read_bytes()
    files = {
        "no such file": b"",
        "is empty": b"",
        "not audio": b"hello, this is text\n" * 50,
        "cut off": good[: len(good) // 2],
        "decoded": flac[: len(flac) // 2],
    }
    paths = {what: folder / f"{number}.wav" for number, what in enumerate(files)}
    for what, path in paths.items():
        path.write_bytes(files[what])
    paths["no such file"].unlink()
    for what, value in (("NaN", np.nan), ("scaled to", 20000.0)):
        paths[what] = folder / f"{len(paths)}.wav"
        sf.write(paths[what], np.full(100, value, np.float32), SAMPLE_RATE, subtype="FLOAT")
    paths["no samples"] = folder / "none.wav"
    sf.write(paths["no samples"], np.zeros(0, np.float32), SAMPLE_RATE)
    paths["not a file"] = folder
    return paths


def test_each_broken_file_has_its_sentence(tmp_path: Path) -> None:
    for what, path in broken_files(tmp_path).items():
        with pytest.raises(AudioError) as caught:
            read(path)
        message = str(caught.value)
        assert str(path) in message
        assert what in message or "cut off" in message, message
        assert "\n" not in message


def test_a_wav_from_a_pipe_with_an_unknown_length_is_read(tmp_path: Path) -> None:
    write(tmp_path / "tone.wav", tone())
    data = bytearray((tmp_path / "tone.wav").read_bytes())
    at = data.index(b"data")
    data[at + 4 : at + 8] = b"\xff\xff\xff\xff"
    (tmp_path / "piped.wav").write_bytes(bytes(data))
    np.testing.assert_array_equal(read(tmp_path / "piped.wav"), read(tmp_path / "tone.wav"))


def test_a_file_longer_than_the_limit_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    write(tmp_path / "long.wav", tone(2.0))
    with pytest.raises(AudioError, match="more than the limit of 1 s"):
        read(tmp_path / "long.wav", max_seconds=1.0)
    assert len(read(tmp_path / "long.wav", max_seconds=2.0)) == 2 * SAMPLE_RATE


@pytest.mark.parametrize(
    ("name", "samples", "words"),
    [
        ("x.txt", tone(), "must end in"),
        ("x.wav", np.zeros(0), "nothing to write"),
        ("x.wav", np.array([np.nan]), "NaN"),
        ("x.wav", np.zeros((1000, 2)), "channels"),
        ("none/x.wav", tone(), "does not exist"),
    ],
)
def test_bad_writes_are_refused(tmp_path: Path, name: str, samples: np.ndarray, words: str) -> None:
    with pytest.raises(AudioError, match=words):
        write(tmp_path / name, samples)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.wav"
    write(path, tone())
    before = path.read_bytes()

    def full_disk(name: str, *_: object, **__: object) -> None:
        Path(name).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sf, "write", full_disk)
    with pytest.raises(AudioError, match="No space left"):
        write(path, tone(1.0))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_written_through_and_a_device_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "real.wav", tmp_path / "link.wav"
    write(real, tone())
    link.symlink_to(real)
    write(link, tone(1.0))
    assert link.is_symlink()
    assert info(real).seconds == 1.0
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    with pytest.raises(AudioError, match="not a regular file"):
        write(pipe, tone())


@given(st.integers(0, 5 * FRAME))
def test_frames_hold_all_samples_and_zeros_after(count: int) -> None:
    x = np.arange(1, count + 1, dtype=np.float32)
    cut = frames(x)
    assert cut.shape == (-(-count // FRAME), FRAME)
    np.testing.assert_array_equal(cut.reshape(-1)[:count], x)
    assert not cut.reshape(-1)[count:].any()


def test_frames_take_one_channel() -> None:
    with pytest.raises(AudioError, match="one channel"):
        frames(np.zeros((2, 100)))
