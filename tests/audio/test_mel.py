from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.audio import FRAME, HOP, SAMPLE_RATE
from antiphon.audio.mel import (
    LogMel,
    filterbank,
    filterbanks,
    torch_log_mel,
    warp_grid,
    windowed_dft,
)
from antiphon.errors import AudioError


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    """Something with harmonics, noise and silence in it."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 20))
    shape = np.clip(np.sin(2 * np.pi * 1.5 * t), 0, 1)
    return (0.1 * tone * shape + 0.003 * rng.standard_normal(len(t))).astype(np.float32)


def test_one_frame_for_every_ten_milliseconds() -> None:
    mel = LogMel()
    assert mel(np.zeros(SAMPLE_RATE, np.float32)).shape == (100, 80)
    assert mel(np.zeros((2, 3, FRAME), np.float32)).shape == (2, 3, 8, 80)
    assert mel(np.zeros(HOP - 1, np.float32)).shape == (0, 80)


def test_silence_is_the_floor() -> None:
    assert np.allclose(LogMel()(np.zeros(FRAME)), np.log(1e-5))


def test_stepping_equals_the_whole() -> None:
    mel, x = LogMel(), voice(2.0)
    past, parts = np.zeros(mel.tail, np.float32), []
    for chunk in x.reshape(-1, FRAME):
        features, past = mel.step(chunk, past)
        parts.append(features)
    np.testing.assert_allclose(np.concatenate(parts), mel(x), atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_any_chunking_equals_the_whole(hops: list[int]) -> None:
    mel, x = LogMel(), voice(0.4)
    past, parts, at = np.zeros(mel.tail, np.float32), [], 0
    for count in hops:
        features, past = mel.step(x[at : at + count * HOP], past)
        at += count * HOP
        parts.append(features)
    np.testing.assert_allclose(np.concatenate(parts), mel(x[:at]), atol=1e-4)


def test_a_frame_sees_no_sample_that_has_not_arrived() -> None:
    x = voice(0.5)
    changed = x.copy()
    changed[10 * HOP :] = 0.5
    np.testing.assert_array_equal(LogMel()(x)[:10], LogMel()(changed)[:10])
    assert not np.allclose(LogMel()(x)[10], LogMel()(changed)[10])


def test_long_audio_is_computed_in_parts_without_a_seam() -> None:
    x = voice(42.0)  # more than one block of frames
    whole = LogMel()(x)
    middle = LogMel()(x[40 * SAMPLE_RATE :], past=x[40 * SAMPLE_RATE - 240 : 40 * SAMPLE_RATE])
    np.testing.assert_allclose(whole[4000:], middle, atol=1e-4)


def test_torch_gives_the_same_numbers() -> None:
    torch = pytest.importorskip("torch")
    x = np.stack([voice(1.0), voice(1.0, seed=1)])
    expected = LogMel()(x)
    given_samples = torch.from_numpy(x)
    np.testing.assert_allclose(torch_log_mel(given_samples).numpy(), expected, atol=1e-4)
    by_product = torch_log_mel(given_samples, basis=torch.from_numpy(windowed_dft()))
    np.testing.assert_allclose(by_product.numpy(), expected, atol=1e-4)


def test_torch_takes_a_warp_for_each_row_and_past_samples() -> None:
    torch = pytest.importorskip("torch")
    x = np.stack([voice(1.0), voice(1.0, seed=1)])
    banks = torch.from_numpy(filterbanks([0.8, 1.2]))
    rows = torch_log_mel(
        torch.from_numpy(x[:, FRAME:]), banks, past=torch.from_numpy(x[:, FRAME - 240 : FRAME])
    ).numpy()
    for row, warp in enumerate((0.8, 1.2)):
        np.testing.assert_allclose(rows[row], LogMel()(x[row], warp=warp)[8:], atol=1e-4)


def test_a_warp_moves_a_tone_along_the_mel_axis() -> None:
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * 1000 * t)
    peaks = [int(LogMel()(tone, warp=w)[50].argmax()) for w in (0.8, 1.0, 1.25)]
    assert peaks[0] > peaks[1] > peaks[2]  # the filters move up, so the tone moves down


def test_every_filter_has_weight_at_every_warp() -> None:
    banks = filterbanks(warp_grid())
    assert banks.shape == (25, 257, 80)
    assert banks.dtype == np.float32
    assert (banks.sum(axis=1) > 0).all()
    assert banks.min() >= 0
    assert banks.max() <= 1


def test_a_filterbank_cannot_be_changed_by_accident() -> None:
    with pytest.raises(ValueError, match="read-only"):
        filterbank()[0, 0] = 1.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: LogMel()(np.float32(1.0)), "array of samples"),
        (lambda: LogMel()(np.zeros(160), past=np.zeros(3)), "240 past samples"),
        (lambda: LogMel().step(np.zeros(100), np.zeros(240)), "multiple of 160"),
        (lambda: filterbank(5.0), "warp"),
    ],
)
def test_misuse_is_one_clear_sentence(call: object, words: str) -> None:
    with pytest.raises(AudioError, match=words):
        call()  # type: ignore[operator]


def test_inconsistent_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="hop <= win"):
        LogMel(win=100)
    with pytest.raises(ValueError, match="fmin"):
        LogMel(fmax=9000)
