"""Speech and its pitch to one latent vector a frame. Knows nothing of codes."""

# torch and the measures leave some types open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import torch
from torch import Tensor, nn

from antiphon.audio import HOP
from antiphon.codec.blocks import CausalStack
from antiphon.codec.config import PITCH_PER_FRAME, CodecConfig
from antiphon.codec.quantise import REFERENCE_HZ

_WINDOW = 512  # samples of one spectrum
_TAIL = _WINDOW - HOP  # past samples that the next spectrum needs
_STACK = 2  # spectra of 10 ms in a step of 20 ms
_DOWN = PITCH_PER_FRAME // _STACK  # steps of 20 ms in a frame of 80 ms


def pitch_features(f0: Tensor) -> Tensor:
    """f0 [B, M] Hz, 0 = unvoiced -> [B, M, 2]: 3 log(f0 / 150 Hz) (0 where unvoiced), voicing."""
    voiced = f0 > 0
    log = torch.log(f0.clamp(min=40.0) / REFERENCE_HZ) * 3
    return torch.stack([torch.where(voiced, log, torch.zeros_like(log)), voiced.to(f0.dtype)], -1)


class Encoder(nn.Module):
    """Log spectra and pitch at 100 Hz -> causal blocks at 50 and 12.5 Hz -> latents [B, T, D]."""

    window: Tensor

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        fine, coarse = config.encoder_fine, config.encoder_coarse
        self.register_buffer("window", torch.hann_window(_WINDOW), persistent=False)
        self.enter = nn.Linear(_STACK * (_WINDOW // 2 + 1 + 2), fine)
        self.fine = CausalStack(
            "fine", fine, config.encoder_fine_blocks, config.fine_kernel, config.expansion
        )
        self.down = nn.Linear(_DOWN * fine, coarse)
        self.coarse = CausalStack(
            "coarse", coarse, config.encoder_coarse_blocks, config.coarse_kernel, config.expansion
        )
        self.leave = nn.Linear(coarse, config.latent)
        # Normalised over the batch, not per frame: a layer norm here let the decoder collapse to
        # the mean spectrum (experiments/codec.md). At inference it is a fixed scale and shift.
        self.normalise = nn.BatchNorm1d(config.latent, affine=False, momentum=0.02)

    def initial_state(self, batch: int) -> dict[str, Tensor]:
        """The state before the first frame: the audio's tail and the blocks' pasts."""
        tail = self.enter.weight.new_zeros(batch, _TAIL)
        return {
            "tail": tail,
            **self.fine.initial_state(batch),
            **self.coarse.initial_state(batch),
        }

    def forward(
        self, samples: Tensor, f0: Tensor, state: dict[str, Tensor] | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """samples [B, T * 1280], f0 [B, T * 8] Hz -> (latents [B, T, D], the next state).

        f0[:, j] belongs to the time (j + 1) * 10 ms and looks 30 ms further ahead
        (`antiphon.codec.pitch`); everything else is causal.
        """
        state = self.initial_state(samples.shape[0]) if state is None else state
        heard = torch.cat([state["tail"], samples], 1)
        spectra = torch.fft.rfft(heard.unfold(1, _WINDOW, HOP) * self.window).abs()
        features = torch.cat([(torch.log(spectra + 1e-2) + 1) / 2.5, pitch_features(f0)], -1)
        batch, hops, width = features.shape
        x = self.enter(features.reshape(batch, hops // _STACK, _STACK * width))
        x, fine = self.fine(x, state)
        x = self.down(x.reshape(batch, hops // PITCH_PER_FRAME, -1))
        x, coarse = self.coarse(x, state)
        latents = self.normalise(self.leave(x).float().transpose(1, 2)).transpose(1, 2)
        return latents, {"tail": heard[:, heard.shape[1] - _TAIL :], **fine, **coarse}
