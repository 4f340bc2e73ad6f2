"""Codes to speech: causal blocks at 12.5, 50 and 100 Hz drive a source-filter head.

For each bin of each 10 ms spectrum the network says how loud the pulses are, how they are turned
in phase, and how loud the noise is; an inverse Fourier transform makes it sound. The same
function decodes a whole recording and one frame of a stream: the past is an argument.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from antiphon.audio import FRAME
from antiphon.codec.blocks import CausalStack
from antiphon.codec.config import PITCH_PER_FRAME, CodecConfig
from antiphon.codec.encoder import pitch_features
from antiphon.codec.excitation import pulse_train
from antiphon.codec.fourier import FastFourier, Fourier, MatrixFourier, frames_of, overlap_add
from antiphon.codec.quantise import PitchQuantiser, ResidualQuantiser

_MIDDLE = 4  # steps of 20 ms in a frame
_FINE = PITCH_PER_FRAME // _MIDDLE  # steps of 10 ms in a step of 20 ms


class Trunk(nn.Module):
    """Timbre latents and pitch -> filter parameters, 3 x (window // 2 + 1) every 10 ms."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        coarse, middle, fine = config.decoder_coarse, config.decoder_middle, config.decoder_fine
        self.enter = nn.Linear(config.latent, coarse)
        self.enter_pitch = nn.Linear(2 * PITCH_PER_FRAME, coarse)
        self.coarse = CausalStack(
            "coarse", coarse, config.decoder_coarse_blocks, config.coarse_kernel, config.expansion
        )
        self.to_middle = nn.Linear(coarse, _MIDDLE * middle)
        self.middle = CausalStack(
            "middle", middle, config.decoder_middle_blocks, config.fine_kernel, config.expansion
        )
        self.to_fine = nn.Linear(middle, _FINE * fine)
        self.pitch = nn.Linear(2, fine)
        self.fine = CausalStack(
            "fine", fine, config.decoder_fine_blocks, config.fine_kernel, config.expansion
        )
        self.norm = nn.LayerNorm(fine)
        self.leave = nn.Linear(fine, 3 * (config.window // 2 + 1))
        with torch.no_grad():
            self.leave.weight.mul_(0.5)

    def initial_state(self, batch: int) -> dict[str, Tensor]:
        """The blocks' pasts, zeros."""
        return {
            **self.coarse.initial_state(batch),
            **self.middle.initial_state(batch),
            **self.fine.initial_state(batch),
        }

    def forward(
        self, latents: Tensor, f0: Tensor, state: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """latents [B, T, D], f0 [B, T * 8] Hz -> ([B, T * 8, 3 * bins], the next pasts)."""
        batch, frames, _ = latents.shape
        pitch = pitch_features(f0)
        x = self.enter(latents) + self.enter_pitch(pitch.reshape(batch, frames, -1))
        x, coarse = self.coarse(x, state)
        x = self.to_middle(x).reshape(batch, frames * _MIDDLE, -1)
        x, middle = self.middle(x, state)
        x = self.to_fine(x).reshape(batch, frames * PITCH_PER_FRAME, -1) + self.pitch(pitch)
        x, fine = self.fine(x, state)
        return self.leave(self.norm(x)).float(), {**coarse, **middle, **fine}


class Decoder(nn.Module):
    """Codes [B, T, 2 + Q] and white noise -> samples, late by `config.delay`."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.pitch = PitchQuantiser(config.codebook_size)
        self.timbre = ResidualQuantiser(
            config.timbre_codebooks, config.codebook_size, config.latent
        )
        self.trunk = Trunk(config)
        self.fast = FastFourier(config.window)
        self.matrix = MatrixFourier(config.window)

    def initial_state(self, batch: int) -> dict[str, Tensor]:
        """The state before the first frame: every tensor has the leading dimension `batch`."""
        like = self.trunk.norm.weight
        overlap, one = (batch, self.config.delay), (batch, 1)
        return {
            **self.trunk.initial_state(batch),
            "past_pulses": like.new_zeros(overlap),
            "past_noise": like.new_zeros(overlap),
            "unfinished": like.new_zeros(overlap),
            "phase": like.new_zeros(one),
            "last_f0": like.new_zeros(one),
        }

    def step(
        self, codes: Tensor, noise: Tensor, state: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One 80 ms frame, with operations that export to ONNX.

        codes int64 [B, 2 + Q], noise [B, 1280] standard normal -> (samples [B, 1280], state).
        """
        latents, f0 = self._look_up(codes[:, None])
        return self.synthesise(latents, f0, noise, state, self.matrix)

    def forward(
        self, codes: Tensor, noise: Tensor, state: dict[str, Tensor] | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Any number of frames: codes [B, T, 2 + Q], noise [B, T * 1280] -> as `step`."""
        if noise.shape[1] != codes.shape[1] * FRAME:
            raise ValueError(f"noise must have {codes.shape[1] * FRAME} samples a row")
        state = self.initial_state(codes.shape[0]) if state is None else state
        latents, f0 = self._look_up(codes)
        return self.synthesise(latents, f0, noise, state, self.fast)

    def synthesise(
        self,
        latents: Tensor,
        f0: Tensor,
        noise: Tensor,
        state: dict[str, Tensor],
        fourier: Fourier,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """latents [B, T, D], f0 [B, T * 8] Hz, noise [B, T * 1280] -> (samples, the next state)."""
        parameters, following = self.trunk(latents, f0, state)
        samples, sounding = self.sound(parameters, f0, noise, state, fourier)
        return samples, {**following, **sounding}

    def sound(
        self,
        parameters: Tensor,
        f0: Tensor,
        noise: Tensor,
        state: dict[str, Tensor],
        fourier: Fourier,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The source-filter head: parameters [B, T * 8, 3 * bins] -> (samples, its next state)."""
        pulses, phase, last_f0 = pulse_train(f0, state["phase"], state["last_f0"])
        frames, past_pulses = frames_of(pulses, state["past_pulses"])
        real, imaginary = fourier.analyse(frames)
        frames, past_noise = frames_of(noise, state["past_noise"])
        noise_real, noise_imaginary = fourier.analyse(frames)
        # Noise of even magnitude and random phase: real noise differs from any other noise by more
        # than from its own mean spectrum, which costs PESQ and teaches the network nothing.
        power = noise_real.square() + noise_imaginary.square()
        even = math.sqrt(0.375 * self.config.window * math.pi / 4) * torch.rsqrt(power + 1e-3)
        noise_real, noise_imaginary = noise_real * even, noise_imaginary * even
        amplitude, turn, hiss = parameters.chunk(3, -1)
        amplitude = torch.exp(amplitude.clamp(max=4.0) - 2)
        hiss = torch.exp(hiss.clamp(max=4.0) - 4)
        cosine, sine = amplitude * torch.cos(turn), amplitude * torch.sin(turn)
        out_real = real * cosine - imaginary * sine + noise_real * hiss
        out_imaginary = real * sine + imaginary * cosine + noise_imaginary * hiss
        sound = fourier.synthesise(out_real, out_imaginary)
        samples, unfinished = overlap_add(sound, state["unfinished"])
        return samples, {
            "past_pulses": past_pulses,
            "past_noise": past_noise,
            "unfinished": unfinished,
            "phase": phase,
            "last_f0": last_f0,
        }

    def _look_up(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        pitch = self.config.pitch_codebooks
        return self.timbre.decode(codes[..., pitch:]), self.pitch.decode(codes[..., :pitch])
