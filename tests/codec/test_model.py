from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from antiphon.codec.model import Codec
from antiphon.codec.pitch import track
from antiphon.errors import BundleError

Vowel = Callable[..., np.ndarray]


@torch.no_grad()
def test_the_encoder_gives_the_same_in_pieces(tiny: Codec, vowel: Vowel) -> None:
    samples = torch.from_numpy(vowel(150, 1.6))[None]
    f0 = torch.from_numpy(track(samples[0].numpy()))[None]
    whole, _ = tiny.encoder(samples, f0)
    state, out = None, []
    for t in range(20):
        piece = samples[:, t * 1280 : (t + 1) * 1280], f0[:, t * 8 : (t + 1) * 8]
        latents, state = tiny.encoder(*piece, state)
        out.append(latents)
    torch.testing.assert_close(torch.cat(out, 1), whole, atol=1e-4, rtol=0)


def test_codes_are_two_of_pitch_then_timbre(tiny: Codec, vowel: Vowel) -> None:
    samples = torch.from_numpy(vowel(150, 1.65))[None]
    f0 = torch.from_numpy(track(samples[0].numpy()))[None]
    codes = tiny.encode(samples, f0)
    assert codes.shape == (1, 20, 6)
    assert codes.dtype == torch.int64
    assert 0 <= int(codes.min()) <= int(codes.max()) < 32


def test_the_same_noise_gives_the_same_samples(tiny: Codec) -> None:
    codes, noise = torch.zeros(1, 4, 6, dtype=torch.int64), torch.randn(1, 4 * 1280)
    assert torch.equal(tiny.decode(codes, noise), tiny.decode(codes, noise))


def test_save_and_load(tiny: Codec, tmp_path: Path) -> None:
    tiny.save(tmp_path / "codec")
    again = Codec.load(tmp_path / "codec")
    assert again.config == tiny.config
    for name, value in tiny.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_bad_folders_are_named(tiny: Codec, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no codec config"):
        Codec.load(tmp_path)
    tiny.save(tmp_path)
    weights = tmp_path / "codec.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(BundleError, match=r"codec\.safetensors"):
        Codec.load(tmp_path)
    (tmp_path / "codec.json").write_text('{"latent": "many"}', encoding="utf-8")
    with pytest.raises(BundleError, match=r"codec\.json"):
        Codec.load(tmp_path)
