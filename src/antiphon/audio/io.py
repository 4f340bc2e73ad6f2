"""Audio files: read any common one as float samples, write one without harming what was there.

In and out: paths and float32 samples, +-1 full scale. It knows nothing of conversations: which
channel is whose is for the caller of these functions to know.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Literal, overload

import numpy as np
import numpy.typing as npt
import soundfile as sf
from pydantic import BaseModel, ConfigDict

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.audio.resample import resample
from antiphon.errors import AudioError

Floats = npt.NDArray[np.float32]

MAX_SECONDS = 7_200.0  # read() refuses longer files unless told otherwise
_LOUDEST = 100.0  # a float file beyond this (+40 dB) holds integers, not +-1 samples
_FORMATS = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG"}
# Sizes that a writer to a pipe leaves in a WAV header because it cannot know the length.
_UNKNOWN_SIZES = frozenset({0, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFFF, 0xFFFFFFF7, 0x80000000})


class AudioInfo(BaseModel):
    """What a file's header says: its length, rate (Hz) and channels."""

    model_config = ConfigDict(frozen=True)

    samples: int
    rate: int
    channels: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.samples / self.rate


@overload
def read(
    path: str | os.PathLike[str],
    *,
    rate: int = ...,
    mono: Literal[True] = ...,
    max_seconds: float = ...,
) -> Floats: ...
@overload
def read(
    path: str | os.PathLike[str], *, rate: int = ..., mono: bool, max_seconds: float = ...
) -> Floats: ...
def read(
    path: str | os.PathLike[str],
    *,
    rate: int = SAMPLE_RATE,
    mono: bool = True,
    max_seconds: float = MAX_SECONDS,
) -> Floats:
    """Read an audio file (WAV, FLAC, Ogg, MP3, AIFF ...), resampled to `rate`.

    Returns float32 [N], the mean of the channels, or [C, N] when `mono` is False.
    Raises AudioError when the file is missing, empty, not audio, cut off, longer than
    `max_seconds`, or holds values that are not samples in +-1.
    """
    name = Path(path)
    facts = info(name)
    if facts.samples == 0:
        raise AudioError(f"{name}: the file holds no samples")
    if facts.seconds > max_seconds:
        raise AudioError(
            f"{name}: {facts.seconds:.0f} s of audio is more than the limit of "
            f"{max_seconds:.0f} s; cut it into shorter files"
        )
    try:
        data, _ = sf.read(str(name), dtype="float32", always_2d=True)
    except (sf.LibsndfileError, OSError) as error:
        raise AudioError(f"{name}: cannot be decoded, perhaps cut off ({_reason(error)})") from None
    samples: Floats = np.ascontiguousarray(data.T, dtype=np.float32)  # [C, N]
    if samples.shape[1] < facts.samples:
        raise AudioError(
            f"{name}: cut off: the header promises {facts.samples} samples and "
            f"{samples.shape[1]} are there"
        )
    _check_values(samples, str(name))
    mixed: Floats = samples.mean(axis=0, dtype=np.float32) if mono else samples
    return resample(mixed, facts.rate, rate)


def info(path: str | os.PathLike[str]) -> AudioInfo:
    """Length, rate and channels of a file, without decoding it. Raises AudioError as `read`."""
    name = Path(path)
    if not name.exists():
        raise AudioError(f"{name}: no such file")
    if not name.is_file():
        raise AudioError(f"{name}: not a file of audio; give a WAV, FLAC, Ogg or MP3 file")
    try:
        if name.stat().st_size == 0:
            raise AudioError(f"{name}: the file is empty")
        _check_wav_length(name)
        header = sf.info(str(name))
    except sf.LibsndfileError as error:
        raise AudioError(
            f"{name}: not audio that can be read ({_reason(error)}); "
            "give a WAV, FLAC, Ogg or MP3 file"
        ) from None
    except OSError as error:
        raise AudioError(f"{name}: cannot be read ({error.strerror or error})") from None
    facts = AudioInfo(
        samples=int(header.frames), rate=int(header.samplerate), channels=int(header.channels)
    )
    if facts.channels < 1 or facts.rate < 1:
        raise AudioError(
            f"{name}: the header claims {facts.channels} channels at {facts.rate} Hz; it is damaged"
        )
    return facts


def write(path: str | os.PathLike[str], samples: npt.ArrayLike, rate: int = SAMPLE_RATE) -> None:
    """Write 16-bit WAV or FLAC, or Ogg Vorbis, by the name's ending; whole or not at all.

    samples: float [N] or [C, N], +-1 (louder is clipped). An existing file is replaced only once
    the new one is complete. Raises AudioError for bad samples, endings, rates and folders.
    """
    name = Path(path)
    kind = _FORMATS.get(name.suffix.lower())
    if kind is None:
        raise AudioError(f"{name}: the name must end in {', '.join(_FORMATS)}")
    x = np.asarray(samples, dtype=np.float32)
    if x.ndim not in (1, 2) or 0 in x.shape:
        raise AudioError(f"{name}: nothing to write: samples have shape {x.shape}")
    if x.ndim == 2 and x.shape[0] > 64:
        raise AudioError(f"{name}: {x.shape[0]} channels; samples must be [channels, samples]")
    if rate < 1:
        raise AudioError(f"{name}: the rate must be positive, got {rate}")
    if not np.isfinite(x).all():
        raise AudioError(f"{name}: not written: the samples hold NaN or infinity")
    target = Path(os.path.realpath(name))  # write through a link, do not replace the link
    if target.exists() and not target.is_file():
        raise AudioError(f"{name}: exists and is not a regular file")
    if not target.parent.is_dir():
        raise AudioError(f"{name}: the folder {target.parent} does not exist")
    pcm = np.clip(np.rint(x * 32768.0), -32768, 32767).astype(np.int16)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        sf.write(str(part), pcm.T, rate, format=kind)
        part.replace(target)
    except (sf.LibsndfileError, OSError) as error:
        raise AudioError(f"{name}: cannot be written ({_reason(error)})") from None
    finally:
        part.unlink(missing_ok=True)


def frames(samples: npt.ArrayLike, size: int = FRAME) -> Floats:
    """Cut samples [N] into frames, float32 [ceil(N / size), size]; the last is zero padded."""
    x = np.asarray(samples, dtype=np.float32)
    if x.ndim != 1:
        raise AudioError(f"frames() needs samples of one channel [N], got shape {x.shape}")
    out = np.zeros((-(-len(x) // size), size), np.float32)
    out.reshape(-1)[: len(x)] = x
    return out


def _check_values(samples: Floats, where: str) -> None:
    peak = float(np.max(np.abs(samples)))
    if not np.isfinite(peak):
        raise AudioError(f"{where}: holds NaN or infinite samples")
    if peak > _LOUDEST:
        raise AudioError(f"{where}: samples reach {peak:.4g}; they must be scaled to +-1")


def _check_wav_length(path: Path) -> None:
    """libsndfile silently shortens a cut WAV, so compare its data chunk with the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) != b"RIFF":
            return
        file.seek(12)
        while len(head := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", head)
            if name == b"data":
                there = size - file.tell()
                if length > there and length not in _UNKNOWN_SIZES:
                    raise AudioError(
                        f"{path}: cut off: the header promises {length} bytes of audio and "
                        f"{there} are there"
                    )
                return
            file.seek(length + length % 2, os.SEEK_CUR)


def _reason(error: Exception) -> str:
    """The library's own words, without the path that it repeats."""
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return str(text).strip().rstrip(".")
