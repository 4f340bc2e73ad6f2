"""The codec as a whole: encode, decode, save, load."""

# torch and the measures leave some types open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from antiphon.audio import FRAME, HOP
from antiphon.codec.config import CodecConfig
from antiphon.codec.decoder import Decoder
from antiphon.codec.encoder import Encoder
from antiphon.errors import BundleError

_CONFIG, _WEIGHTS = "codec.json", "codec.safetensors"


class Codec(nn.Module):
    """Speech at 16 kHz <-> 2 pitch and Q timbre codes, 12.5 times a second."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    @torch.no_grad()
    def encode(self, samples: Tensor, pitch: Tensor) -> Tensor:
        """samples [B, N], pitch [B, N // 160] Hz -> codes int64 [B, N // 1280, 2 + Q].

        `antiphon.codec.pitch.track` gives pitch; 0 = unvoiced. Samples after the last whole frame
        are left out.
        """
        frames = samples.shape[1] // FRAME
        samples, pitch = samples[:, : frames * FRAME], pitch[:, : frames * FRAME // HOP]
        latents, _ = self.encoder(samples, pitch)
        return torch.cat(
            [self.decoder.pitch.encode(pitch), self.decoder.timbre.encode(latents)], -1
        )

    @torch.no_grad()
    def decode(self, codes: Tensor, noise: Tensor) -> Tensor:
        """codes int64 [B, T, 2 + Q], noise [B, T * 1280] standard normal -> samples [B, T * 1280].

        What a stream of `decoder.step` gives: the speech lies `config.delay` samples late, so its
        last 30 ms are still in the decoder's state.
        """
        return self.decoder(codes, noise)[0]

    def save(self, folder: Path) -> None:
        """Write `codec.json` and `codec.safetensors`, each in one move."""
        folder.mkdir(parents=True, exist_ok=True)
        weights, config = folder / _WEIGHTS, folder / _CONFIG
        tensors = {name: value.contiguous() for name, value in self.state_dict().items()}
        save_file(tensors, f"{weights}.tmp")
        Path(f"{config}.tmp").write_text(self.config.model_dump_json(indent=2), encoding="utf-8")
        os.replace(f"{weights}.tmp", weights)
        os.replace(f"{config}.tmp", config)

    @classmethod
    def load(cls, folder: Path) -> Codec:
        """Read what `save` wrote, ready to run; raises `BundleError` when it does not fit."""
        codec = cls(CodecConfig.load(folder / _CONFIG))
        path = folder / _WEIGHTS
        try:
            codec.load_state_dict(load_file(path))
        except FileNotFoundError as error:
            raise BundleError(f"{path}: no codec weights here; train the codec first") from error
        except Exception as error:  # safetensors and torch raise several kinds
            reason = str(error).splitlines()[0]
            raise BundleError(f"{path}: not this codec's weights ({reason})") from error
        return codec.eval()
