"""A network small enough to test in milliseconds."""

from __future__ import annotations

import torch

from antiphon.codec.config import CodecConfig
from antiphon.codec.decoder import Decoder
from antiphon.model.config import BackboneConfig, EncoderConfig, MemoryConfig, ModelConfig
from antiphon.model.duplex import Duplex
from antiphon.model.step import FrameStep, Inputs

CONFIG = ModelConfig(
    text_vocabulary=40,
    call_vocabulary=12,
    codebook_size=32,
    encoder=EncoderConfig(width=32, layers=2, heads=2, feedforward=48, kernel=5, window=6),
    backbone=BackboneConfig(
        hidden_size=32, num_hidden_layers=2, head_dim=8, intermediate_size=48, window=7
    ),
)

MEMORY = MemoryConfig(
    hidden_size=24, num_hidden_layers=2, head_dim=8, intermediate_size=32, window=5, trust=2.0
)


def duplex(seed: int = 0, *, memory: bool = True) -> Duplex:
    """With a memory of words that has something to say."""
    torch.manual_seed(seed)
    network = Duplex(CONFIG.model_copy(update={"memory": MEMORY if memory else None})).eval()
    if network.memory is not None:
        torch.nn.init.normal_(network.memory.call_head.weight)
    return network


def frame_step(seed: int = 0, *, memory: bool = True) -> FrameStep:
    network = duplex(seed, memory=memory)
    small = CodecConfig(
        codebook_size=32,
        latent=8,
        encoder_fine=16,
        encoder_fine_blocks=1,
        encoder_coarse=16,
        encoder_coarse_blocks=1,
        decoder_coarse=16,
        decoder_coarse_blocks=1,
        decoder_middle=16,
        decoder_middle_blocks=1,
        decoder_fine=16,
        decoder_fine_blocks=1,
    )
    return FrameStep(network, Decoder(small)).eval()


def inputs(batch: int, seed: int, *, temperature: float = 0.5) -> Inputs:
    generator = torch.Generator().manual_seed(seed)
    gumbel = -torch.log(torch.empty(batch, 6, 32).exponential_(generator=generator))
    return Inputs(
        caller=0.1 * torch.randn(batch, 1280, generator=generator),
        active=torch.ones(batch, dtype=torch.bool),
        reset=torch.zeros(batch, dtype=torch.bool),
        noise_text=-torch.log(torch.empty(batch, 40).exponential_(generator=generator)),
        noise_codes=gumbel,
        noise_audio=torch.randn(batch, 1280, generator=generator),
        temperature=torch.full((2,), temperature),
        call_mask=torch.ones(batch, 12, dtype=torch.bool),
        force_text=torch.full((batch,), -1),
        control=torch.randint(0, 6, (batch, 2), generator=generator),
    )
