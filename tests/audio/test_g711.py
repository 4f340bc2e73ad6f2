from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from antiphon.audio import g711
from antiphon.errors import AudioError

EVERY_SAMPLE = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
EVERY_CODE = np.arange(256, dtype=np.uint8)
LAWS = [(g711.encode_mulaw, g711.decode_mulaw), (g711.encode_alaw, g711.decode_alaw)]


def mulaw_by_search(sample: int) -> int:
    """The code of one sample, found segment by segment as the recommendation's table lists it."""
    magnitude = min(((~sample if sample < 0 else sample) >> 2) + 33, 0x1FFF)
    segment = 0
    while magnitude >> (segment + 6):
        segment += 1
    code = ((7 - segment) << 4) | (15 - ((magnitude >> (segment + 1)) & 15))
    return code | (0x80 if sample >= 0 else 0)


def alaw_by_search(sample: int) -> int:
    magnitude = (~sample if sample < 0 else sample) >> 4
    segment = 0
    if magnitude > 15:
        segment = 1
        while magnitude > 31:
            magnitude >>= 1
            segment += 1
        magnitude -= 16
    return ((segment << 4) | magnitude | (0x80 if sample >= 0 else 0)) ^ 0x55


def test_every_sample_gets_the_code_of_the_recommendation() -> None:
    samples = [int(s) for s in EVERY_SAMPLE]
    np.testing.assert_array_equal(
        g711.encode_mulaw(EVERY_SAMPLE), [mulaw_by_search(s) for s in samples]
    )
    np.testing.assert_array_equal(
        g711.encode_alaw(EVERY_SAMPLE), [alaw_by_search(s) for s in samples]
    )


def test_known_values() -> None:
    assert g711.decode_mulaw(b"\xff\x7f\x80\x00\xfe").tolist() == [0, 0, 32124, -32124, 8]
    assert g711.decode_alaw(b"\xd5\x55\xaa\x2a").tolist() == [8, -8, 32256, -32256]
    assert g711.encode_mulaw(np.zeros(1, np.int16)).tolist() == [0xFF]
    assert g711.encode_alaw(np.zeros(1, np.int16)).tolist() == [0xD5]


@pytest.mark.parametrize(("encode", "decode"), LAWS)
def test_codes_survive_decoding_and_encoding(
    encode: Callable[..., np.ndarray], decode: Callable[..., np.ndarray]
) -> None:
    again = encode(decode(EVERY_CODE))
    different = EVERY_CODE[again != EVERY_CODE]
    # mu-law has two zeros; the negative one comes back as the positive one.
    assert different.tolist() in ([], [0x7F])


@pytest.mark.parametrize(("encode", "decode"), LAWS)
def test_louder_never_becomes_quieter_and_the_error_is_a_step_at_most(
    encode: Callable[..., np.ndarray], decode: Callable[..., np.ndarray]
) -> None:
    heard = decode(encode(EVERY_SAMPLE)).astype(np.int64)
    assert (np.diff(heard) >= 0).all()
    size = np.abs(EVERY_SAMPLE.astype(np.int64))
    # 16 steps in each doubling of loudness; mu-law goes no higher than 32,124.
    assert (np.abs(heard - EVERY_SAMPLE) <= size / 32 + 16).all()


@pytest.mark.parametrize(("encode", "decode"), LAWS)
def test_floats_are_taken_as_full_scale_one(
    encode: Callable[..., np.ndarray], decode: Callable[..., np.ndarray]
) -> None:
    x = np.array([-2.0, -0.5, 0.0, 0.25, 2.0], np.float32)
    heard = g711.to_float(decode(encode(x)))
    np.testing.assert_allclose(heard, np.clip(x, -1, 1), atol=0.03)
    assert encode(np.zeros((2, 3))).shape == (2, 3)


def test_misuse_is_one_clear_sentence() -> None:
    with pytest.raises(AudioError, match="int16 or float"):
        g711.encode_mulaw(np.zeros(3, np.int64))
    with pytest.raises(AudioError, match="NaN"):
        g711.encode_alaw(np.array([np.nan]))
    with pytest.raises(AudioError, match="uint8"):
        g711.decode_mulaw(np.zeros(3, np.int32))  # type: ignore[arg-type]
