"""Sound as it travels in Realtime and Live events: base64 of PCM or G.711.

In and out: float32 samples of one channel at 16 kHz, the network's. It knows nothing of events.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal, cast

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.g711 import decode_alaw, decode_mulaw, encode_alaw, encode_mulaw, to_float
from antiphon.audio.quick_resample import QuickResampler
from antiphon.runtime.events import Samples

PCM_RATE, G711_RATE = 24_000, 8_000  # Hz
_BETA = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}


class Format(BaseModel):
    """How sound is written: `audio/pcm` is 16-bit little-endian, G.711 is at 8 kHz."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate: Literal[8000, 16000, 24000, 48000] | None = None
    """Hz, of `audio/pcm` alone. The protocol knows 24,000; the others are ours."""

    @property
    def hertz(self) -> int:
        """The rate of its samples."""
        return (self.rate or PCM_RATE) if self.type == "audio/pcm" else G711_RATE

    def as_json(self) -> dict[str, Any]:
        """As a session shows it."""
        if self.type == "audio/pcm":
            return {"type": self.type, "rate": self.hertz}
        return {"type": self.type}


def _named(value: Any) -> Any:
    """A format by its beta name, or a bare type, as an object."""
    if isinstance(value, str):
        return {"type": _BETA.get(value, value)}
    if isinstance(value, dict):
        given = cast("dict[str, Any]", value)
        kind = given.get("type")
        if isinstance(kind, str) and kind in _BETA:
            return {**given, "type": _BETA[kind]}
    return cast("Any", value)


AudioFormat = Annotated[Format, BeforeValidator(_named)]


def decode(text: str, form: Format) -> Samples:
    """base64 text to float32 [N] at the format's rate. Raises ValueError with a sentence."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("this is not base64") from None
    if form.type == "audio/pcmu":
        return to_float(decode_mulaw(raw))
    if form.type == "audio/pcma":
        return to_float(decode_alaw(raw))
    if len(raw) % 2:
        raise ValueError("16-bit samples were promised, and half a sample is left over")
    return np.frombuffer(raw, dtype="<i2").astype(np.float32) / np.float32(32768.0)


class Encoder:
    """The agent's 16 kHz samples in a format, chunk by chunk."""

    def __init__(self, form: Format) -> None:
        self.format = form
        self._resample = QuickResampler(SAMPLE_RATE, form.hertz)

    def __call__(self, samples: Samples) -> str:
        """float32 [N] at 16 kHz to base64 text."""
        sound = self._resample(samples)
        if self.format.type == "audio/pcmu":
            return base64.b64encode(encode_mulaw(sound).tobytes()).decode("ascii")
        if self.format.type == "audio/pcma":
            return base64.b64encode(encode_alaw(sound).tobytes()).decode("ascii")
        pcm = np.clip(np.rint(sound * 32768.0), -32768, 32767).astype("<i2")
        return base64.b64encode(pcm.tobytes()).decode("ascii")
