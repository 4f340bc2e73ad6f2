"""How good a codec is, in figures: PESQ-wb, STOI, mel distance, DNSMOS, codes used, cost.

PESQ (ITU-T P.862.2) and STOI (Taal et al. 2011) compare with the original; DNSMOS (Reddy et al.
2022) judges each alone. Means over utterances.
"""

# torch and the measures leave some types open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.codec.model import Codec
from antiphon.codec.pitch import track
from antiphon.errors import AntiphonError

Floats = NDArray[np.float32]


def round_trip(codec: Codec, samples: Floats, seed: int = 0) -> tuple[Floats, NDArray[np.int64]]:
    """samples [N] -> (decoded [N], aligned with the original; codes int64 [T, codebooks])."""
    delay = codec.config.delay
    padded = np.zeros(-(-(len(samples) + delay) // FRAME) * FRAME, np.float32)
    padded[: len(samples)] = samples
    noise = torch.randn(1, len(padded), generator=torch.Generator().manual_seed(seed))
    pitch = torch.from_numpy(track(padded))[None]
    codes = codec.encode(torch.from_numpy(padded)[None], pitch)
    decoded = codec.decode(codes, noise)[0].numpy()
    return decoded[delay : delay + len(samples)], codes[0].numpy()


def mel_distance(original: Floats, decoded: Floats) -> float:
    """Mean absolute difference of log-mel spectra (80 bands, 64 ms windows), nepers."""
    from antiphon.codec.losses import mel_bands

    bands = mel_bands(1024, 80)

    def log_mel(samples: Floats) -> torch.Tensor:
        frames = torch.from_numpy(np.ascontiguousarray(samples)).unfold(0, 1024, 256)
        spectrum = torch.fft.rfft(frames * torch.hann_window(1024)).abs()
        return torch.log(spectrum @ bands + 1e-2)

    return float((log_mel(original) - log_mel(decoded)).abs().mean())


def naturalness(samples: Floats) -> dict[str, float]:
    """DNSMOS of [N] samples: {"ovrl": ..., "p808": ...}, 1 to 5."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from speechmos import dnsmos

        scores: Any = dnsmos.run(np.clip(samples, -1, 1), SAMPLE_RATE)
    return {"ovrl": float(scores["ovrl_mos"]), "p808": float(scores["p808_mos"])}


def step_milliseconds(codec: Codec, frames: int = 50) -> float:
    """Median time of one streaming decoder step, B = 1, in torch on this process's threads."""
    decoder = codec.decoder
    state, noise = decoder.initial_state(1), torch.randn(1, FRAME)
    codes = torch.zeros(1, codec.config.codebooks, dtype=torch.int64)
    times: list[float] = []
    with torch.no_grad():
        for _ in range(frames):
            begun = time.perf_counter()
            _, state = decoder.step(codes, noise, state)
            times.append(time.perf_counter() - begun)
    return float(np.median(times) * 1e3)


def measure(
    codec: Codec,
    utterances: Sequence[Floats],
    *,
    natural: bool = True,
    progress: Callable[[], None] | None = None,
) -> dict[str, float | list[int] | list[float]]:
    """All figures over utterances (float32 [N], 16 kHz, half a second or more each).

    pesq_wb, stoi, mel, dnsmos_{ovrl,p808}_{original,decoded} (left out unless `natural`),
    codes_used and code_bits (entropy) by codebook, frames, bits_per_second, step_ms.
    `progress` is called after each utterance.
    Raises `AntiphonError` when nothing is long enough or the measures are not installed.
    """
    try:
        from pesq import PesqError, pesq
        from pystoi import stoi
    except ImportError as error:
        raise AntiphonError(
            f"measuring a codec needs {error.name}; pip install 'antiphon[eval]'"
        ) from error
    usable = [u for u in utterances if len(u) >= SAMPLE_RATE // 2]
    if not usable:
        raise AntiphonError("no utterance of half a second or more to measure the codec on")
    sums: dict[str, list[float]] = {}
    books: list[NDArray[np.int64]] = []
    for samples in usable:
        decoded, codes = round_trip(codec, samples)
        books.append(codes)
        figures = {
            "stoi": float(stoi(samples, decoded, SAMPLE_RATE)),
            "mel": mel_distance(samples, decoded),
        }
        # No speech found in a very short or silent clip: the other figures still count.
        with contextlib.suppress(PesqError):
            figures["pesq_wb"] = float(pesq(SAMPLE_RATE, samples, decoded, "wb"))
        if natural:
            for name, sound in (("original", samples), ("decoded", decoded)):
                for kind, value in naturalness(sound).items():
                    figures[f"dnsmos_{kind}_{name}"] = value
        for name, value in figures.items():
            sums.setdefault(name, []).append(value)
        if progress:
            progress()
    stacked = np.concatenate(books)
    counts = [np.bincount(column) for column in stacked.T]
    shares = [count[count > 0] / len(stacked) for count in counts]
    return {
        **{name: float(np.mean(values)) for name, values in sums.items()},
        "codes_used": [int((count > 0).sum()) for count in counts],
        "code_bits": [round(float(-(p * np.log2(p)).sum()), 2) for p in shares],
        "frames": float(len(stacked)),
        "bits_per_second": codec.config.bits_per_second,
        "step_ms": step_milliseconds(codec),
    }
