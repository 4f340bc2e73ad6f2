"""The codec's shape: what a trained codec needs to be built again."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from antiphon.audio import FRAME, HOP
from antiphon.errors import BundleError

PITCH_PER_FRAME = FRAME // HOP  # 8 pitch values in an 80 ms frame


class CodecConfig(BaseModel):
    """Sizes of encoder, quantisers and decoder. Time is 16 kHz samples, 80 ms frames throughout."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pitch_codebooks: int = 2
    timbre_codebooks: int = 4
    codebook_size: int = 1024
    latent: int = 64  # values a frame that the timbre codes quantise

    encoder_fine: int = 192  # channels at 50 Hz
    encoder_fine_blocks: int = 4
    encoder_coarse: int = 384  # channels at 12.5 Hz
    encoder_coarse_blocks: int = 2

    decoder_coarse: int = 384  # channels at 12.5 Hz
    decoder_coarse_blocks: int = 3
    decoder_middle: int = 256  # channels at 50 Hz
    decoder_middle_blocks: int = 5
    decoder_fine: int = 192  # channels at 100 Hz
    decoder_fine_blocks: int = 2

    expansion: int = 3  # inner width of a block over its outer width
    coarse_kernel: int = 5
    fine_kernel: int = 7
    window: int = 640  # synthesis window, samples; a multiple of HOP

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.pitch_codebooks != 2:
            raise ValueError("pitch_codebooks must be 2: a contour and its residual")
        if self.window % HOP or self.window < 2 * HOP:
            raise ValueError(f"window must be a multiple of {HOP} and at least {2 * HOP} samples")
        return self

    @property
    def codebooks(self) -> int:
        """Codes in a frame: pitch first, then timbre."""
        return self.pitch_codebooks + self.timbre_codebooks

    @property
    def delay(self) -> int:
        """Samples by which decoded speech lags behind the speech that was encoded."""
        return self.window - HOP

    @property
    def bits_per_second(self) -> float:
        """Bit rate of the codes."""
        bits = (self.codebook_size - 1).bit_length() * self.codebooks
        return bits * 16_000 / FRAME

    @classmethod
    def load(cls, path: Path) -> CodecConfig:
        """Read a JSON config; raises `BundleError` when it is missing or wrong."""
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise BundleError(f"{path}: no codec config ({error.strerror})") from error
        except (ValidationError, UnicodeDecodeError) as error:
            raise BundleError(
                f"{path}: not a codec config: {str(error).splitlines()[0]}"
            ) from error
