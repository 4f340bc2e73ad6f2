from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.codec.quantise import PitchQuantiser, ResidualQuantiser


def contours(count: int, seed: int = 0) -> torch.Tensor:
    """Straight pitch contours of 100 to 300 Hz, some unvoiced at one end. [count, 8] Hz."""
    rng = torch.Generator().manual_seed(seed)
    start = 100 + 200 * torch.rand(count, 1, generator=rng)
    slope = 0.02 * torch.randn(count, 1, generator=rng)
    f0 = start * torch.exp(slope * torch.arange(8))
    onset = torch.randint(0, 5, (count, 1), generator=rng)
    return torch.where(torch.arange(8) >= onset, f0, torch.zeros(()))


def test_pitch_survives_within_a_fifth_of_a_semitone() -> None:
    torch.manual_seed(0)
    quantiser = PitchQuantiser(256)
    quantiser.fit(contours(4_000))
    heard = contours(500, seed=1).reshape(1, -1)
    decoded = quantiser.decode(quantiser.encode(heard))
    both = (decoded > 0) & (heard > 0)
    cents = 1200 * torch.log2(decoded[both] / heard[both]).abs()
    assert cents.median() < 20
    assert ((decoded > 0) != (heard > 0)).float().mean() < 0.1


def test_silence_decodes_as_unvoiced() -> None:
    quantiser = PitchQuantiser(64)
    quantiser.fit(torch.cat([contours(500), torch.zeros(100, 8)]))
    assert (quantiser.decode(quantiser.encode(torch.zeros(2, 24))) == 0).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 4))
def test_any_codes_decode_and_encoding_a_decoded_latent_is_stable(seed: int, books: int) -> None:
    torch.manual_seed(seed)
    quantiser = ResidualQuantiser(books, 16, 8)
    # Each book is much finer than the one before, so that the nearest path is the only one.
    scale = 0.05 ** torch.arange(books)[:, None, None]
    quantiser.codebooks.copy_(torch.randn(books, 16, 8) * scale)
    codes = torch.randint(0, 16, (2, 5, books))
    assert torch.equal(quantiser.encode(quantiser.decode(codes))[..., 0], codes[..., 0])


def test_each_further_codebook_lowers_the_error() -> None:
    torch.manual_seed(0)
    latents = torch.randn(4_000, 4)
    quantiser = ResidualQuantiser(3, 32, 4)
    quantiser.fit(latents)
    codes = quantiser.encode(latents[None])
    errors: list[float] = []
    for books in (1, 2, 3):
        total = sum(quantiser.codebooks[q][codes[0, :, q]] for q in range(books))
        errors.append(float((latents - total).square().mean()))
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_learning_follows_the_data_and_revives_dead_codes() -> None:
    torch.manual_seed(0)
    quantiser = ResidualQuantiser(1, 8, 2)
    quantiser.codebooks.fill_(100.0)
    quantiser.codebooks[0, 0] = 0.0
    for _ in range(200):
        quantiser.learn(torch.randn(4, 16, 2), 0.0)
    codes = quantiser.encode(torch.randn(1, 500, 2))
    assert len(codes.unique()) >= 6


def test_gradients_pass_straight_through() -> None:
    quantiser = ResidualQuantiser(2, 8, 4)
    quantiser.codebooks.normal_()
    latents = torch.randn(1, 3, 4, requires_grad=True)
    out, _, _ = quantiser.learn(latents, 0.0)
    out.sum().backward()
    assert torch.equal(latents.grad, torch.ones_like(latents))
