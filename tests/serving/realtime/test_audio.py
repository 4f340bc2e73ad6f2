from __future__ import annotations

import base64

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from antiphon.serving.realtime.audio import AudioFormat, Encoder, Format, decode

PCM, ULAW, ALAW = Format(), Format(type="audio/pcmu"), Format(type="audio/pcma")


def wave(rate: int, seconds: float = 0.5) -> np.ndarray:
    at = np.arange(round(rate * seconds)) / rate
    return (0.5 * np.sin(2 * np.pi * 300 * at)).astype(np.float32)


@pytest.mark.parametrize("form", [PCM, ULAW, ALAW, Format(rate=16000)])
def test_sound_comes_back_as_it_went_out(form: Format) -> None:
    encode = Encoder(form)
    chunks = np.split(wave(16_000), 10)
    back = np.concatenate([decode(encode(chunk), form) for chunk in chunks])
    assert len(back) == round(0.5 * form.hertz)
    late = 0 if form.hertz == 16_000 else round(0.0015 * form.hertz)
    wanted = wave(form.hertz)
    middle = slice(form.hertz // 20, len(back) - form.hertz // 20)
    assert np.abs(np.roll(wanted, late) - back)[middle].max() < 0.03


def test_loud_sound_is_clipped_and_does_not_wrap() -> None:
    raw = base64.b64decode(Encoder(Format(rate=16000))(np.full(8, 3.0, np.float32)))
    assert (np.frombuffer(raw, "<i2") == 32767).all()


@pytest.mark.parametrize(("text", "says"), [("?", "base64"), ("YWJj", "half a sample")])
def test_what_is_no_sound_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        decode(text, PCM)


@pytest.mark.parametrize(
    ("given", "kind", "hertz"),
    [
        ("pcm16", "audio/pcm", 24_000),
        ("g711_ulaw", "audio/pcmu", 8_000),
        ({"type": "g711_alaw"}, "audio/pcma", 8_000),
        ({"type": "audio/pcm", "rate": 48000}, "audio/pcm", 48_000),
        ({"type": "audio/pcmu"}, "audio/pcmu", 8_000),
    ],
)
def test_formats_by_all_their_names(given: object, kind: str, hertz: int) -> None:
    form: Format = TypeAdapter(AudioFormat).validate_python(given)
    assert (form.type, form.hertz) == (kind, hertz)


@pytest.mark.parametrize("given", ["mp3", {"type": "audio/pcm", "rate": 7}, 3, None])
def test_other_formats_are_refused(given: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(AudioFormat).validate_python(given)
