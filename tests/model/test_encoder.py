from __future__ import annotations

import torch

from antiphon.audio.mel import LogMel
from antiphon.model.encoder import Encoder
from antiphon.model.frontend import MelFrontend
from tests.model.tiny import CONFIG


def test_frames_equal_whole() -> None:
    torch.manual_seed(0)
    encoder = Encoder(CONFIG.encoder, 29).eval()
    mel = torch.randn(2, 8 * 12, 80)
    whole, _ = encoder(mel)
    past, pieces = encoder.initial_state(2), []
    for frame in mel.split(8, dim=1):
        y, past = encoder(frame, past)
        pieces.append(y)
    torch.testing.assert_close(torch.cat(pieces, 1), whole, atol=1e-4, rtol=0)


def test_what_comes_later_changes_nothing() -> None:
    encoder = Encoder(CONFIG.encoder, 29).eval()
    mel = torch.randn(1, 64, 80)
    changed = mel.clone()
    changed[:, 40:] = 0
    before, after = encoder(mel)[0], encoder(changed)[0]
    assert torch.equal(before[:, :10], after[:, :10])
    assert not torch.equal(before[:, 10:], after[:, 10:])


def test_front_end_is_the_log_mel_of_the_audio_package_whole_and_stepwise() -> None:
    torch.manual_seed(0)
    samples = 0.1 * torch.randn(2, 1280 * 4)
    frontend = MelFrontend()
    whole, _ = frontend(samples)
    expected = torch.from_numpy(LogMel()(samples.numpy()))
    torch.testing.assert_close(whole, expected, atol=1e-3, rtol=0)
    past, pieces = frontend.initial_state(2), []
    for frame in samples.split(1280, dim=1):
        mel, past = frontend(frame, past)
        pieces.append(mel)
    torch.testing.assert_close(torch.cat(pieces, 1), whole, atol=1e-4, rtol=0)
