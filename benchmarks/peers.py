"""What we compare with, from the `moshi` package: the Mimi codec and a Moshi-shaped network.

Weights are random: the cost of a frame does not depend on them, and nothing is downloaded. Mimi
has its published size; the network has Moshi's shape (backbone and depth transformer, `LMGen`
doing the step) at our network's number of parameters, so that the two do the same job.
"""

from __future__ import annotations

from typing import Any

from timing import Cost, time_frames

FRAME_24K = 1_920  # samples: 80 ms at Mimi's 24 kHz
DEPTH_SHARE = 2  # the depth transformer is as wide as half the backbone


def mimi(direction: str, frames: int, warm_up: int) -> Cost:
    """Streaming Mimi, 8 codebooks, one thread; `direction` is "encode" or "decode"."""
    import torch
    from moshi.models.loaders import get_mimi

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = get_mimi(None, num_codebooks=8)
    parts = (
        (model.encoder, model.encoder_transformer, model.downsample)
        if direction == "encode"
        else (model.decoder, model.decoder_transformer, model.upsample)
    )
    parameters = sum(p.numel() for part in parts for p in part.parameters())
    samples = torch.randn(1, 1, FRAME_24K)
    codes = torch.randint(0, model.cardinality, (1, 8, 1))

    def frame() -> object:
        return model.encode(samples) if direction == "encode" else model.decode(codes)

    with torch.no_grad(), model.streaming(1):
        return time_frames(
            frame,
            name=f"mimi {direction}",
            frames=frames,
            warm_up=warm_up,
            parameters=parameters,
            streamed_bytes=4 * parameters,
        )


def moshi_lm(
    parameters: int,
    *,
    codebooks: int,
    codebook_size: int,
    text_pieces: int,
    window: int,
    batch: int,
    frames: int,
    warm_up: int,
) -> Cost:
    """Moshi's network at about `parameters`: its backbone, its depth transformer, its sampling.

    It hears as many codebooks as it speaks, as Moshi does. float32: in this package bfloat16 was
    about a tenth slower on a CPU with AVX-512 and bfloat16 instructions.
    """
    import torch
    from moshi.models.lm import LMGen

    torch.set_num_threads(1)
    torch.manual_seed(0)
    shape = {"codebooks": codebooks, "codebook_size": codebook_size, "text_pieces": text_pieces}
    width, layers = _closest_shape(parameters, window=window, **shape)
    network = _moshi(width, layers, window=window, device="cpu", **shape).eval()
    size = sum(p.numel() for p in network.parameters())
    tables = sum(
        module.weight.numel()
        for module in network.modules()
        if isinstance(module, torch.nn.Embedding)
    )
    generator = LMGen(network)
    heard = torch.randint(0, codebook_size, (batch, codebooks, 1))
    with torch.no_grad(), generator.streaming(batch):
        return time_frames(
            lambda: generator.step(heard),
            name=f"moshi-shaped network (d {width} x {layers})",
            batch=batch,
            frames=frames,
            warm_up=warm_up,
            parameters=size,
            streamed_bytes=4 * (size - tables),
        )


def _moshi(
    width: int,
    layers: int,
    *,
    codebooks: int,
    codebook_size: int,
    text_pieces: int,
    window: int,
    device: str,
) -> Any:
    """Moshi's own settings (moshi.models.loaders) with our width, depth and vocabularies."""
    import torch
    from moshi.models.loaders import _lm_kwargs, get_moshi_lm

    return get_moshi_lm(
        None,
        lm_kwargs=_lm_kwargs
        | {
            "dim": width,
            "num_layers": layers,
            "num_heads": width // 64,
            "n_q": 2 * codebooks,
            "dep_q": codebooks,
            "card": codebook_size,
            "text_card": text_pieces,
            "context": window,
            "delays": [0] + 2 * ([0] + [1] * (codebooks - 1)),
            "depformer_dim": width // DEPTH_SHARE,
            "depformer_dim_feedforward": int(4.125 * width // DEPTH_SHARE),
            "depformer_num_heads": max(1, width // DEPTH_SHARE // 64),
            "depformer_num_layers": max(1, layers // 4),
            "depformer_context": codebooks,
        },
        device=device,
        dtype=torch.float32,
    )


def _closest_shape(parameters: int, **shape: int) -> tuple[int, int]:
    """The width (a multiple of 128) and number of layers (4 to 12) nearest to `parameters`."""

    def distance(candidate: tuple[int, int]) -> int:
        width, layers = candidate
        network = _moshi(width, layers, device="meta", **shape)
        return abs(sum(p.numel() for p in network.parameters()) - parameters)

    return min(
        ((width, layers) for width in range(128, 1025, 128) for layers in (4, 6, 8, 12)),
        key=distance,
    )
